"""Between the supervisor and its runtimes: orders down, reports up."""

from __future__ import annotations

from typing import Any, Literal

from engine.messages.common import Error, Struct
from engine.messages.jobs import JobSpec
from engine.messages.nouns import FileProgress
from engine.messages.requests import (
    Compare,
    DropExpert,
    Generate,
    MeasureRanks,
    OrderRanks,
    Route,
    Score,
    Slide,
)
from engine.messages.speech import AddNoise, LookAtClip, Transcribe, WarmUpSpeech

__all__ = [
    "Heartbeat",
    "JobCheckpoint",
    "JobEnded",
    "JobStep",
    "Report",
    "RuntimeReady",
    "StartJob",
    "SteerJob",
    "Work",
]


class Work(Struct, frozen=True):
    """A live request for a runtime, with every name in it resolved to a folder or file.

    ``paths`` maps "adapter:NAME", "mix:NAME" and "data" to absolute paths; "out" is a folder to
    write. Of speech: "speech:NAME" is a model's folder, "clip" the file.
    """

    request: (
        Generate
        | Compare
        | Route
        | Score
        | MeasureRanks
        | OrderRanks
        | Slide
        | DropExpert
        | LookAtClip
        | Transcribe
        | AddNoise
        | WarmUpSpeech
    )
    paths: dict[str, str]


class StartJob(Struct, frozen=True):
    """Run a job under a fencing ``epoch``; reports that carry an older epoch are refused.

    ``paths`` as in Work; of a TrainSpeech also "ear", "eye" and "llm", and "clips", the folder that its clips
    are named from. Where a spec names several data sets, "data:NAME" is each and "train" what a
    scoring learns from; of a download "given-up:ID" are the folders of jobs whose bytes it may take over.
    ``folder`` is the job's own; ``checkpoint`` the newest committed one to resume from, or None. With
    ``keep`` nothing more is learned: what the checkpoint holds becomes the result. ``token`` is the Hub's,
    for a download, and is never written down.
    """

    id: str
    epoch: int
    spec: JobSpec
    paths: dict[str, str]
    folder: str
    checkpoint: str | None
    keep: bool = False
    token: str = ""


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
    files: list[FileProgress] = []


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
