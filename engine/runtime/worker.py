"""A process that works for the supervisor: it gives every call that arrives its turn, until it is ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any, Generic, TypeVar

from engine.formats.errors import StudioError
from engine.messages import Call, Cancel, Done, Failure, Progress, Result, StartJob, SteerJob, Work
from engine.runtime.failures import explain
from engine.runtime.jobs import JobRun
from engine.runtime.scheduler import Kind, Piece, Scheduler
from engine.wire import Wire

__all__ = ["Worker"]

Run = TypeVar("Run", bound=JobRun)


class Worker(ABC, Generic[Run]):
    """Answers calls until the process ends; ``jobs`` are those that run.

    StartJob is answered with Done as soon as the job has its place; everything after that is reports.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.jobs: dict[str, Run] = {}
        self._scheduler = Scheduler()

    @abstractmethod
    def answer(self, id: str, work: Work) -> None:
        """Take up a live request: ``begin`` it, or answer it at once. Raises what is wrong with it."""

    @abstractmethod
    def job(self, order: StartJob) -> Run:
        """A start of a job that is not running yet."""

    def serve(self) -> None:
        """Take calls and work on them, for ever."""
        while True:
            self.turn()

    def turn(self) -> None:
        """Take what has arrived, waiting if there is nothing else to do; then one turn of work."""
        self._listen(wait=not self._scheduler.busy)
        self._scheduler.turn(between=self._listen)
        self.wire.busy = self._scheduler.busy

    def begin(self, id: str, kind: Kind, steps: Generator[Any, None, Any]) -> None:
        """Let a request take its turns: what ``steps`` yields is progress, what it returns the answer."""
        self._scheduler.add(
            Piece(
                id,
                kind,
                steps,
                said=lambda body: self.wire.send(Progress(id=id, body=body)),
                ended=lambda body: self.wire.send(Result(id=id, body=body)),
                failed=lambda error: self._fail(id, error),
            )
        )

    def _listen(self, wait: bool = False) -> None:
        for message in self.wire.received(wait):
            if isinstance(message, Cancel):
                self._cancel(message.id)
            else:
                self._take(message)
        self.wire.busy = self._scheduler.busy

    def _take(self, call: Call) -> None:
        try:
            match call.body:
                case Work() as work:
                    self.answer(call.id, work)
                case StartJob() as order:
                    self._start(order)
                    self.wire.send(Result(id=call.id, body=Done()))
                case SteerJob() as word:
                    self._steer(word)
                    self.wire.send(Result(id=call.id, body=Done()))
                case other:
                    raise StudioError("protocol", f"A runtime does not answer {type(other).__name__}.")
        except Exception as error:  # noqa: BLE001 - every call is answered
            self._fail(call.id, error)

    def _start(self, order: StartJob) -> None:
        if order.id in self.jobs:
            raise StudioError("busy", "This job is already running here.", "Wait until it ends.")
        run = self.job(order)
        self.jobs[order.id] = run

        def over(_: object) -> None:
            del self.jobs[order.id]

        self._scheduler.add(Piece(order.id, "training", run.steps(), ended=over, failed=over))

    def _steer(self, word: SteerJob) -> None:
        run = self.jobs.get(word.id)
        if run is None or run.epoch != word.epoch:
            raise StudioError("missing", "This job does not run here any more.", "Look at its state.")
        run.mailbox.post(word.action)

    def _cancel(self, id: str) -> None:
        # A call that has ended was already answered.
        if self._scheduler.remove(id):
            self._fail(id, StudioError("cancelled", "Stopped."))

    def _fail(self, id: str, error: Exception) -> None:
        self.wire.send(Failure(id=id, error=explain(error)))
