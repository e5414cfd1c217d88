"""Running a job: from its spec to a task, through the loop, to reports and a finished folder."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import msgspec

from engine.formats.dataset import Row, read_rows
from engine.formats.errors import StudioError
from engine.formats.files import sha256_file
from engine.lora import Adapter, read_adapter
from engine.messages import Error, JobCheckpoint, JobEnded, JobStep, StartJob, TrainLora, TrainRouter
from engine.mixer.training import RouterTask
from engine.runtime.base import Base
from engine.runtime.failures import explain
from engine.training import CheckpointDone, Checkpoints, LoraTask, Mailbox, Settings, StepDone, train

__all__ = ["JobRun"]

REPORTS_PER_SECOND = 10
Report = JobStep | JobCheckpoint | JobEnded


class JobRun:
    """One start of a job: ``steps`` is its work, and never raises; how it ended is its last report.

    Post to ``mailbox`` to pause, cancel or keep. Every report carries the job's epoch. ``router`` is the
    router that trains, while it does.
    """

    def __init__(self, base: Base, order: StartJob, report: Callable[[Report], None]) -> None:
        self.id = order.id
        self.epoch = order.epoch
        self.mailbox = Mailbox()
        if order.keep:
            self.mailbox.post("keep")
        self.router: RouterTask | None = None
        self._base = base
        self._order = order
        self._report = report
        self._step = 0
        self._loss: float | None = None
        self._unsaid: list[StepDone] = []
        self._said_at = 0.0
        self._note = ""

    def steps(self) -> Generator[None, None, None]:
        """The whole job; yields whenever others may work."""
        try:
            yield from self._run()
        except Exception as error:  # noqa: BLE001 - whatever happens to a job is in its report
            self._flush()
            self._end("failed", error=explain(error))

    def _run(self) -> Generator[None, None, None]:
        order, spec = self._order, self._order.spec
        yield
        rows = read_rows(order.paths["data"])
        self._say(f"Preparing {len(rows)} examples.", _steps(spec, len(rows)))
        yield
        experts = {name: read_adapter(order.paths[f"adapter:{name}"]) for name in _experts(spec)}
        task = _task(self._base, spec, rows, experts)
        try:
            yield
            settings = _settings(spec, len(rows))
            checkpoints = Checkpoints(
                Path(order.folder), epoch=order.epoch, job_hash=_job_hash(order, experts)
            )
            resume = self._resume(checkpoints)
            self.router = task if isinstance(task, RouterTask) else None
            loop = train(task, settings, checkpoints, self.mailbox, resume)
            outcome = yield from self._follow(loop)
            if outcome in ("paused", "cancelled"):
                self._end(outcome)
                return
            self._say("Saving.", settings.steps)
            yield
            output, result = self._save(task)
            self._end(outcome, output=str(output), result=result)
        finally:
            self.router = None
            task.close()

    def _resume(self, checkpoints: Checkpoints) -> dict[str, Any] | None:
        """The state to go on from. A note says so where it is not the one that was asked for."""
        if self._order.checkpoint is None:
            return None
        found = checkpoints.newest(Path(self._order.checkpoint))
        if checkpoints.complaints:
            again = f"Went on from step {found.step}." if found else "Began again from the first step."
            self._note = " ".join([*checkpoints.complaints, again])
        if found is None and self._order.keep:
            raise StudioError(
                "failed",
                "None of its checkpoints can be read any more, so there is nothing to keep.",
                "Resume it to train it anew, or cancel it.",
                self._note,
            )
        if found is None:
            return None
        self._step, self._loss = found.step, float(found.tensors["loss"])
        return found.tensors

    def _follow(self, loop: Generator[Any, None, Any]) -> Generator[None, None, Any]:
        """Turn the loop's events into reports; returns how it ended."""
        while True:
            try:
                event = next(loop)
            except StopIteration as end:
                self._flush()
                return end.value
            if isinstance(event, StepDone):
                self._step, self._loss = event.step, event.metrics["loss"]
                self._unsaid.append(event)
                if time.monotonic() - self._said_at >= 1 / REPORTS_PER_SECOND:
                    self._flush()
            elif isinstance(event, CheckpointDone):
                self._flush()
                self._report(
                    JobCheckpoint(id=self.id, epoch=self.epoch, step=event.step, folder=str(event.folder))
                )
            yield

    def _save(self, task: LoraTask | RouterTask) -> tuple[Path, dict[str, Any]]:
        # An earlier start may have been killed between writing its result and saying so.
        output = Path(self._order.folder) / f"output-{self.epoch:06d}"
        for old in output.parent.glob("output-*"):
            if old.name < output.name:
                shutil.rmtree(old)
        result = {"name": self._order.spec.out, "steps": self._step, "loss": self._loss} | task.save(output)
        return output, result

    def _flush(self) -> None:
        if not self._unsaid:
            return
        steps, self._unsaid, self._said_at = self._unsaid, [], time.monotonic()
        last = steps[-1]
        self._report(
            JobStep(
                id=self.id,
                epoch=self.epoch,
                steps_done=[event.step for event in steps],
                metrics=[event.metrics for event in steps],
                steps=last.steps,
                message=f"Training. {self._note}".strip(),
                seconds_left=last.seconds_left,
            )
        )

    def _say(self, message: str, steps: int) -> None:
        self._report(
            JobStep(
                id=self.id,
                epoch=self.epoch,
                steps_done=[],
                metrics=[],
                steps=steps,
                message=message,
                seconds_left=None,
            )
        )

    def _end(
        self, outcome: Any, output: str = "", result: dict[str, Any] | None = None, error: Error | None = None
    ) -> None:
        self._report(
            JobEnded(
                id=self.id,
                epoch=self.epoch,
                outcome=outcome,
                step=self._step,
                output=output,
                result=result or {},
                error=error,
            )
        )


