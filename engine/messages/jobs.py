"""Long work: the spec of every kind of job, and a job as everyone sees it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from engine.messages.common import Activation, Arm, Error, JobState, RouterInput, RouterShare, Struct
from engine.messages.nouns import Domain, FileProgress
from engine.messages.speech import TrainSpeech

__all__ = [
    "Download",
    "ExportMix",
    "Job",
    "JobSpec",
    "LogLine",
    "ScoreMix",
    "TrainDylora",
    "TrainGate",
    "TrainJoint",
    "TrainLora",
    "TrainRouter",
]


class TrainLora(Struct, frozen=True):
    """Train a new LoRA of ``rank`` on ``data``.

    ``targets`` empty means every linear projection of the blocks; ``alpha`` None is the rank, a scale of 1.
    """

    base: str
    data: str
    out: str
    rank: int = 8
    alpha: float | None = None
    targets: list[str] = []
    rslora: bool = False
    steps: int = 300
    batch_size: int = 32
    learning_rate: float = 3e-3
    warmup: float = 0.05
    weight_decay: float = 0.0
    max_length: int = 256
    seed: int = 0
    checkpoint_seconds: float = 5.0


class TrainDylora(Struct, frozen=True):
    """Train one adapter that works at every rank from ``low`` to ``rank`` (DyLoRA, arXiv 2210.07558).

    Each step trains at one rank b, drawn uniformly or so that low ranks come more often ("geometric"), at
    a scale of ``alpha`` / b. ``mode`` "full" trains columns 1 to b in it, "frozen" column b alone. The rest
    as in TrainLora.
    """

    base: str
    data: str
    out: str
    rank: int = 8
    low: int = 1
    draw: Literal["uniform", "geometric"] = "uniform"
    mode: Literal["full", "frozen"] = "full"
    alpha: float | None = None
    targets: list[str] = []
    steps: int = 300
    batch_size: int = 32
    learning_rate: float = 3e-3
    warmup: float = 0.05
    weight_decay: float = 0.0
    max_length: int = 256
    seed: int = 0
    checkpoint_seconds: float = 5.0


class TrainRouter(Struct, frozen=True):
    """Train a router over frozen ``experts`` on at most ``max_examples`` rows of ``data``.

    ``entropy_weight`` is the signed lambda and ``balance_weight`` the alpha of the Specialization Balance
    Loss; ``band_weight`` above 0 adds the entropy band (HMoRA). ``steps`` of None means ``epochs`` passes
    over the data. ``gates`` "hard" trains the first expert alone, straight-through.

    ``start``: "zero"; "prototypes", directions taken from the experts' factors; "gates", the gate that each
    expert ships (see TrainGate). With the last two ``data`` may be empty and ``steps`` 0: nothing is trained.
    With ``extend``, a mix, only the columns of experts that it does not know are trained; its own router
    settings hold. Experts in ``ranks`` take part at that rank: the mix has them cut to it (see
    ``engine.lora.at_rank``).
    """

    base: str
    experts: list[str]
    data: str
    out: str
    router_input: RouterInput = "context"
    router_share: RouterShare = "projection"
    activation: Activation = "softmax"
    gates: Literal["soft", "hard"] = "soft"
    start: Literal["zero", "prototypes", "gates"] = "zero"
    extend: str = ""
    ranks: dict[str, int] = {}
    null_expert: bool = True
    max_examples: int = 2000
    epochs: int = 3
    steps: int | None = None
    batch_size: int = 32
    learning_rate: float = 1e-2
    warmup: float = 0.05
    weight_decay: float = 0.0
    temperature: float = 1.0
    balance_weight: float = 0.01
    entropy_weight: float = 0.0
    band_weight: float = 0.0
    max_length: int = 256
    seed: int = 0
    checkpoint_seconds: float = 5.0


class TrainJoint(Struct, frozen=True):
    """Train experts and router together (LoRA-Mixer's joint mode), one data set per expert.

    The first ``hard_share`` of the steps are hard: a row of a domain is read by that domain's expert alone.
    Then the router's soft gates play and everything trains, ``preserve_weight`` (beta) holding each expert
    to what it was when the hard stage ended.
    """

    base: str
    domains: list[Domain]
    out: str
    rank: int = 8
    alpha: float | None = None
    targets: list[str] = []
    steps: int = 600
    hard_share: float = 0.6
    router_input: RouterInput = "context"
    router_share: RouterShare = "projection"
    null_expert: bool = True
    batch_size: int = 32
    learning_rate: float = 3e-3
    router_learning_rate: float = 1e-2
    warmup: float = 0.05
    weight_decay: float = 0.0
    balance_weight: float = 0.01
    entropy_weight: float = 0.0
    band_weight: float = 0.0
    preserve_weight: float = 0.01
    max_length: int = 256
    seed: int = 0
    checkpoint_seconds: float = 5.0


class TrainGate(Struct, frozen=True):
    """Train the gate that one expert ships with: a vector per projection, on the expert's own data, nobody
    else present (after PHATGOOSE). ``out`` is a copy of the adapter with its gate beside it."""

    base: str
    adapter: str
    data: str
    out: str
    router_input: RouterInput = "context"
    steps: int = 100
    batch_size: int = 32
    learning_rate: float = 5e-3
    warmup: float = 0.05
    weight_decay: float = 0.0
    max_length: int = 256
    seed: int = 0
    checkpoint_seconds: float = 5.0


class ScoreMix(Struct, frozen=True):
    """Score a mix beside every honest alternative, on ``data``: test sets by name, each weighing the same.

    ``arms`` are run in order. Those that learn (learned, xlora, lora) learn from at most ``max_examples``
    rows of ``train``, with ``seed``; without ``train`` they are said to be missing. ``limit`` rows of each
    test set are used at most. Experts in ``ranks`` take part at that rank, in every arm. Makes no file: the
    scores are the job's result, {"metric", "n", "arms": [ArmScore]}.
    """

    base: str
    mix: str
    data: dict[str, str]
    train: str = ""
    ranks: dict[str, int] = {}
    arms: tuple[Arm, ...] = ("base", "experts", "oracle", "uniform", "arrow", "soft", "topk", "hard")
    metric: Literal["exact", "loss"] = "exact"
    top_k: int = 3
    limit: int | None = None
    max_examples: int = 2000
    batch_size: int = 32
    max_length: int = 256
    seed: int = 0


class ExportMix(Struct, frozen=True):
    """Write a mix as ordinary PEFT adapters into ``folder``, which must not exist; never a silent merge.

    ``gates`` "mean": one LoRA whose experts speak at their average weight over ``data``, projection by
    projection; "domain": one such LoRA per entry of ``data``, each in a folder of its name. ``data`` may be
    empty only where the gates do not depend on the text. Experts in ``ranks`` take part at that rank.
    ``rank`` cuts the LoRA by SVD; ``distill_steps`` above 0 then trains it to say what the mix says. The
    error is measured on ``data`` and written on the card.
    """

    base: str
    mix: str
    folder: str
    data: dict[str, str] = {}
    gates: Literal["mean", "domain"] = "mean"
    ranks: dict[str, int] = {}
    rank: int | None = None
    distill_steps: int = 0
    max_examples: int = 500
    batch_size: int = 32
    learning_rate: float = 1e-3
    max_length: int = 256
    seed: int = 0


class Download(Struct, frozen=True):
    """Fetch an adapter or a base from the Hub, verify it, and take it into the library as ``out``.

    ``revision`` is a branch, a tag or a commit; what is fetched is pinned to the commit that it means when
    the download begins. An adapter goes into the studio's home, a base into the standard Hugging Face
    cache. An adapter of this name that came from the same repository is replaced only with ``replace``. The
    steps of the job are bytes. Its result: {"name", "path", "revision" (the commit), "bytes" (fetched by
    the last start), "resumed_from" (bytes that were already there), "sha256": {file: hex}, "notes" (what was
    fetched anew, in sentences)}.
    """

    repo: str
    out: str
    room: Literal["adapters", "bases", "speech"] = "adapters"
    revision: str = "main"
    replace: bool = False


JobSpec = (
    TrainLora
    | TrainDylora
    | TrainRouter
    | TrainJoint
    | TrainGate
    | TrainSpeech
    | ScoreMix
    | ExportMix
    | Download
)


class Job(Struct, frozen=True):
    """A job as everyone sees it.

    Times are seconds since the epoch; ``seconds_left`` is None until it can be known. ``files`` are those of
    a download; its ``step`` and ``steps`` are bytes, and metrics["speed"] bytes per second.
    """

    id: str
    kind: str
    name: str
    state: JobState
    step: int
    steps: int
    message: str
    spec: JobSpec
    attempt: int = 0
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    seconds: float = 0.0
    seconds_left: float | None = None
    metrics: dict[str, float] = {}
    result: dict[str, Any] = {}
    error: Error | None = None
    checkpoint_step: int | None = None
    files: list[FileProgress] = []


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    time: float
    level: str
    text: str
