"""What the engine answers, and what it says on the way there."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from engine.messages.common import Struct
from engine.messages.jobs import Job, LogLine
from engine.messages.nouns import (
    AdapterCard,
    BaseCard,
    Check,
    DataSet,
    Fit,
    HubFile,
    HubRepo,
    HubRevision,
    HubVerdict,
    Inspection,
    LibraryKind,
    MixCard,
    RuntimeCard,
    Verification,
)
from engine.messages.speech import (
    ClipCard,
    Heard,
    NoisySound,
    SpeechCard,
    SpeechInspection,
    SpeechModels,
    Transcript,
)

__all__ = [
    "Account",
    "Adapters",
    "Bases",
    "Body",
    "Compared",
    "DataSets",
    "DiskItem",
    "DiskUse",
    "Doctor",
    "Done",
    "EngineStatus",
    "Fits",
    "Generated",
    "HubDetails",
    "HubPage",
    "HubVerdicts",
    "Jobs",
    "Log",
    "Metrics",
    "Mixes",
    "Provenance",
    "RankCurve",
    "RankPoint",
    "RanksOrdered",
    "Routing",
    "RowDone",
    "Said",
    "Scored",
    "Scoring",
    "SignInCode",
    "Spectrum",
    "Token",
    "Uses",
    "Verified",
]


class Done(Struct, frozen=True):
    """Nothing more to say than that it happened; ``path`` where something was written."""

    path: str = ""


class EngineStatus(Struct, frozen=True):
    """``hub`` is the address of the Hub that it asks, "" where it may ask none (HF_HUB_OFFLINE)."""

    running: bool
    pid: int
    protocol: int
    version: str
    home: str
    detached: bool
    runtimes: list[RuntimeCard]
    hub: str = ""


class Doctor(Struct, frozen=True):
    checks: list[Check]


class Adapters(Struct, frozen=True):
    adapters: list[AdapterCard]


class Verified(Struct, frozen=True):
    adapters: list[Verification]


class Fits(Struct, frozen=True):
    """{adapter of the library: whether it plays on the base that was asked about}."""

    fits: dict[str, Fit]


class Uses(Struct, frozen=True):
    """What depends on something in the library. ``mixes`` were made with it, ``jobs`` (ids) still read it,
    and ``adapters`` are made for it where it is a base; ``sentence`` says what removing it would mean for
    them."""

    mixes: list[str] = []
    jobs: list[str] = []
    adapters: list[str] = []
    sentence: str = ""


class Provenance(Struct, frozen=True):
    """Where something comes from. ``facts`` are lines for people, in order: (what, value); ``files`` {file:
    sha256}; ``spec`` is that of the job that made it, {} when none did. ``command`` would make it again or
    fetch the same bytes, "" where nothing can."""

    kind: LibraryKind
    name: str
    facts: list[tuple[str, str]]
    files: dict[str, str] = {}
    spec: dict[str, Any] = {}
    command: str = ""


class DiskItem(msgspec.Struct, frozen=True, kw_only=True):
    """``bytes`` that one item takes; ``place`` is adapters, bases, mixes, speech, clips, jobs, data,
    trash or cache."""

    place: str
    name: str
    bytes: int
    path: str


class DiskUse(Struct, frozen=True):
    """Largest first; ``free`` and ``total`` bytes are those of the disk that the studio's home lies on."""

    items: list[DiskItem]
    free: int
    total: int


class HubPage(Struct, frozen=True):
    """A part of what a search found. ``next`` is the ``skip`` of the following part, None at the end;
    ``hidden`` counts what this part left out."""

    repos: list[HubRepo]
    next: int | None = None
    hidden: int = 0


class HubVerdicts(Struct, frozen=True):
    verdicts: list[HubVerdict]


class HubDetails(Struct, frozen=True):
    """One repository. ``card`` is its Markdown, untouched and untrusted; ``security`` is what the Hub's
    scanners say, "" when nothing; ``address`` is its page."""

    repo: HubRepo
    commit: str
    files: list[HubFile]
    revisions: list[HubRevision]
    card: str = ""
    security: str = ""
    address: str = ""
    verdict: HubVerdict | None = None


class Account(Struct, frozen=True):
    """The Hub as it is seen from here. ``kept`` says where the token lies: keyring, file, elsewhere (of `hf
    auth login` or the environment) or "". ``problem`` is a sentence when the Hub cannot be asked."""

    endpoint: str
    name: str = ""
    kept: Literal["", "keyring", "file", "elsewhere"] = ""
    problem: str = ""


class SignInCode(Struct, frozen=True):
    """Type ``code`` at ``address`` within ``seconds``."""

    code: str
    address: str
    seconds: int


class Bases(Struct, frozen=True):
    bases: list[BaseCard]


class Mixes(Struct, frozen=True):
    mixes: list[MixCard]


class DataSets(Struct, frozen=True):
    sets: list[DataSet]


class Jobs(Struct, frozen=True):
    jobs: list[Job]


class Log(Struct, frozen=True):
    lines: list[LogLine]


class Metrics(Struct, frozen=True):
    """A job's curve: ``series[name][i]`` was recorded at ``steps[i]`` (None where not measured)."""

    id: str
    steps: list[int]
    series: dict[str, list[float | None]]


