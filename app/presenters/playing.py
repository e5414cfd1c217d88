"""How a desk sounds with the mix on it: who is heard, who decides, and what is asked of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from app.presenters.desk import Desk
from engine.messages import Generate, Job, MixCard, Mixing, Part, TrainJoint, TrainRouter

__all__ = ["NULL", "Playing", "Router", "experts_of", "listed"]

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
        has_null = NULL in card.usage if card.usage else card.null_expert
        return Router(card.name, tuple(experts_of(card)), has_null)

    @staticmethod
    def in_training(job: Job, spec: TrainRouter | TrainJoint) -> Router:
        return Router(spec.out, tuple(experts_of(spec)), spec.null_expert, job.id)


@dataclass(frozen=True)
class Playing:
    """``router`` is the one that belongs to the desk, None where there is none; ``loose`` are the experts
    that the library has beside the mix."""

    desk: Desk
    router: Router | None = None
    loose: frozenset[str] = frozenset()

    @property
    def has_router(self) -> bool:
        """Whether a router is heard: it knows every expert on the desk that can speak."""
        return self.router is not None and bool(self.desk.trained) and not self.strangers

    @property
    def has_null(self) -> bool:
        return self.has_router and self.router is not None and self.router.has_null

    @property
    def strangers(self) -> list[str]:
        """Experts on the desk that the router was trained without."""
        return [name for name in self.desk.trained if self.router and name not in self.router.experts]

    @property
    def absent(self) -> list[str]:
        """Experts of the router that are not on the desk, and so are left out of its choice."""
        return [name for name in (self.router.experts if self.router else ()) if not self.desk.strip(name)]

    @property
    def voices(self) -> list[str]:
        """The experts in the order of the router's gates; without a router, those on the desk."""
        if not self.has_router or self.router is None:
            return self.desk.experts
        return [*self.router.experts, NULL] if self.has_null else list(self.router.experts)

    @property
    def silent(self) -> set[str]:
        """Voices that are not heard now: switched off, faded out, not on the desk, or yet to be trained."""
        return {name for name in self.voices if name != NULL and not self.is_heard(name)}

    def is_heard(self, name: str) -> bool:
        """Whether an expert can be heard; a blank one is as soon as a router learns with it."""
        strip = self.desk.strip(name)
        if strip is None or name not in self.voices or (strip.blank and not self.has_router):
            return False
        return strip.fader > 0 and name not in self.desk.muted

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
            return "Static faders: all experts speak at once. Train a router to let them take turns."
        if self.strangers:
            return f"{self.router.name} was trained without {listed(self.strangers)}: static faders play."
        if self.absent:
            return f"{self.router.name} plays without {listed(self.absent)}, who left the desk."
        name = self.router.name
        return f"{name} plays: its router decides at every token who speaks, the faders say how loudly."

    @property
    def waiting(self) -> list[str]:
        """Experts whose rank cannot be heard yet: a router that learns has them as their files are, and a
        rank of theirs is one of another order."""
        if not self.has_router or self.router is None or not self.router.job:
            return []
        return [strip.adapter for strip in self.desk.strips if strip.order]

    @property
    def wait(self) -> str:
        """What those wait for, in a sentence; "" where none does."""
        return f"Until it has learned, every rank of {listed(self.waiting)} plays." if self.waiting else ""

    def whole(self, what: str) -> str:
        """That ``what`` ("training") knows nothing of ranks, where one has been slid; else ""."""
        cut = [strip.adapter for strip in self.desk.strips if strip.rank is not None]
        return f"The {what} takes every rank of {listed(cut)}: sliders are for playing." if cut else ""

    def request(self, question: Generate) -> Generate:
        """``question`` put to the desk: to its router where one is heard, else to the sum of its experts."""
        if not self.has_router or self.router is None:
            parts = [part for part in self.desk.parts() if part.name in self.loose]
            return msgspec.structs.replace(question, parts=parts)
        off = [name for name in self.router.experts if name in {*self.desk.muted, *self.absent}]
        return self._routed(question, off, [name for name in self.desk.locked if name not in off])

    def alone(self, question: Generate, expert: str) -> Generate:
        """``question`` put to one expert alone, at full strength; one that only the mix has speaks there."""
        if expert in self.loose or not self.has_router or self.router is None:
            strip = self.desk.strip(expert)
            part = strip.part(1.0) if strip is not None else Part(name=expert)
            return msgspec.structs.replace(question, parts=[part])
        others = [name for name in self.router.experts if name != expert]
        asked = self._routed(question, others, [expert])
        parts = [msgspec.structs.replace(part, weight=1.0) for part in asked.parts if part.name == expert]
        return msgspec.structs.replace(asked, parts=parts, record=False)

    def _routed(self, question: Generate, muted: list[str], locked: list[str]) -> Generate:
        assert self.router is not None
        asked = self.desk.router
        mixing = Mixing(
            name=self.router.name,
            job=self.router.job,
            mode=asked.mode,
            top_k=asked.top_k,
            renormalise=asked.renormalise,
            strength=asked.strength,
            muted=muted,
            locked=locked,
        )
        whole = {name: Part(name=name) for name in self.waiting}
        parts = [
            msgspec.structs.replace(whole.get(strip.adapter, strip.part(1.0)), weight=strip.fader)
            for strip in self.desk.strips
            if not strip.blank
        ]
        return msgspec.structs.replace(question, parts=parts, mixing=mixing, record=True)


def experts_of(made: MixCard | TrainRouter | TrainJoint) -> list[str]:
    """The experts of a mix, or of the training that makes one, without the null expert."""
    if isinstance(made, TrainJoint):
        return [domain.expert for domain in made.domains]
    return [name for name in made.experts if name != NULL]


def listed(names: Sequence[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
