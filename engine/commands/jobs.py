"""Jobs: long work, past and present."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
import typer

from engine.commands.session import plain, session, table
from engine.formats.sizes import as_size
from engine.messages import (
    CancelJob,
    Download,
    ExportMix,
    Job,
    ListJobs,
    Log,
    PauseJob,
    ReadLog,
    RemoveJob,
    ResumeJob,
    ScoreMix,
    ShowJob,
)

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Long work, past and present.")


@app.command("list")
def list_jobs() -> None:
    """All jobs, the oldest first."""
    with session.engine() as engine:
        found: list[Job] = engine.call(ListJobs()).jobs
    rows = [(job.id, job.kind, job.name, job.state, _how_far(job), job.message) for job in found]
    text = table(("id", "kind", "name", "state", "done", ""), rows) or "There are no jobs."
    session.result({"jobs": [plain(job) for job in found]}, text)


@app.command()
def show(id: str) -> None:
    """One job in full."""
    with session.engine() as engine:
        _tell(engine.call(ShowJob(id=id)))


@app.command()
def log(id: str) -> None:
    """What a job has said so far."""
    with session.engine() as engine:
        job: Job = engine.call(ShowJob(id=id))
        said: Log = engine.call(ReadLog(id=job.id))
    lines = [f"{time.strftime('%H:%M:%S', time.localtime(line.time))}  {line.text}" for line in said.lines]
    session.result(plain(job) | {"lines": msgspec.to_builtins(said.lines)}, "\n".join(lines))


@app.command()
def pause(id: str) -> None:
    """Let a job rest: a checkpoint is kept of a training, of a download what has come."""
    with session.engine() as engine:
        _tell(engine.call(PauseJob(id=id)))


@app.command()
def resume(id: str) -> None:
    """Go on with a paused, failed or held job from its newest checkpoint, or the last byte that came."""
    with session.engine() as engine:
        _tell(engine.call(ResumeJob(id=id)))


@app.command()
def cancel(
    id: str,
    keep: Annotated[bool, typer.Option("--keep", help="Save what a training has learned so far.")] = False,
) -> None:
    """Give a job up: what it has made is deleted, what it has fetched when the job is removed."""
    with session.engine() as engine:
        _tell(engine.call(CancelJob(id=id, keep=keep)))


@app.command()
def remove(id: str) -> None:
    """Take an ended job out of the history, with what it has left."""
    with session.engine() as engine:
        engine.call(RemoveJob(id=id))
    session.result({"id": id}, f"Job {id} was removed.")


def _tell(job: Job) -> None:
    text = f"{job.id}  {job.kind} {job.name}: {job.state}, {_how_far(job)}. {job.message}"
    if job.error and job.error.hint:
        text += f"\n{job.error.hint}"
    session.result(plain(job), text)


def _how_far(job: Job) -> str:
    """Steps of a training, bytes of a download; of other work, which counts in units of its own, a share."""
    if isinstance(job.spec, Download):
        return f"{as_size(job.step)} of {as_size(job.steps)}" if job.steps else "-"
    if not isinstance(job.spec, ScoreMix | ExportMix):
        return f"{job.step}/{job.steps} steps" if job.steps else "-"
    return f"{100 * job.step // job.steps} %" if job.steps else "-"
