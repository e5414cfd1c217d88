"""What messages speak of: adapters, bases, mixes, data, how a mix is played, what a score found."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.messages.common import Activation, Arm, GateMode, RouterInput, RouterShare, Struct

__all__ = [
    "AdapterCard",
    "ArmScore",
    "Ask",
    "BaseCard",
    "Check",
    "DataSet",
    "Domain",
    "Inspection",
    "MixCard",
    "Mixing",
    "Part",
    "RuntimeCard",
    "Verification",
]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One adapter taking part in an answer: its weight (the fader) and its rank, None for all of it."""

    name: str
    weight: float = 1.0
    rank: int | None = None


class Mixing(msgspec.Struct, frozen=True, kw_only=True):
    """How a mix is played: which mix, soft, top-k or hard (the first alone, whole), and how strong.

    ``muted`` experts are taken out before the weights are shared out, so that the others get their part;
    ``locked`` ones always speak at their fader, whatever the router thinks, and take nothing from the others.
    With ``job`` it is the router of that running job instead, as it is at each token: it learns on between
    two tokens of one answer, and ``name`` means nothing.
    """

    name: str = ""
    mode: GateMode = "soft"
    top_k: int = 3
    renormalise: bool = True
    strength: float = 1.0
    muted: list[str] = []
    locked: list[str] = []
    job: str = ""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One of several voices that answer the same prompt; see Generate."""

    parts: list[Part] = []
    mixing: Mixing | None = None
    record: bool = False


class ArmScore(msgspec.Struct, frozen=True, kw_only=True):
    """How one way of using the experts did. ``name`` is unique ("expert:sort"), ``label`` is for people.

    ``value`` is the mean over the test sets, each weighing the same; ``sets`` has (value, low, high) of each.
    ``trained`` says on how many rows it was trained (0: not at all), ``parameters`` how many numbers. An arm
    that could not be run says why in ``missing`` and has no numbers.

    ``beside_mix`` is value minus the mix's value and the 95 % interval of that difference, paired on the
    same rows: it may exclude 0 where the two intervals overlap. The mix is the first of soft, topk and hard
    that was scored; that arm has None, and so has every arm where none was.
    """

    name: str
    label: str
    arm: Arm
    value: float = 0.0
    interval: tuple[float, float] = (0.0, 0.0)
    sets: dict[str, tuple[float, float, float]] = {}
    beside_mix: tuple[float, float, float] | None = None
    trained: int = 0
    parameters: int = 0
    seconds: float = 0.0
    missing: str = ""


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """One expert of a joint training and the data that it is to master; ``adapter`` is where it starts from,
    empty for a fresh LoRA."""

    expert: str
    data: str
    adapter: str = ""


class AdapterCard(Struct, frozen=True):
    """An adapter in the library. ``source`` is starter, import, training or hub."""

    name: str
    path: str
    base: str
    kind: str
    rank: int
    alpha: float
    targets: list[str]
    tensors: int
    bytes: int
    source: str
    description: str = ""
    license: str = ""
    sha256: str = ""
    missing: bool = False


class Inspection(Struct, frozen=True):
    """What a folder holds, before anything is loaded. ``verdict`` is ok, convert or refuse."""

    verdict: Literal["ok", "convert", "refuse"]
    reason: str
    kind: str
    rank: int
    alpha: float
    targets: list[str]
    base: str
    tensors: int
    bytes: int


class BaseCard(Struct, frozen=True):
    """A base model. ``parameters`` is a count, ``path`` a local folder."""

    name: str
    architecture: str
    parameters: int
    path: str
    source: str = "import"


class MixCard(Struct, frozen=True):
    """A mix: which experts, on which base, with which router.

    ``made`` says how it came to be (trained, joint, extended, dropped, prototypes, gates), ``gates`` how it
    was played while it learned; ``warning`` is a sentence where its routing has collapsed.
    """

    name: str
    path: str
    base: str
    experts: list[str]
    router_input: RouterInput
    router_parameters: int
    usage: dict[str, float]
    router_share: RouterShare = "projection"
    activation: Activation = "softmax"
    null_expert: bool = True
    made: str = ""
    gates: Literal["soft", "hard"] = "soft"
    warning: str = ""
    missing: bool = False


class DataSet(Struct, frozen=True):
    """A data file that has been read to its end and found whole. ``rows`` counts examples."""

    name: str
    path: str
    rows: int
    sha256: str
    description: str = ""
    sample: list[tuple[str, str]] = []


class Verification(Struct, frozen=True):
    """Whether an adapter's files are still what they were when they came in."""

    name: str
    ok: bool
    detail: str


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the doctor."""

    name: str
    ok: bool
    detail: str
    hint: str = ""


class RuntimeCard(msgspec.Struct, frozen=True, kw_only=True):
    """A process that holds one base on one device. ``memory`` in bytes; ``state`` starting, ready or busy."""

    base: str
    device: str
    pid: int
    state: str = "ready"
    memory: int = 0
