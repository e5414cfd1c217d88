"""What lies on the mixing desk: an immutable value, the edits a person makes to it, and their undo history.

It knows nothing of the engine's state, only which experts play how loudly, through which router.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from engine.messages import GateMode, Part, RouterInput

__all__ = ["LOUDEST", "Desk", "History", "RouterSettings", "Strip"]

LOUDEST = 2.0


@dataclass(frozen=True)
class Strip:
    """One expert on the desk. ``hue`` is its place in the palette and follows it wherever it is moved."""

    adapter: str
    hue: int
    fader: float = 1.0
    muted: bool = False
    soloed: bool = False


@dataclass(frozen=True)
class RouterSettings:
    """How a mix is played (the first three) and how a router is trained, as in TrainRouter (the others)."""

    mode: GateMode = "soft"
    top_k: int = 3
    strength: float = 1.0
    router_input: RouterInput = "context"
    null_expert: bool = True
    epochs: int = 3
    learning_rate: float = 1e-2
    balance_weight: float = 0.01
    entropy_weight: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Desk:
    """Strips from left to right, the router's settings, the data file's path, the mix being played."""

    base: str = ""
    strips: tuple[Strip, ...] = ()
    router: RouterSettings = field(default_factory=RouterSettings)
    data: str = ""
    mix: str = ""

    @property
    def experts(self) -> list[str]:
        return [strip.adapter for strip in self.strips]

    def strip(self, adapter: str) -> Strip | None:
        return next((strip for strip in self.strips if strip.adapter == adapter), None)

    def dropped(self, adapter: str, slot: int, base: str) -> Desk:
        """With ``adapter`` at ``slot`` (clamped), in the first colour no other strip wears."""
        worn = {strip.hue for strip in self.strips}
        hue = next(hue for hue in range(len(worn) + 1) if hue not in worn)
        slot = max(0, min(slot, len(self.strips)))
        strips = (*self.strips[:slot], Strip(adapter, hue), *self.strips[slot:])
        return replace(self, base=base, strips=strips)

    def removed(self, adapter: str) -> Desk:
        """Without ``adapter``; an empty desk belongs to no base and plays no mix."""
        strips = tuple(strip for strip in self.strips if strip.adapter != adapter)
        if not strips:
            return replace(self, strips=(), base="", mix="")
        return replace(self, strips=strips)

    def moved(self, adapter: str, slot: int) -> Desk:
        """With ``adapter`` in place ``slot``, counted after it has been lifted out."""
        strip = self.strip(adapter)
        if strip is None:
            return self
        others = [other for other in self.strips if other is not strip]
        others.insert(max(0, min(slot, len(others))), strip)
        return replace(self, strips=tuple(others))

    def edited(self, adapter: str, **changes: Any) -> Desk:
        """With other ``fader``, ``muted`` or ``soloed`` on one strip."""
        strips = tuple(replace(s, **changes) if s.adapter == adapter else s for s in self.strips)
        return replace(self, strips=strips)

    def weights(self) -> dict[str, float]:
        """What every expert plays at: its fader, or 0 where it is muted or another one is soloed."""
        soloing = any(strip.soloed for strip in self.strips)
        return {
            strip.adapter: 0.0 if strip.muted or (soloing and not strip.soloed) else strip.fader
            for strip in self.strips
        }

    def parts(self) -> list[Part]:
        return [Part(name=name, weight=weight) for name, weight in self.weights().items()]

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @staticmethod
    def from_json(text: str) -> Desk:
        """The desk that ``to_json`` wrote. msgspec.ValidationError or DecodeError if it is not one."""
        return msgspec.json.decode(text.encode(), type=Desk)


@dataclass(frozen=True)
class _Step:
    desk: Desk
    label: str


class History:
    """Undo and redo of whole desks. Steps with the same ``merge`` key are one step until ``seal``."""

    def __init__(self, desk: Desk, limit: int = 200) -> None:
        self._past: list[_Step] = []
        self._future: list[_Step] = []
        self._merge = ""
        self._limit = limit
        self.desk = desk

    def record(self, desk: Desk, label: str, merge: str = "") -> bool:
        """Make ``desk`` the present. False, and no step, when it equals the present."""
        if desk == self.desk:
            return False
        if not merge or merge != self._merge:
            self._past = [*self._past[-self._limit + 1 :], _Step(self.desk, label)]
        self._future.clear()
        self._merge = merge
        self.desk = desk
        return True

    def seal(self) -> None:
        """The hand has left the control: the next movement of it is a step of its own."""
        self._merge = ""

    @property
    def undo_label(self) -> str:
        return self._past[-1].label if self._past else ""

    @property
    def redo_label(self) -> str:
        return self._future[-1].label if self._future else ""

    def undo(self) -> bool:
        return self._swap(self._past, self._future)

    def redo(self) -> bool:
        return self._swap(self._future, self._past)

    def _swap(self, source: list[_Step], target: list[_Step]) -> bool:
        if not source:
            return False
        step = source.pop()
        target.append(_Step(self.desk, step.label))
        self.desk = step.desk
        self._merge = ""
        return True
