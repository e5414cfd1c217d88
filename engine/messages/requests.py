"""What a client may ask of the engine."""

from __future__ import annotations

from typing import Literal

from engine.messages.common import RankOrder, Struct
from engine.messages.jobs import JobSpec
from engine.messages.nouns import Ask, LibraryKind, Mixing, Part
from engine.messages.speech import (
    AddNoise,
    ImportSpeech,
    InspectSpeech,
    ListSpeech,
    LookAtClip,
    RemoveSpeech,
    RestoreSpeech,
    Transcribe,
    WarmUpSpeech,
)

__all__ = [
    "AddBase",
    "AskAccount",
    "BakeRank",
    "CancelJob",
    "CheckData",
    "CheckRevisions",
    "Compare",
    "CopyMix",
    "DescribeAdapter",
    "DropExpert",
    "EmptyTrash",
    "ExportAdapter",
    "FindUses",
    "Generate",
    "ImportAdapter",
    "ImportMix",
    "InspectAdapter",
    "JudgeAdapters",
    "JudgeHub",
    "ListAdapters",
    "ListBases",
    "ListData",
    "ListJobs",
    "ListMixes",
    "MeasureDisk",
    "MeasureRanks",
    "OrderRanks",
    "PauseJob",
    "PublishAdapter",
    "ReadLog",
    "ReadMetrics",
    "ReadProvenance",
    "ReadSpectrum",
    "RemoveAdapter",
    "RemoveBase",
    "RemoveJob",
    "RemoveMix",
    "Rename",
    "Request",
    "RestoreAdapter",
    "RestoreBase",
    "RestoreMix",
    "ResumeJob",
    "Route",
    "RunDoctor",
    "Score",
    "SearchHub",
    "ShowHub",
    "ShowJob",
    "Shutdown",
    "SignIn",
    "SignOut",
    "Slide",
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
    """Look into a folder, or a file of another program's, before anything is taken from it."""

    path: str


class ImportAdapter(Struct, frozen=True):
    """Copy an adapter into the library: a PEFT folder, or a folder or file of a format that is converted in a
    process of its own. Addresses on the Hub are for a Download."""

    path: str
    name: str | None = None


class JudgeAdapters(Struct, frozen=True):
    """Whether each adapter of the library plays on ``base``, by kind, targets and shapes: Fits."""

    base: str


class DescribeAdapter(Struct, frozen=True):
    """Change what the person has to say about an adapter; None leaves a field as it is. An AdapterCard."""

    name: str
    favourite: bool | None = None
    tags: list[str] | None = None
    note: str | None = None


class Rename(Struct, frozen=True):
    """Give something in the library another name. What was made with it keeps working. Done."""

    kind: LibraryKind
    name: str
    to: str


class FindUses(Struct, frozen=True):
    """What would be affected if this were removed, renamed or replaced: Uses."""

    kind: LibraryKind
    name: str


class ReadProvenance(Struct, frozen=True):
    """Where something in the library comes from, in full: Provenance."""

    kind: LibraryKind
    name: str


class CheckRevisions(Struct, frozen=True):
    """Ask the Hub whether adapters that came from it have a newer revision: Adapters, with ``newer``
    filled."""

    names: list[str] = []


class MeasureDisk(Struct, frozen=True):
    """What the studio takes on the disk, item by item: DiskUse."""


class EmptyTrash(Struct, frozen=True):
    """Delete for good what was removed: all of it, or the items named ("adapters/NAME"). Done."""

    items: list[str] = []


class VerifyAdapters(Struct, frozen=True):
    """Check one adapter, or all of them, against the hashes taken when they came in."""

    name: str | None = None


class RemoveAdapter(Struct, frozen=True):
    """Move an adapter to the home's trash, from where RestoreAdapter brings it back."""

    name: str


class RestoreAdapter(Struct, frozen=True):
    name: str


class ExportAdapter(Struct, frozen=True):
    """Write an adapter as an ordinary PEFT folder, which must not exist: all of it, or as it plays at
    ``rank`` under ``order``; None is its own order, or by energy where it has none."""

    name: str
    folder: str
    rank: int | None = None
    order: RankOrder | None = None


class ListBases(Struct, frozen=True):
    pass


class AddBase(Struct, frozen=True):
    """Make a base known where it lies: its folder. A repository of the Hub is for a Download."""

    path: str
    name: str | None = None


class RemoveBase(Struct, frozen=True):
    """Take a base off the list. Its files stay where they lie."""

    name: str


class RestoreBase(Struct, frozen=True):
    name: str


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

    Experts in ``ranks`` are cut to that rank. ``folder`` must not exist.
    """

    name: str
    folder: str
    ranks: dict[str, int] = {}


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
    ``temperature`` 0 is greedy. ``live`` is a name that nobody else uses: by it Slide finds the answer while
    it is being said. ``generation`` numbers its first version.
    """

    base: str
    prompt: str
    parts: list[Part] = []
    mixing: Mixing | None = None
    max_new_tokens: int = 64
    temperature: float = 0.0
    seed: int = 0
    record: bool = False
    live: str = ""
    generation: int = 0


class Slide(Struct, frozen=True):
    """From the next token on the answer called ``live`` is that of ``adapter`` at ``rank``: it begins anew,
    its prompt read again, and its Tokens carry ``generation``.

    Of several slides between two tokens the newest counts; an older generation than one already heard is
    dropped. Done; Failure "missing" when that answer is over.
    """

    base: str
    live: str
    adapter: str
    rank: int
    generation: int


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


class MeasureRanks(Struct, frozen=True):
    """How good one adapter is at each of ``ranks``, as Score would say: RankCurve, with Scoring on the way.

    No ranks are 1, 2, 4 and so on up to all of it. With ``order`` the adapter is measured in another order
    than its file's. ``speed`` measures the tokens a second of each rank, too.
    """

    base: str
    data: str
    adapter: str
    ranks: list[int] = []
    order: RankOrder = ""
    speed: bool = False
    metric: Literal["exact", "loss"] = "exact"
    limit: int | None = None
    batch_size: int = 128


class OrderRanks(Struct, frozen=True):
    """A new adapter ``out``: ``adapter`` with its columns ordered by energy, so that every rank of it is the
    best of that rank. RanksOrdered.

    With ``data`` (and the ``base`` that reads it) energy is that of what the projections say on these rows,
    instead of that of their weights.
    """

    adapter: str
    out: str
    base: str = ""
    data: str = ""


class BakeRank(Struct, frozen=True):
    """A new, ordinary adapter ``out``: ``adapter`` as it plays at ``rank`` under ``order``. AdapterCard."""

    adapter: str
    rank: int
    out: str
    order: RankOrder = ""


class ReadSpectrum(Struct, frozen=True):
    """How the energy of an adapter lies in its projections and ranks: Spectrum."""

    adapter: str


class SearchHub(Struct, frozen=True):
    """Adapters or bases on the Hub: a HubPage of at most ``limit``, after the first ``skip`` of the same
    query.

    ``base`` is a repository of the Hub or a base of the library; ``gated`` None takes both. With
    ``everything`` what would be hidden is listed too, with its reason.
    """

    text: str = ""
    room: Literal["adapters", "bases"] = "adapters"
    base: str = ""
    task: str = ""
    license: str = ""
    gated: bool | None = None
    sort: Literal["trending", "downloads", "likes", "modified"] = "trending"
    skip: int = 0
    limit: int = 50
    everything: bool = False


class JudgeHub(Struct, frozen=True):
    """Read a few kilobytes of each repository and say whether it fits: each HubVerdict comes as progress as
    soon as it is known, HubVerdicts is all of them. ``base`` of the library; "" is the one that an adapter
    names. Among bases a name of the library is judged by the files that are here."""

    repos: list[str]
    base: str = ""
    room: Literal["adapters", "bases"] = "adapters"


class ShowHub(Struct, frozen=True):
    """Everything about one repository: HubDetails."""

    repo: str
    revision: str = "main"
    base: str = ""
    room: Literal["adapters", "bases"] = "adapters"


class PublishAdapter(Struct, frozen=True):
    """Put an adapter on the Hub with a model card made of what is known about it. Said on the way, Done
    with the address. ``card`` replaces the generated text; with ``preview`` nothing is sent and Said is the
    card."""

    name: str
    repo: str
    private: bool = True
    card: str = ""
    preview: bool = False


class AskAccount(Struct, frozen=True):
    """Who is signed in to the Hub, and whether it can be reached: Account."""


class SignIn(Struct, frozen=True):
    """Sign in to the Hub: with a ``token``, or without one by a code that is typed in a browser (SignInCode
    comes as progress, Account when it has been). Cancel gives up."""

    token: str = ""


class SignOut(Struct, frozen=True):
    """Forget the token that the studio keeps. Account."""


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
    | MeasureRanks
    | OrderRanks
    | BakeRank
    | ReadSpectrum
    | Slide
    | SubmitJob
    | ListJobs
    | ShowJob
    | ReadLog
    | ReadMetrics
    | PauseJob
    | ResumeJob
    | CancelJob
    | RemoveJob
    | AskAccount
    | CheckRevisions
    | DescribeAdapter
    | EmptyTrash
    | FindUses
    | JudgeAdapters
    | JudgeHub
    | MeasureDisk
    | PublishAdapter
    | ReadProvenance
    | RemoveBase
    | Rename
    | RestoreBase
    | SearchHub
    | ShowHub
    | SignIn
    | SignOut
    | ListSpeech
    | LookAtClip
    | Transcribe
    | AddNoise
    | InspectSpeech
    | ImportSpeech
    | RemoveSpeech
    | RestoreSpeech
    | WarmUpSpeech
)