class Token(Struct, frozen=True):
    """One more token of an answer; ``gates[module][expert]`` when asked for, ordered as in Routing.

    ``row`` is the voice of a Compare. ``generation`` is that of the newest Slide heard: a new one begins the
    answer anew, with index 0.
    """

    index: int
    text: str
    gates: list[list[float]] | None = None
    row: int = 0
    generation: int = 0


class Routing(Struct, frozen=True):
    """Gates of a whole text: ``gates[token][module][expert]``, each row of experts in 0..1.

    ``experts`` ends with "null" when the mix has a null expert. ``generation`` as in Token.
    """

    tokens: list[str]
    modules: list[str]
    experts: list[str]
    gates: list[list[list[float]]]
    row: int = 0
    generation: int = 0


class Generated(Struct, frozen=True):
    """A finished answer. ``routing`` covers prompt and answer when the request asked to record.

    ``tokens_per_second`` is the speed of this answer's own passes after the one that read the prompt: what
    others did in between does not count. ``first_token_seconds`` is what the person waited, others included.
    ``notes`` are sentences about how the adapters sit on this base, where there is something to know.
    ``generation`` as in Token.
    """

    text: str
    tokens: int
    tokens_per_second: float
    first_token_seconds: float
    prompt_tokens: int = 0
    stopped: Literal["end", "length"] = "end"
    routing: Routing | None = None
    notes: list[str] = []
    generation: int = 0


class RowDone(Struct, frozen=True):
    """One voice of a Compare has said all it has to say."""

    row: int
    answer: Generated


class Compared(Struct, frozen=True):
    """The finished answers of a Compare, in the order of its voices; their routings came with RowDone."""

    answers: list[Generated]


class Scored(Struct, frozen=True):
    """``interval`` is the 95 % one of ``value`` over ``n`` rows (Wilson for exact, bootstrap for loss);
    ``notes`` as in Generated."""

    metric: str
    value: float
    interval: tuple[float, float]
    n: int
    notes: list[str] = []


class Scoring(Struct, frozen=True):
    """Progress of a Score: rows done of rows in all, and the value so far."""

    done: int
    total: int
    value: float


class RankPoint(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter at one rank: ``value`` and ``interval`` as of Scored, the ``bytes`` of its tensors there,
    the share of its ``energy`` that is kept (None where its columns are not in order), and the tokens a
    second that it writes, where that was asked for."""

    rank: int
    value: float
    interval: tuple[float, float]
    bytes: int
    energy: float | None = None
    tokens_per_second: float | None = None


class RankCurve(Struct, frozen=True):
    """Quality by rank over the same ``n`` rows; ``kind`` is lora, svd (ordered) or dylora. ``apart``: up to
    three prompts that some of the ranks answer exactly and others do not."""

    metric: str
    n: int
    kind: str
    points: list[RankPoint]
    notes: list[str] = []
    apart: list[str] = []


class RanksOrdered(Struct, frozen=True):
    """An adapter in order. ``energy[b - 1]`` is the share of the squared norm of all its updates that rank b
    keeps, ``error`` how far the whole product is from what it was, relative.

    Of an order by data it is the share of what the updates say there, and ``plain[b - 1]`` what the order
    by their weights would keep of the same.
    """

    card: AdapterCard
    energy: list[float]
    error: float
    notes: list[str] = []
    plain: list[float] = []


class Spectrum(Struct, frozen=True):
    """``values[i]`` are the singular values of the whole update of ``modules[i]`` (scale included), largest
    first, worked out from its factors. ``energy[b - 1]`` is the share of the squared norm of all updates
    that rank b keeps in SVD order, and ``bytes[b - 1]`` the size of all tensors there; ``spread`` and
    ``spread_bytes`` are the same of order "spread". ``kept[b - 1]`` is the share that the file's own first b
    columns keep: 1 less the squared error, which for a DyLoRA includes its scale of alpha / b, so that it may
    be negative."""

    kind: str
    modules: list[str]
    values: list[list[float]]
    energy: list[float]
    spread: list[float]
    kept: list[float]
    bytes: list[int]
    spread_bytes: list[int] = []
    notes: list[str] = []


class Said(Struct, frozen=True):
    """Progress in words, where a number would be a lie: "loading starter-llama"."""

    text: str


Body = (
    Done
    | EngineStatus
    | Doctor
    | Adapters
    | AdapterCard
    | Inspection
    | Verified
    | Bases
    | BaseCard
    | Mixes
    | MixCard
    | DataSets
    | DataSet
    | Jobs
    | Job
    | Log
    | Metrics
    | Token
    | Routing
    | Generated
    | RowDone
    | Compared
    | Scored
    | Scoring
    | RankCurve
    | RanksOrdered
    | Spectrum
    | Said
    | HubVerdict
    | Account
    | DiskUse
    | Fits
    | HubDetails
    | HubPage
    | HubVerdicts
    | Provenance
    | SignInCode
    | Uses
    | SpeechModels
    | SpeechCard
    | ClipCard
    | Heard
    | Transcript
    | NoisySound
    | SpeechInspection
)
