"""Every message between the window, the command line, the supervisor and its runtimes, typed.

One wire for all of them: a zmq DEALER (window, command line, runtime) talks to the supervisor's ROUTER over a
private ipc socket, one msgpack-encoded struct per message.

    client  -> supervisor:  Call, Cancel, Subscribe
    supervisor -> client:   Progress* then exactly one of Result or Failure for every Call; Event; Gauge
    runtime <-> supervisor: the same Call/Cancel/Progress/Result/Failure, carrying Work, StartJob and SteerJob
                            downwards, and RuntimeReady, Heartbeat, JobStep, JobCheckpoint, JobEnded upwards

Rules that hold everywhere
* Every Call is answered exactly once, a cancelled one with Failure(code="cancelled").
* An Event is durable: it has a sequence number and can be replayed with Subscribe(since=...).
* A Gauge is latest-wins: it may be dropped and is never replayed.
* Paths and numbers cross the wire, tensors never do.
* Structs are frozen and decode strictly: an unknown request or a wrong type is a Failure, not a crash.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

PROTOCOL = 1

JobState = Literal["queued", "running", "paused", "done", "failed", "cancelled", "held"]
RouterInput = Literal["local", "context"]
GateMode = Literal["soft", "topk"]


class Struct(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all messages: immutable, keyword-only, tagged with its own class name."""


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """What a person reads when something failed: a sentence, a next step, and details behind a fold.

    ``code`` is for machines: usage, missing, data, adapter, base, refused, disk, database, busy, cancelled,
    crashed, held, protocol, failed. The command line maps ``usage`` to exit 2, ``refused`` to 3,
    ``cancelled`` to 130 and everything else to 1.
    """

    code: str
    message: str
    hint: str = ""
    detail: str = ""


# --- nouns ----------------------------------------------------------------------------------------


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One adapter taking part in an answer: its weight (the fader) and its rank, None for all of it."""

    name: str
    weight: float = 1.0
    rank: int | None = None


class Mixing(msgspec.Struct, frozen=True, kw_only=True):
    """How a mix is played: which mix, soft or top-k, and how strong.

    With ``job`` it is the router of that running job instead, as it is at each token: it learns on between
    two tokens of one answer, and ``name`` means nothing.
    """

    name: str = ""
    mode: GateMode = "soft"
    top_k: int = 3
    strength: float = 1.0
    job: str = ""


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
    """A trained mix: which experts, on which base, with which router."""

    name: str
    path: str
    base: str
    experts: list[str]
    router_input: RouterInput
    router_parameters: int
    usage: dict[str, float]
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


# --- jobs -----------------------------------------------------------------------------------------


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


class TrainRouter(Struct, frozen=True):
    """Train a router over frozen ``experts`` on at most ``max_examples`` rows of ``data``.

    ``entropy_weight`` is the signed lambda and ``balance_weight`` the alpha of the Specialization Balance
    Loss. ``steps`` of None means ``epochs`` passes over the data.
    """

    base: str
    experts: list[str]
    data: str
    out: str
    router_input: RouterInput = "context"
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
    max_length: int = 256
    seed: int = 0
    checkpoint_seconds: float = 5.0


JobSpec = TrainLora | TrainRouter


class Job(Struct, frozen=True):
    """A job as everyone sees it.

    Times are seconds since the epoch; ``seconds_left`` is None until it can be known.
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


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    time: float
    level: str
    text: str


# --- requests a client may send -------------------------------------------------------------------


class Status(Struct, frozen=True):
    pass


class Shutdown(Struct, frozen=True):
    """Stop the engine: running jobs are checkpointed and queued again for the next start."""


class RunDoctor(Struct, frozen=True):
    pass


class ListAdapters(Struct, frozen=True):
    pass


class InspectAdapter(Struct, frozen=True):
    path: str


class ImportAdapter(Struct, frozen=True):
    path: str
    name: str | None = None


class VerifyAdapters(Struct, frozen=True):
    """Check one adapter, or all of them, against the hashes taken when they came in."""

    name: str | None = None


class RemoveAdapter(Struct, frozen=True):
    """Move an adapter to the home's trash, from where RestoreAdapter brings it back."""

    name: str


class RestoreAdapter(Struct, frozen=True):
    name: str


class ExportAdapter(Struct, frozen=True):
    name: str
    folder: str
    rank: int | None = None


class ListBases(Struct, frozen=True):
    pass


class AddBase(Struct, frozen=True):
    path: str
    name: str | None = None


class ListMixes(Struct, frozen=True):
    pass


class RemoveMix(Struct, frozen=True):
    """Move a mix to the home's trash, from where RestoreMix brings it back."""

    name: str


class RestoreMix(Struct, frozen=True):
    name: str


class ListData(Struct, frozen=True):
    """The data sets of the starter pack."""


class CheckData(Struct, frozen=True):
    """Read a data file to its end: a DataSet, or a Failure that names the first bad line."""

    path: str


class WarmUp(Struct, frozen=True):
    """Start the runtime of a base ahead of need, so that the first prompt answers at once."""

    base: str


