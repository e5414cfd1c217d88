"""Long work: train an adapter or a router, and look after jobs."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from engine.client import Client
from engine.commands.session import plain, session, table
from engine.formats.errors import StudioError
from engine.messages import (
    CancelJob,
    GaugeBody,
    Job,
    JobProgress,
    JobSpec,
    ListJobs,
    Log,
    PauseJob,
    ReadLog,
    RemoveJob,
    ResumeJob,
    ShowJob,
    SubmitJob,
    TrainLora,
    TrainRouter,
)

__all__ = ["jobs", "run_job", "train", "train_mix"]

train = typer.Typer(no_args_is_help=True, help="Train a new adapter.")
jobs = typer.Typer(no_args_is_help=True, help="Long work, past and present.")

STOPPED = "Nothing of it was kept. Run the command again to begin anew."

Base = Annotated[str, typer.Option("--base", help="Name of the base model.")]
Data = Annotated[str, typer.Option("--data", help="A file, or a starter data set.")]
Length = Annotated[int, typer.Option("--max-length", help="Tokens that an example may have.")]
Seed = Annotated[int, typer.Option("--seed", min=0)]


@train.command()
def lora(
    base: Base,
    data: Data,
    out: Annotated[str, typer.Option("--out", help="What to call the new adapter.")],
    rank: Annotated[int, typer.Option("--rank")] = 8,
    alpha: Annotated[float | None, typer.Option("--alpha", help="Default: the rank, a scale of 1.")] = None,
    target: Annotated[list[str] | None, typer.Option("--target", help="Projections to adapt.")] = None,
    rslora: Annotated[bool, typer.Option("--rslora", help="Scale by the root of the rank.")] = False,
    steps: Annotated[int, typer.Option("--steps")] = 300,
    batch_size: Annotated[int, typer.Option("--batch-size")] = 32,
    learning_rate: Annotated[float, typer.Option("--learning-rate")] = 3e-3,
    max_length: Length = 256,
    seed: Seed = 0,
) -> None:
    """Train a LoRA on prompts and completions."""
    spec = TrainLora(
        base=base,
        data=_path(data),
        out=out,
        rank=rank,
        alpha=alpha,
        targets=target or [],
        rslora=rslora,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_length=max_length,
        seed=seed,
    )
    job = run_job(spec)
    values = {"name": job.name, "steps": job.step, "loss": job.result.get("loss"), "seconds": job.seconds}
    session.result(values | {"job": job.id}, _sentence(job))


def train_mix(
    base: Base,
    expert: Annotated[list[str], typer.Option("--expert", help="May be repeated.")],
    data: Data,
    out: Annotated[str, typer.Option("--out", help="What to call the mix.")],
    router_input: Annotated[str, typer.Option("--router-input", help="context or local")] = "context",
    epochs: Annotated[int, typer.Option("--epochs")] = 3,
    steps: Annotated[int | None, typer.Option("--steps")] = None,
    max_examples: Annotated[int, typer.Option("--max-examples")] = 2000,
    batch_size: Annotated[int, typer.Option("--batch-size")] = 32,
    learning_rate: Annotated[float, typer.Option("--learning-rate")] = 1e-2,
    max_length: Length = 256,
    seed: Seed = 0,
) -> None:
    """Train a router over frozen experts."""
    if router_input not in ("context", "local"):
        raise StudioError(
            "usage", f"The router's input cannot be {router_input}.", "Choose context or local."
        )
    spec = TrainRouter(
        base=base,
        experts=expert,
        data=_path(data),
        out=out,
        router_input="local" if router_input == "local" else "context",
        epochs=epochs,
        steps=steps,
        max_examples=max_examples,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_length=max_length,
        seed=seed,
    )
    job = run_job(spec)
    keys = ("loss", "usage", "router_parameters")
    values = {"name": job.name, "steps": job.step} | {key: job.result.get(key) for key in keys}
    session.result(values | {"seconds": job.seconds, "job": job.id}, _sentence(job))


def run_job(spec: JobSpec) -> Job:
    """Submit a job and stay with it to its end, through a death of the engine too.

    Ctrl-C cancels the job. A job that does not end well is raised as StudioError.
    """
    key = uuid.uuid4().hex[:12]
    submitted = False
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
                    raise StudioError("cancelled", f"{job.name} was cancelled.", STOPPED)
                case "failed" | "held":
                    error = job.error
                    if error is None:
                        raise StudioError("failed", job.message)
                    raise StudioError(error.code, error.message, error.hint, error.detail)
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
    engine.call(CancelJob(id=key))
    raise StudioError("cancelled", "The job was cancelled.", STOPPED)


def _show_gauge(key: str) -> Any:
    def show(gauge: GaugeBody) -> None:
        if not isinstance(gauge, JobProgress) or gauge.id != key:
            return
        loss = gauge.metrics.get("loss")
        parts = [f"step {gauge.step} of {gauge.steps}" if gauge.step else gauge.message]
        parts += [f"loss {loss:.4f}"] if loss is not None else []
        parts += [f"{_duration(gauge.seconds_left)} left"] if gauge.seconds_left is not None else []
        session.progress(", ".join(parts))

    return show


@jobs.command("list")
def list_jobs() -> None:
    """All jobs, the oldest first."""
    with session.engine() as engine:
        found: list[Job] = engine.call(ListJobs()).jobs
    rows = [(job.id, job.kind, job.name, job.state, f"{job.step}/{job.steps}", job.message) for job in found]
    text = table(("id", "kind", "name", "state", "step", ""), rows) or "There are no jobs."
    session.result({"jobs": [plain(job) for job in found]}, text)


@jobs.command()
def show(id: str) -> None:
    """One job in full."""
    with session.engine() as engine:
        _tell(engine.call(ShowJob(id=id)))


@jobs.command()
def log(id: str) -> None:
    """What a job has said so far."""
    with session.engine() as engine:
        job: Job = engine.call(ShowJob(id=id))
        said: Log = engine.call(ReadLog(id=job.id))
    lines = [f"{time.strftime('%H:%M:%S', time.localtime(line.time))}  {line.text}" for line in said.lines]
    session.result(plain(job) | {"lines": msgspec.to_builtins(said.lines)}, "\n".join(lines))


@jobs.command()
def pause(id: str) -> None:
    """Checkpoint a job and free the machine."""
    with session.engine() as engine:
        _tell(engine.call(PauseJob(id=id)))


@jobs.command()
def resume(id: str) -> None:
    """Continue a paused, failed or held job from its newest checkpoint."""
    with session.engine() as engine:
        _tell(engine.call(ResumeJob(id=id)))


@jobs.command()
def cancel(
    id: str,
    keep: Annotated[bool, typer.Option("--keep", help="Save what it has learned so far.")] = False,
) -> None:
    """Stop a job."""
    with session.engine() as engine:
        _tell(engine.call(CancelJob(id=id, keep=keep)))


@jobs.command()
def remove(id: str) -> None:
    """Take an ended job out of the history."""
    with session.engine() as engine:
        engine.call(RemoveJob(id=id))
    session.result({"id": id}, f"Job {id} was removed.")


def _tell(job: Job) -> None:
    text = f"{job.id}  {job.kind} {job.name}: {job.state}, step {job.step} of {job.steps}. {job.message}"
    if job.error and job.error.hint:
        text += f"\n{job.error.hint}"
    session.result(plain(job), text)


def _sentence(job: Job) -> str:
    loss = job.result.get("loss")
    measured = f", loss {loss:.4f}" if isinstance(loss, float) else ""
    return f"{job.name} is ready: {job.step} steps in {_duration(job.seconds)}{measured}."


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _path(data: str) -> str:
    """The engine may run in another folder, so a file that is here is named in full."""
    path = Path(data).expanduser()
    return str(path.absolute()) if path.exists() else data
