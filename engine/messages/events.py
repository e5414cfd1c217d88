"""What the supervisor tells everyone: durable events, and gauges of which the newest counts."""

from __future__ import annotations

from typing import Literal

from engine.messages.common import Struct
from engine.messages.jobs import Job
from engine.messages.nouns import FileProgress, LibraryKind, RuntimeCard

__all__ = [
    "EngineChanged",
    "EventBody",
    "GaugeBody",
    "JobChanged",
    "JobProgress",
    "JobRemoved",
    "LibraryChanged",
    "Load",
    "Notice",
]


class JobChanged(Struct, frozen=True):
    """A job's state changed (not merely its step: that is a gauge)."""

    job: Job


class JobRemoved(Struct, frozen=True):
    id: str


class LibraryChanged(Struct, frozen=True):
    """Adapters, bases, mixes or models of speech came, went or changed."""

    what: LibraryKind | Literal["speech"]


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
    files: list[FileProgress] = []


class Load(Struct, frozen=True):
    """What the engine uses now: bytes of memory of all its processes, of the machine, and per runtime."""

    memory: int
    memory_total: int
    runtimes: list[RuntimeCard]


GaugeBody = JobProgress | Load