class Generate(Struct, frozen=True):
    """One answer, streamed as Token progress. No parts and no mixing is the base alone.

    With ``mixing`` the parts are the faders over the mix's experts (absent experts play at 1.0). With
    ``record`` the Routing of the prompt comes before the first Token.
    ``temperature`` 0 is greedy.
    """

    base: str
    prompt: str
    parts: list[Part] = []
    mixing: Mixing | None = None
    max_new_tokens: int = 64
    temperature: float = 0.0
    seed: int = 0
    record: bool = False


class Route(Struct, frozen=True):
    """Who speaks where while the mix reads ``prompt``."""

    mixing: Mixing
    prompt: str
    parts: list[Part] = []


class Score(Struct, frozen=True):
    """Evaluate on held-out rows: ``exact`` compares whole completions, ``loss`` is nats per token of them."""

    base: str
    data: str
    parts: list[Part] = []
    mixing: Mixing | None = None
    metric: Literal["exact", "loss"] = "exact"
    limit: int | None = None
    batch_size: int = 64


class SubmitJob(Struct, frozen=True):
    """``id`` is the client's, so that a repeated submission is the same job and not a second one."""

    id: str
    spec: JobSpec


class ListJobs(Struct, frozen=True):
    pass


class ShowJob(Struct, frozen=True):
    id: str


class ReadLog(Struct, frozen=True):
    id: str


class ReadMetrics(Struct, frozen=True):
    """The recorded curve of a job, from ``since`` (a step) on."""

    id: str
    since: int = 0


class PauseJob(Struct, frozen=True):
    """Checkpoint, then release the accelerator."""

    id: str


class ResumeJob(Struct, frozen=True):
    """Continue a paused, failed or held job from its newest checkpoint."""

    id: str


class CancelJob(Struct, frozen=True):
    """Stop a job. ``keep`` saves what it has learned so far as its result: up to now where it runs, up to its
    newest checkpoint where it is paused, queued, held or failed."""

    id: str
    keep: bool = False


class RemoveJob(Struct, frozen=True):
    """Take an ended job out of the history, with its checkpoints."""

    id: str


Request = (
    Status
    | Shutdown
    | RunDoctor
    | ListAdapters
    | InspectAdapter
    | ImportAdapter
    | VerifyAdapters
    | RemoveAdapter
    | RestoreAdapter
    | ExportAdapter
    | ListBases
    | AddBase
    | ListMixes
    | RemoveMix
    | RestoreMix
    | ListData
    | CheckData
    | WarmUp
    | Generate
    | Route
    | Score
    | SubmitJob
    | ListJobs
    | ShowJob
    | ReadLog
    | ReadMetrics
    | PauseJob
    | ResumeJob
    | CancelJob
    | RemoveJob
)


# --- answers --------------------------------------------------------------------------------------


class Done(Struct, frozen=True):
    """Nothing more to say than that it happened; ``path`` where something was written."""

    path: str = ""


class EngineStatus(Struct, frozen=True):
    running: bool
    pid: int
    protocol: int
    version: str
    home: str
    detached: bool
    runtimes: list[RuntimeCard]


class Doctor(Struct, frozen=True):
    checks: list[Check]


class Adapters(Struct, frozen=True):
    adapters: list[AdapterCard]


class Verified(Struct, frozen=True):
    adapters: list[Verification]


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
    """One more token of an answer; ``gates[module][expert]`` when asked for, ordered as in Routing."""

    index: int
    text: str
    gates: list[list[float]] | None = None


class Routing(Struct, frozen=True):
    """Gates of a whole text: ``gates[token][module][expert]``, each row of experts in 0..1.

    ``experts`` ends with "null" when the mix has a null expert.
    """

    tokens: list[str]
    modules: list[str]
    experts: list[str]
    gates: list[list[list[float]]]


class Generated(Struct, frozen=True):
    """A finished answer. ``routing`` covers prompt and answer when the request asked to record.

    ``tokens_per_second`` is the speed of this answer's own passes after the one that read the prompt: what
    others did in between does not count. ``first_token_seconds`` is what the person waited, others included.
    """

    text: str
    tokens: int
    tokens_per_second: float
    first_token_seconds: float
    prompt_tokens: int = 0
    stopped: Literal["end", "length"] = "end"
    routing: Routing | None = None


class Scored(Struct, frozen=True):
    """``interval`` is the 95 % one of ``value`` over ``n`` rows (Wilson for exact, bootstrap for loss)."""

    metric: str
    value: float
    interval: tuple[float, float]
    n: int


class Scoring(Struct, frozen=True):
    """Progress of a Score: rows done of rows in all, and the value so far."""

    done: int
    total: int
    value: float


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
    | Scored
    | Scoring
    | Said
)


# --- what the supervisor tells everyone -----------------------------------------------------------


class JobChanged(Struct, frozen=True):
    """A job's state changed (not merely its step: that is a gauge)."""

    job: Job


class JobRemoved(Struct, frozen=True):
    id: str


class LibraryChanged(Struct, frozen=True):
    """Adapters, bases or mixes came, went or changed."""

    what: Literal["adapters", "bases", "mixes"]


