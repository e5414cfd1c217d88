"""How a desk sounds with the mix on it: who is heard, who decides, and what is asked of the engine."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from app.presenters.desk import Desk
from engine.messages import Generate, MixCard, Mixing

__all__ = ["NULL", "Playing"]

NULL = "null"


@dataclass(frozen=True)
class Playing:
    """``mix`` is the one on the desk, None where static faders play."""

    desk: Desk
    mix: MixCard | None = None

    @property
    def has_router(self) -> bool:
        """Whether a router is heard: it knows every expert on the desk."""
        return self.mix is not None and bool(self.desk.strips) and not self.strangers

    @property
    def has_null(self) -> bool:
        return self.has_router and self.mix is not None and NULL in {*self.mix.experts, *self.mix.usage}

    @property
    def strangers(self) -> list[str]:
        """Experts on the desk that the mix was trained without."""
        return [name for name in self.desk.experts if self.mix and name not in self.mix.experts]

    @property
    def absent(self) -> list[str]:
        """Experts of the mix that are not on the desk, and so play at 0."""
        experts = self.mix.experts if self.mix else []
        return [name for name in experts if name not in (*self.desk.experts, NULL)]

    @property
    def voices(self) -> list[str]:
        """The experts in the order of the router's gates; without a router, those on the desk."""
        if not self.has_router or self.mix is None:
            return self.desk.experts
        experts = [name for name in self.mix.experts if name != NULL]
        return [*experts, NULL] if self.has_null else experts

    @property
    def silent(self) -> set[str]:
        """Voices that are not heard now: muted, not soloed, or not on the desk at all."""
        weights = self.desk.weights()
        return {name for name in self.voices if name != NULL and weights.get(name, 0.0) == 0.0}

    @property
    def title(self) -> tuple[str, str]:
        """What the answer of the whole desk is called, and the mix it comes from."""
        return ("mix", self.desk.mix) if self.has_router else ("sum", "All experts at once, by their faders")

    @property
    def sentence(self) -> str:
        """What the faders do now."""
        if not self.desk.strips:
            return ""
        if self.mix is None:
            return "Static faders: all experts speak at once. Train the router to let them take turns."
        if self.strangers:
            return (
                f"{self.mix.name} was trained without {listed(self.strangers)}, so static faders play. "
                "Train the router again to bring everyone in."
            )
        if self.absent:
            return f"{self.mix.name} plays with {listed(self.absent)} silent: they are not on the desk."
        return (
            f"{self.mix.name} plays: its router decides at every token who speaks, the faders say how loudly."
        )

    def request(self, question: Generate) -> Generate:
        """``question`` put to the desk: to its router where one is heard, else to the sum of its experts."""
        parts = self.desk.parts()
        if not self.has_router:
            return msgspec.structs.replace(question, parts=parts)
        silent = [msgspec.structs.replace(parts[0], name=name, weight=0.0) for name in self.absent]
        return msgspec.structs.replace(question, parts=parts + silent, mixing=self.mixing(), record=True)

    def mixing(self) -> Mixing:
        router = self.desk.router
        return Mixing(name=self.desk.mix, mode=router.mode, top_k=router.top_k, strength=router.strength)


def listed(names: list[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
