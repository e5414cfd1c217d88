"""A download in words: what it is doing, how far each file is, and what can be done about it."""

from __future__ import annotations

from app.models.jobs import MARKS, sentence
from app.presenters.downloads import Fetch
from app.words import duration, megabytes
from engine.messages import Job
from widgets.download_row import DownloadFace
from widgets.file_bars import FileFace

__all__ = ["face", "file_faces"]

VERBS = {
    "queued": ("pause", "cancel"),
    "running": ("pause", "cancel"),
    "paused": ("resume", "cancel"),
    "failed": ("retry", "dismiss"),
    "held": ("retry", "cancel"),
    "cancelled": ("dismiss",),
}
DONE = {"adapters": ("desk", "library", "dismiss"), "bases": ("use", "library", "dismiss")}


def face(fetch: Fetch) -> DownloadFace:
    """How a download looks in the strip at the foot of the page."""
    job, spec = fetch.job, fetch.spec
    mark, token, _ = MARKS[job.state]
    speed = job.metrics.get("speed", 0.0) if job.state == "running" else 0.0
    words = sentence(job)
    if job.error is not None and job.error.hint:
        words = f"{words} {job.error.hint}"
    return DownloadFace(
        title=spec.out if spec.out == spec.repo else f"{spec.out}   from {spec.repo}",
        mark=mark,
        token=token,
        words=words,
        figures=_figures(fetch, speed),
        share=job.step / job.steps if job.steps and job.state not in ("done", "cancelled") else None,
        speeds=fetch.speeds if job.state == "running" else (),
        speed=f"{megabytes(round(speed))} a second" if speed else "",
        files=file_faces(job) if job.state != "done" else (),
        verbs=DONE[spec.room] if job.state == "done" else VERBS[job.state],
    )


def file_faces(job: Job) -> tuple[FileFace, ...]:
    """How far each file of a download is."""
    return tuple(
        (file.name, file.done / file.total if file.total else 1.0, _of(file.done, file.total))
        for file in job.files
    )


def _figures(fetch: Fetch, speed: float) -> str:
    job = fetch.job
    if job.state == "done":
        return megabytes(job.steps) if job.steps else ""
    parts = [_of(job.step, job.steps) if job.steps else ""]
    if speed:
        parts.append(f"{megabytes(round(speed))}/s")
    if job.state == "running" and job.seconds_left is not None:
        parts.append(f"{duration(job.seconds_left)} left")
    return "   ".join(part for part in parts if part)


def _of(done: int, total: int) -> str:
    return f"{megabytes(done)} of {megabytes(total)}"
