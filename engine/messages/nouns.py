"""What messages speak of: adapters, bases, mixes, data, how a mix is played, what a score found."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.messages.common import Activation, Arm, GateMode, RankOrder, RouterInput, RouterShare, Struct

__all__ = [
    "AdapterCard",
    "ArmScore",
    "Ask",
    "BaseCard",
    "Check",
    "DataSet",
    "Domain",
    "FileProgress",
    "Fit",
    "HubFile",
    "HubRepo",
    "HubRevision",
    "HubVerdict",
    "Inspection",
    "LibraryKind",
    "MixCard",
    "Mixing",
    "Part",
    "RuntimeCard",
    "Verification",
]


LibraryKind = Literal["adapters", "bases", "mixes"]


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """Whether something can be used here, and the reason in a sentence.

    Of an adapter: green plays on the base as it is; amber may (it has to be converted, was made for another
    base, or not all could be seen); red is refused. Of a base: green fits this machine's memory for training,
    amber for answers only or tightly, red not at all.
    """

    verdict: Literal["green", "amber", "red"]
    reason: str


class FileProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far one file of a download is: bytes that lie on the disk, and its whole size."""

    name: str
    done: int
    total: int


class HubRepo(msgspec.Struct, frozen=True, kw_only=True):
    """A repository of the Hub as a search shows it, before anything of it has been read.

    ``base`` is the repository of the base that an adapter names; ``size`` (bytes of its weights) and ``rank``
    are None until they are known; ``modified`` is seconds since the epoch. ``hidden`` says why it is left out
    of a list by default ("a pickle only", "a diffusion model's"), "" when it is not. ``have`` is its name in
    the library, "" when it is not there.
    """

    repo: str
    base: str = ""
    task: str = ""
    license: str = ""
    gated: bool = False
    private: bool = False
    downloads: int = 0
    likes: int = 0
    modified: float = 0.0
    size: int | None = None
    parameters: int | None = None
    rank: int | None = None
    tags: list[str] = []
    commit: str = ""
    hidden: str = ""
    have: str = ""


class HubVerdict(Struct, frozen=True):
    """What a few kilobytes of a repository say: of an adapter its config and the table of its weights, of a
    base its config and sizes. ``read`` counts the bytes that were fetched for it (0: it was known).
    ``converted`` names the format of an adapter that fits once it has been converted. It plays at ranks
    ``low`` to ``rank``, see AdapterCard."""

    repo: str
    fit: Fit
    commit: str = ""
    kind: str = ""
    rank: int = 0
    low: int = 1
    alpha: float = 0.0
    targets: list[str] = []
    base: str = ""
    tensors: int = 0
    size: int = 0
    parameters: int = 0
    read: int = 0
    converted: str = ""


class HubFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a repository; ``sha256`` where the Hub knows it, ``wanted`` if a download would fetch it, and
    if not, why in ``note``."""

    name: str
    size: int
    sha256: str = ""
    wanted: bool = True
    note: str = ""


class HubRevision(msgspec.Struct, frozen=True, kw_only=True):
    """A branch or tag of a repository and the commit that it means."""

    name: str
    commit: str


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One adapter taking part in an answer: its weight (the fader) and its rank, None for all of it.

    ``order`` says which columns a rank keeps; see ``RankOrder``.
    """

    name: str
    weight: float = 1.0
    rank: int | None = None
    order: RankOrder = ""


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
    empty for a fresh LoRA, cut to ``rank`` where one is given."""

    expert: str
    data: str
    adapter: str = ""
    rank: int | None = None


class AdapterCard(Struct, frozen=True):
    """An adapter in the library. ``source`` is starter, import, training, hub or cache (it lies in the
    Hugging Face cache and is used in place). It plays at ranks ``low`` to ``rank``: a DyLoRA (kind "dylora")
    is not trained below.

    ``repo`` and ``commit`` say where on the Hub it came from, ``newer`` the commit that is newer there, ""
    when there is none or nobody has looked. ``converted`` names the format that it came in, "" for PEFT's
    own. ``added`` is seconds since the epoch. ``favourite``, ``tags`` and ``note`` are the person's own.
    """

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
    repo: str = ""
    commit: str = ""
    newer: str = ""
    converted: str = ""
    added: float = 0.0
    favourite: bool = False
    tags: list[str] = []
    note: str = ""
    low: int = 1


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
    """A base model. ``parameters`` is a count, ``path`` a local folder; ``repo`` and ``commit`` where on the
    Hub it came from, ``bytes`` the size of its weights."""

    name: str
    architecture: str
    parameters: int
    path: str
    source: str = "import"
    repo: str = ""
    commit: str = ""
    bytes: int = 0
    missing: bool = False


class MixCard(Struct, frozen=True):
    """A mix: which experts, on which base, with which router.

    ``made`` says how it came to be (trained, joint, extended, dropped, prototypes, gates), ``gates`` how it
    was played while it learned; ``warning`` is a sentence where its routing has collapsed. ``ranks``
    (lowest, highest) and ``kinds`` are those of its own copies of the experts; {} in a card that is older.
    ``former`` are the names that it had before and that no other mix has now.
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
    ranks: dict[str, tuple[int, int]] = {}
    kinds: dict[str, str] = {}
    former: list[str] = []
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
