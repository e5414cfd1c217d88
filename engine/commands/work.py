"""Long work from the command line: submit a job, stay with it to its end, say how it went."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from engine.client import Client
from engine.commands.session import session
from engine.formats.errors import StudioError
from engine.formats.sizes import as_size
from engine.messages import (
    CancelJob,
    Download,
    GaugeBody,
    Job,
    JobProgress,
    JobSpec,
    PauseJob,
    ShowJob,
    SubmitJob,
)

__all__ = ["Base", "BatchSize", "Data", "Length", "Seed", "data_path", "data_sets", "finished", "run_job"]

PAUSE_SECONDS = 5.0
STOPPED = "Nothing of it was kept. Run the command again to begin anew."

Base = Annotated[str, typer.Option("--base", help="Name of the base model.")]
Data = Annotated[str, typer.Option("--data", help="A file, or a starter data set.")]
BatchSize = Annotated[int, typer.Option("--batch-size")]
Length = Annotated[int, typer.Option("--max-length", help="Tokens that an example may have.")]
Seed = Annotated[int, typer.Option("--seed", min=0)]


def run_job(spec: JobSpec, begun: str = "") -> Job:
    """Submit a job and stay with it to its end, through a death of the engine too. ``begun`` is the id of
    one that has been submitted before.

    Ctrl-C cancels the job, of a download it keeps what has come. A job that does not end well is raised as
    StudioError.
    """
    key = begun or uuid.uuid4().hex[:12]
    submitted = bool(begun)
    while True:
        try:
            with session.engine(on_gauge=_show_gauge(key)) as engine:
                if not submitted:
                    # Under the same id a second submission is the same job.
                    engine.call(SubmitJob(id=key, spec=spec), session.show_progress)
                    submitted = True
                return _follow(engine, key)
        except StudioError as error:
            if error.code != "crashed":
                raise
            session.note("The engine has stopped; starting it again.")


def _follow(engine: Client, key: str) -> Job:
    try:
        while True:
            job: Job = engine.call(ShowJob(id=key))
            match job.state:
                case "done":
                    return job
                case "cancelled":
                    fetched = isinstance(job.spec, Download)
                    hint = (
                        f"{job.message} `adapter-studio jobs remove {key}` deletes it."
                        if fetched
                        else STOPPED
                    )
                    raise StudioError("cancelled", f"{job.name} was cancelled.", hint)
                case "failed" | "held":
                    error = job.error
                    if error is None:
                        raise StudioError("failed", job.message)
                    raise StudioError(error.code, error.message, error.hint, error.detail)
                case "paused" if job.error is not None:  # a full disk: waiting would be for ever
                    hint = f"{job.error.hint} Then go on with: adapter-studio jobs resume {key}"
                    raise StudioError(job.error.code, job.error.message, hint.strip(), job.error.detail)
                case "paused":
                    session.progress(f"{job.name} is paused. Continue with: adapter-studio jobs resume {key}")
                case "queued":
                    session.progress(f"{job.name}: {job.message}")
            engine.listen(0.25)
    except KeyboardInterrupt:
        pass
    except StudioError as error:
        if error.code != "cancelled" or error.message != "Cancelled.":
            raise
    raise _stop(engine, key)


def _stop(engine: Client, key: str) -> StudioError:
    job: Job = engine.call(ShowJob(id=key))
    if isinstance(job.spec, Download):
        job = engine.call(PauseJob(id=key))
        until = time.monotonic() + PAUSE_SECONDS
        while job.state == "running" and time.monotonic() < until:
            engine.listen(0.05)
            job = engine.call(ShowJob(id=key))
        return StudioError(
            "cancelled",
            f"{job.name} was stopped; {as_size(job.step)} of it are kept.",
            f"The same command goes on from there; `adapter-studio jobs cancel {key}` gives it up.",
        )
    engine.call(CancelJob(id=key))
    return StudioError("cancelled", "The job was cancelled.", STOPPED)


def _show_gauge(key: str) -> Callable[[GaugeBody], None]:
    def show(gauge: GaugeBody) -> None:
        if not isinstance(gauge, JobProgress) or gauge.id != key:
            return
        loss = gauge.metrics.get("loss")
        if gauge.files:
            speed = gauge.metrics.get("speed")
            parts = [gauge.message.rstrip("."), f"{as_size(gauge.step)} of {as_size(gauge.steps)}"]
            parts += [f"{as_size(speed)}/s"] if speed else []
        elif loss is not None:
            parts = [f"step {gauge.step} of {gauge.steps}", f"loss {loss:.4f}"]
        else:
            parts = [gauge.message.rstrip(".")]
            parts += [f"{100 * gauge.step // gauge.steps} %"] if gauge.step and gauge.steps else []
        parts += [f"{duration(gauge.seconds_left)} left"] if gauge.seconds_left is not None else []
        session.progress(", ".join(parts))

    return show


def finished(job: Job, keys: Sequence[str] = ()) -> None:
    """The result of a training, with what its ``keys`` say about it."""
    values = {"name": job.name, "steps": job.step, "loss": job.result.get("loss")}
    values |= {key: job.result.get(key) for key in keys}
    warning = job.result.get("warning") or ""
    if warning:
        session.note(warning)
        values["warning"] = warning
    loss = job.result.get("loss")
    measured = f", loss {loss:.4f}" if isinstance(loss, float) else ""
    text = f"{job.name} is ready: {job.step} steps in {duration(job.seconds)}{measured}."
    session.result(values | {"seconds": job.seconds, "job": job.id}, text)


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def data_path(data: str) -> str:
    """The engine may run in another folder, so a file that is here is named in full."""
    path = Path(data).expanduser()
    return str(path.absolute()) if path.exists() else data


def data_sets(given: Sequence[str]) -> dict[str, str]:
    """``[NAME=]DATA`` each: {name: file or starter set}. Without a name, that of the file or the set."""
    found: dict[str, str] = {}
    for text in given:
        name, sign, data = text.partition("=")
        if not sign or Path(text).expanduser().exists():
            data = text
            name = Path(text).stem if Path(text).expanduser().exists() else text
        if name in found:
            raise StudioError("usage", f"The data set {name} is named twice.", "Give one as OTHER=FILE.")
        found[name] = data_path(data)
    return found
