"""What a client may ask of the engine."""

from __future__ import annotations

from typing import Literal

from engine.messages.common import Struct
from engine.messages.jobs import JobSpec
from engine.messages.nouns import Ask, Mixing, Part

__all__ = [
    "AddBase",
    "CancelJob",
    "CheckData",
    "Compare",
    "CopyMix",
    "DropExpert",
    "ExportAdapter",
    "Generate",
    "ImportAdapter",
    "ImportMix",
    "InspectAdapter",
    "ListAdapters",
    "ListBases",
    "ListData",
    "ListJobs",
    "ListMixes",
    "PauseJob",
    "ReadLog",
    "ReadMetrics",
    "RemoveAdapter",
    "RemoveJob",
    "RemoveMix",
    "Request",
    "RestoreAdapter",
    "RestoreMix",
    "ResumeJob",
    "Route",
    "RunDoctor",
    "Score",
    "ShowJob",
    "Shutdown",
    "Status",
    "SubmitJob",
    "VerifyAdapters",
    "WarmUp",
]


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


class DropExpert(Struct, frozen=True):
    """A new mix ``out`` without one expert of ``mix``; nothing is trained, the others share its part."""

    mix: str
    expert: str
    out: str


class CopyMix(Struct, frozen=True):
    """Write a mix as a folder that any studio can play: card, router, experts and a README with its tables.

    ``folder`` must not exist.
    """

    name: str
    folder: str


class ImportMix(Struct, frozen=True):
    """Copy a mix's folder into the library, checked file by file: what CopyMix wrote, here or elsewhere.

    ``name`` is that of the folder unless given. ``base`` names the base that it is to be heard on, where
    that is called otherwise here than where the mix was made.
    """

    path: str
    name: str | None = None
    base: str | None = None


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


class Compare(Struct, frozen=True):
    """The answers of several voices to one prompt, as rows of one batch; fields as in Generate.

    Token and Routing progress carry their ``row``; a row that ends early says so at once with RowDone. The
    result is Compared.
    """

    base: str
    prompt: str
    voices: list[Ask]
    max_new_tokens: int = 64
    temperature: float = 0.0
    seed: int = 0


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
    | DropExpert
    | CopyMix
    | ImportMix
    | ListData
    | CheckData
    | WarmUp
    | Generate
    | Compare
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
