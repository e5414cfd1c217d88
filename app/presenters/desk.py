"""What lies on the mixing desk: an immutable value, and the edits that a person makes to it.

It knows nothing of the engine's state, only which experts play how loudly, through which router.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from engine.messages import Activation, GateMode, Part, RankOrder, RouterInput, RouterShare

__all__ = ["LOUDEST", "Desk", "JointSettings", "RouterSettings", "Strip"]

LOUDEST = 2.0


@dataclass(frozen=True)
class Strip:
    """One expert on the desk. ``hue`` is its place in the palette and follows it wherever it is moved.

    A ``blank`` one is yet to be trained. ``data`` is the file that this expert alone learns from in joint
    training, "" for the starter set of its name. ``rank`` None is all of it; of a lower one ``order`` says
    which columns are kept.
    """

    adapter: str
    hue: int
    fader: float = 1.0
    muted: bool = False
    soloed: bool = False
    locked: bool = False
    blank: bool = False
    data: str = ""
    rank: int | None = None
    order: RankOrder = ""

    def part(self, weight: float) -> Part:
        """This expert at its rank, and as loud as ``weight``."""
        return Part(name=self.adapter, weight=weight, rank=self.rank, order=self.order)


@dataclass(frozen=True)
class RouterSettings:
    """How a mix is played (the first four) and how a router is trained, as in TrainRouter (the others).

    ``with_data`` False leaves a router as its ``start`` made it.
    """

    mode: GateMode = "soft"
    top_k: int = 3
    renormalise: bool = True
    strength: float = 1.0
    router_input: RouterInput = "context"
    router_share: RouterShare = "projection"
    activation: Activation = "softmax"
    gates: Literal["soft", "hard"] = "soft"
    start: Literal["zero", "prototypes", "gates"] = "zero"
    with_data: bool = True
    null_expert: bool = True
    temperature: float = 1.0
    epochs: int = 3
    learning_rate: float = 1e-2
    balance_weight: float = 0.01
    entropy_weight: float = 0.0
    band_weight: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class JointSettings:
    """How experts and router are trained together, as in TrainJoint; the router's settings hold too."""

    rank: int = 8
    steps: int = 600
    hard_share: float = 0.6
    preserve_weight: float = 0.01
    learning_rate: float = 3e-3


@dataclass(frozen=True)
class Desk:
    """Strips from left to right, settings, the data file's path, the mix being played.

    ``lesson`` is what is trained next: the router over frozen experts, or all of them together.
    """

    base: str = ""
    strips: tuple[Strip, ...] = ()
    router: RouterSettings = field(default_factory=RouterSettings)
    joint: JointSettings = field(default_factory=JointSettings)
    lesson: Literal["router", "joint"] = "router"
    data: str = ""
    mix: str = ""

    @property
    def experts(self) -> list[str]:
        return [strip.adapter for strip in self.strips]

    @property
    def trained(self) -> list[str]:
        """The experts that can speak: all but the blank ones."""
        return [strip.adapter for strip in self.strips if not strip.blank]

    @property
    def locked(self) -> list[str]:
        """Experts that always speak at their fader; mute is stronger."""
        return [strip.adapter for strip in self.strips if strip.locked and not strip.muted]

    @property
    def muted(self) -> list[str]:
        """Experts that are switched off: muted, or neither soloed nor locked while another is soloed."""
        soloing = any(strip.soloed for strip in self.strips)
        return [
            strip.adapter
            for strip in self.strips
            if strip.muted or (soloing and not strip.soloed and not strip.locked)
        ]

    def strip(self, adapter: str) -> Strip | None:
        return next((strip for strip in self.strips if strip.adapter == adapter), None)

    def dropped(self, adapter: str, slot: int, base: str, *, blank: bool = False) -> Desk:
        """With ``adapter`` at ``slot`` (clamped), in the first colour no other strip wears."""
        worn = {strip.hue for strip in self.strips}
        hue = next(hue for hue in range(len(worn) + 1) if hue not in worn)
        slot = max(0, min(slot, len(self.strips)))
        strips = (*self.strips[:slot], Strip(adapter, hue, blank=blank), *self.strips[slot:])
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

    def edited(self, adapter: str, /, **changes: Any) -> Desk:
        """With one strip's fields changed."""
        strips = tuple(replace(s, **changes) if s.adapter == adapter else s for s in self.strips)
        return replace(self, strips=strips)

    def weights(self) -> dict[str, float]:
        """What every expert plays at: its fader, or 0 where it is switched off or has learned nothing yet."""
        muted = self.muted
        return {
            strip.adapter: 0.0 if strip.blank or strip.adapter in muted else strip.fader
            for strip in self.strips
        }

    def parts(self) -> list[Part]:
        """The experts as a sum of static faders."""
        weights = self.weights()
        return [strip.part(weights[strip.adapter]) for strip in self.strips if not strip.blank]

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @staticmethod
    def from_json(text: str) -> Desk:
        """The desk that ``to_json`` wrote. msgspec.ValidationError or DecodeError if it is not one."""
        return msgspec.json.decode(text.encode(), type=Desk)
