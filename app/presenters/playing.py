"""How a desk sounds with the mix on it: who is heard, who decides, and what is asked of the engine."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from app.presenters.desk import Desk
from engine.messages import Generate, Job, MixCard, Mixing, Part, TrainRouter

__all__ = ["NULL", "Playing", "Router"]

NULL = "null"


@dataclass(frozen=True)
class Router:
    """A router that may be heard: of the mix ``name``, or of the ``job`` that is training it. ``experts``
    are in the order of its gates, without the null expert."""

    name: str
    experts: tuple[str, ...]
    has_null: bool
    job: str = ""

    @staticmethod
    def of_mix(card: MixCard) -> Router:
        experts = tuple(name for name in card.experts if name != NULL)
        return Router(card.name, experts, NULL in {*card.experts, *card.usage})

    @staticmethod
    def in_training(job: Job, spec: TrainRouter) -> Router:
        return Router(spec.out, tuple(spec.experts), spec.null_expert, job.id)


@dataclass(frozen=True)
class Playing:
    """``router`` is the one that belongs to the desk, None where there is none."""

    desk: Desk
    router: Router | None = None

    @property
    def has_router(self) -> bool:
        """Whether a router is heard: it knows every expert on the desk."""
        return self.router is not None and bool(self.desk.strips) and not self.strangers

    @property
    def has_null(self) -> bool:
        return self.has_router and self.router is not None and self.router.has_null

    @property
    def strangers(self) -> list[str]:
        """Experts on the desk that the router was trained without."""
        return [name for name in self.desk.experts if self.router and name not in self.router.experts]

    @property
    def absent(self) -> list[str]:
        """Experts of the router that are not on the desk, and so play at 0."""
        return [name for name in (self.router.experts if self.router else ()) if not self.desk.strip(name)]

    @property
    def voices(self) -> list[str]:
        """The experts in the order of the router's gates; without a router, those on the desk."""
        if not self.has_router or self.router is None:
            return self.desk.experts
        return [*self.router.experts, NULL] if self.has_null else list(self.router.experts)

    @property
    def silent(self) -> set[str]:
        """Voices that are not heard now: muted, not soloed, or not on the desk at all."""
        weights = self.desk.weights()
        return {name for name in self.voices if name != NULL and weights.get(name, 0.0) == 0.0}

    @property
    def title(self) -> tuple[str, str]:
        """What the answer of the whole desk is called, and the mix it comes from."""
        if not self.has_router or self.router is None:
            return "sum", "All experts at once, by their faders"
        if self.router.job:
            return "mix, still training", f"{self.router.name} as it is at this moment"
        return "mix", self.router.name

    @property
    def sentence(self) -> str:
        """What the faders do now."""
        if not self.desk.strips:
            return ""
        if self.router is None:
            return "Static faders: all experts speak at once. Train the router to let them take turns."
        if self.strangers:
            return (
                f"{self.router.name} was trained without {listed(self.strangers)}, so static faders play. "
                "Train the router again to bring everyone in."
            )
        if self.absent:
            return f"{self.router.name} plays with {listed(self.absent)} silent: they are not on the desk."
        name = self.router.name
        return f"{name} plays: its router decides at every token who speaks, the faders say how loudly."

    def request(self, question: Generate) -> Generate:
        """``question`` put to the desk: to its router where one is heard, else to the sum of its experts."""
        parts = self.desk.parts()
        if not self.has_router or self.router is None:
            return msgspec.structs.replace(question, parts=parts)
        parts += [Part(name=name, weight=0.0) for name in self.absent]
        asked = self.desk.router
        mixing = Mixing(
            name=self.router.name,
            job=self.router.job,
            mode=asked.mode,
            top_k=asked.top_k,
            strength=asked.strength,
        )
        return msgspec.structs.replace(question, parts=parts, mixing=mixing, record=True)


def listed(names: list[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