def _experts(spec: TrainLora | TrainRouter) -> list[str]:
    return spec.experts if isinstance(spec, TrainRouter) else []


def _steps(spec: TrainLora | TrainRouter, rows: int) -> int:
    if isinstance(spec, TrainLora) or spec.steps is not None:
        return spec.steps or 0
    return spec.epochs * -(-min(rows, spec.max_examples) // spec.batch_size)


def _settings(spec: TrainLora | TrainRouter, rows: int) -> Settings:
    return Settings(
        steps=_steps(spec, rows),
        learning_rate=spec.learning_rate,
        warmup=spec.warmup,
        weight_decay=spec.weight_decay,
        seed=spec.seed,
        checkpoint_seconds=spec.checkpoint_seconds,
    )


def _task(
    base: Base, spec: TrainLora | TrainRouter, rows: list[Row], experts: dict[str, Adapter]
) -> LoraTask | RouterTask:
    if isinstance(spec, TrainLora):
        return LoraTask(
            base.model,
            base.tokenizer,
            rows,
            rank=spec.rank,
            alpha=spec.alpha,
            targets=spec.targets,
            rslora=spec.rslora,
            batch_size=spec.batch_size,
            max_length=spec.max_length,
            seed=spec.seed,
            name=spec.out,
            base=base.name,
        )
    return RouterTask(
        base.model,
        base.tokenizer,
        rows,
        experts,
        router_input=spec.router_input,
        null_expert=spec.null_expert,
        temperature=spec.temperature,
        balance_weight=spec.balance_weight,
        entropy_weight=spec.entropy_weight,
        max_examples=spec.max_examples,
        batch_size=spec.batch_size,
        max_length=spec.max_length,
        seed=spec.seed,
        name=spec.out,
        base=base.name,
    )


def _job_hash(order: StartJob, experts: dict[str, Adapter]) -> str:
    """Names the spec and everything it reads: a checkpoint of anything else is not this job's."""
    recipe = (
        order.spec,
        sha256_file(Path(order.paths["data"])),
        [adapter.sha256 for adapter in experts.values()],
    )
    return hashlib.sha256(msgspec.json.encode(recipe)).hexdigest()
