"""All jobs as rows: roles, words for states, and how far each is."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from PySide6.QtCore import QObject, Qt

from app.models.rows import Index, Rows
from app.words import duration, megabytes
from engine.messages import Download, Job
from widgets.job_row import JobFace

__all__ = ["MARKS", "JobRoles", "Jobs", "figures", "sentence"]

# state -> drawing, colour token, words
MARKS = {
    "queued": ("waiting", "text_dim", "Waiting for its turn"),
    "running": ("play", "accent", "Running"),
    "paused": ("pause", "text_dim", "Paused"),
    "done": ("good", "good", "Done"),
    "failed": ("bad", "bad", "Failed"),
    "cancelled": ("stop", "text_dim", "Cancelled"),
    "held": ("warn", "warn", "Held"),
}


class JobRoles(IntEnum):
    ID = Qt.ItemDataRole.UserRole + 1
    FACE = Qt.ItemDataRole.UserRole + 2


class Jobs(Rows[Job]):
    """Newest first, as the presenter keeps them."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(lambda job: job.id, parent)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        job = self.item(index)
        if job is None:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.AccessibleTextRole:
                return job.name
            case Qt.ItemDataRole.AccessibleDescriptionRole:
                return f"{sentence(job)} {figures(job)}"
            case JobRoles.ID:
                return job.id
            case JobRoles.FACE:
                return _face(job)
        return None


def figures(job: Job) -> str:
    """How far, and how long still or how long it took: "120 of 300   0:22 left",
    "12 MB of 40 MB   2 MB/s   0:14 left"."""
    said = megabytes if isinstance(job.spec, Download) else "{:,}".format
    steps = f"{said(job.step)} of {said(job.steps)}" if job.steps else ""
    if isinstance(job.spec, Download) and job.state == "running" and job.metrics.get("speed"):
        steps += f"   {megabytes(round(job.metrics['speed']))}/s"
    if job.state == "running" and job.seconds_left is not None:
        time = f"{duration(job.seconds_left)} left"
    else:
        time = duration(job.seconds) if job.seconds else ""
    return "   ".join(part for part in (steps, time) if part)


def sentence(job: Job) -> str:
    """What a job is doing or what became of it, in one sentence: "Failed: The disk is full."."""
    words = MARKS[job.state][2]
    said = job.error.message if job.error else job.message
    if not said or said.startswith(words):
        return said or words
    return said if job.state == "running" else f"{words}: {said}"


def _face(job: Job) -> JobFace:
    mark, token, _ = MARKS[job.state]
    moving = job.state in ("running", "paused", "queued")
    return JobFace(
        mark=mark,
        token=token,
        title=job.name,
        words=sentence(job),
        figures=figures(job),
        share=job.step / job.steps if moving and job.steps else None,
    )