class EngineChanged(Struct, frozen=True):
    """A runtime started, got ready or went away."""

    runtimes: list[RuntimeCard]


class Notice(Struct, frozen=True):
    """A sentence for the person at the window. ``level`` is info, warning or error."""

    level: Literal["info", "warning", "error"]
    message: str
    hint: str = ""
    job: str = ""


EventBody = JobChanged | JobRemoved | LibraryChanged | EngineChanged | Notice


class JobProgress(Struct, frozen=True):
    """Where a running job is. ``metrics`` are the newest of the curve; the whole curve is in ReadMetrics."""

    id: str
    step: int
    steps: int
    message: str
    seconds_left: float | None
    metrics: dict[str, float]


class Load(Struct, frozen=True):
    """What the engine uses now: bytes of memory of all its processes, of the machine, and per runtime."""

    memory: int
    memory_total: int
    runtimes: list[RuntimeCard]


GaugeBody = JobProgress | Load


# --- supervisor <-> runtime -----------------------------------------------------------------------


class Work(Struct, frozen=True):
    """A live request for a runtime, with every name in it resolved to a folder or file.

    ``paths`` maps "adapter:NAME", "mix:NAME" and "data" to absolute paths.
    """

    request: Generate | Route | Score
    paths: dict[str, str]


class StartJob(Struct, frozen=True):
    """Run a job under a fencing ``epoch``; reports that carry an older epoch are refused.

    ``folder`` is the job's own; ``checkpoint`` the newest committed one to resume from, or None. With
    ``keep`` nothing more is learned: what the checkpoint holds becomes the result.
    """

    id: str
    epoch: int
    spec: JobSpec
    paths: dict[str, str]
    folder: str
    checkpoint: str | None
    keep: bool = False


class SteerJob(Struct, frozen=True):
    """A word in a running job's mailbox, read after the current micro-step."""

    id: str
    epoch: int
    action: Literal["pause", "cancel", "keep"]


class RuntimeReady(Struct, frozen=True):
    base: str
    device: str
    pid: int
    token: str
    load_seconds: float


class Heartbeat(Struct, frozen=True):
    token: str
    memory: int
    busy: str


class JobStep(Struct, frozen=True):
    """Steps finished since the last report: ``metrics`` holds one mapping per step in ``steps_done``."""

    id: str
    epoch: int
    steps_done: list[int]
    metrics: list[dict[str, float]]
    steps: int
    message: str
    seconds_left: float | None


class JobCheckpoint(Struct, frozen=True):
    """A complete checkpoint folder lies on disk, synced and renamed; the store may now point to it."""

    id: str
    epoch: int
    step: int
    folder: str


class JobEnded(Struct, frozen=True):
    """A job is over in this runtime; ``output`` is a finished folder when done or kept."""

    id: str
    epoch: int
    outcome: Literal["done", "kept", "paused", "cancelled", "failed"]
    step: int
    output: str = ""
    result: dict[str, Any] = {}
    error: Error | None = None


Report = RuntimeReady | Heartbeat | JobStep | JobCheckpoint | JobEnded


# --- envelopes ------------------------------------------------------------------------------------


class Call(Struct, frozen=True):
    id: str
    body: Request | Work | StartJob | SteerJob


class Cancel(Struct, frozen=True):
    """Give up a Call. It is still answered: Failure(code="cancelled"), or what was already on its way."""

    id: str


class Subscribe(Struct, frozen=True):
    """Send me every Event after ``since`` (-1: only new ones) and the gauges. Answered by Welcome."""

    since: int = -1
    protocol: int = PROTOCOL


class Welcome(Struct, frozen=True):
    """The supervisor's greeting: ``last`` is the newest event's number, ``run`` names this engine's life."""

    protocol: int
    pid: int
    version: str
    run: str
    last: int


class Progress(Struct, frozen=True):
    id: str
    body: Body


class Result(Struct, frozen=True):
    id: str
    body: Body


class Failure(Struct, frozen=True):
    id: str
    error: Error


class Event(Struct, frozen=True):
    number: int
    body: EventBody


class Gauge(Struct, frozen=True):
    body: GaugeBody


Upward = (
    Call
    | Cancel
    | Subscribe
    | Progress
    | Result
    | Failure
    | RuntimeReady
    | Heartbeat
    | JobStep
    | JobCheckpoint
    | JobEnded
)
Downward = Welcome | Progress | Result | Failure | Event | Gauge | Call | Cancel

_encoder = msgspec.msgpack.Encoder()
_upward = msgspec.msgpack.Decoder(Upward)
_downward = msgspec.msgpack.Decoder(Downward)


def encode(message: Upward | Downward) -> bytes:
    """A message as one zmq frame."""
    return _encoder.encode(message)


def decode_upward(frame: bytes) -> Upward:
    """What a client or runtime sent to the supervisor. msgspec.DecodeError if it is no such message."""
    message: Upward = _upward.decode(frame)
    return message


def decode_downward(frame: bytes) -> Downward:
    """What the supervisor sent to a client or runtime. msgspec.DecodeError if it is no such message."""
    message: Downward = _downward.decode(frame)
    return message
