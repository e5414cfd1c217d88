"""Scoring the mix on the desk beside every honest alternative: what to score, the job, earlier results."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.following import OPEN_STATES
from app.presenters.notice import from_error
from app.presenters.scoring_plan import ARMS, Plan, named
from app.presenters.standings import Standings
from app.presenters.stock import HELD_OUT, Stock
from app.words import duration
from engine.messages import (
    Arm,
    Body,
    CancelJob,
    DataSet,
    Error,
    Job,
    JobChanged,
    JobProgress,
    JobRemoved,
    Jobs,
    ListJobs,
    MixCard,
    PauseJob,
    Request,
    ResumeJob,
    ScoreMix,
    SubmitJob,
)

__all__ = ["Scores"]


class Scores(QObject):
    """``changed``: the plan, the job or the results. ``noticed(Notice)``: a wish was refused; of a data file
    that cannot be read the stock says so. ``announced(sentence)``: a run that was watched has ended."""

    changed = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(
        self,
        client: Client,
        stock: Stock,
        desk: Callable[[], tuple[MixCard | None, int, str, dict[str, int]]],
        parent: QObject | None = None,
    ) -> None:
        """``desk`` says which mix is on it, how many experts top-k hears, what it trains on, and which
        experts are slid to which rank."""
        super().__init__(parent)
        self._client = client
        self._stock = stock
        self._desk = desk
        self._jobs: dict[str, Job] = {}
        self._plans: dict[str, Plan] = {}
        self._chosen = ""
        client.welcomed.connect(self.refresh)
        client.happened.connect(self._on_event)
        client.gauge.connect(self._on_gauge)
        stock.changed.connect(self.changed)
        if client.engine.phase == "ready":
            self.refresh()

    def refresh(self) -> None:
        self._client.ask(ListJobs(), self._list, self._failed)

    # what is to be scored

    @property
    def mix(self) -> MixCard | None:
        return self._desk()[0]

    @property
    def plan(self) -> Plan:
        """The plan for this mix: as edited here, as last scored, or what its experts suggest."""
        mix = self.mix
        if mix is None:
            return Plan()
        return (
            self._plans.get(mix.name)
            or self._as_last_scored
            or Plan.suggested(mix, self._stock.sets, self._desk()[2])
        )

    @property
    def _as_last_scored(self) -> Plan | None:
        newest = max(self._of_mix, key=lambda job: job.created, default=None)
        if newest is None or not isinstance(newest.spec, ScoreMix):
            return None
        return Plan.again(newest.spec, self._stock)

    @property
    def sets(self) -> list[DataSet]:
        """The chosen test sets."""
        chosen = [self._stock.data(path) for path in self.plan.sets]
        return [data for data in chosen if data is not None]

    @property
    def offered(self) -> list[DataSet]:
        """Starter sets to score on that are not chosen yet."""
        return [
            data
            for data in self._stock.sets
            if data.name.endswith(HELD_OUT) and data.path not in self.plan.sets
        ]

    @property
    def train(self) -> DataSet | None:
        return self._stock.data(self.plan.train)

    def add_set(self, path: str) -> None:
        """Score on the file at ``path`` too; it is read to its end first."""

        def read(data: DataSet) -> None:
            if data.path not in self.plan.sets:
                self.set_plan(sets=(*self.plan.sets, data.path))

        self._stock.read(path, read)

    def remove_set(self, path: str) -> None:
        self.set_plan(sets=tuple(other for other in self.plan.sets if other != path))

    def choose_train(self, path: str) -> None:
        """What the arms that learn are trained on; "" for nothing."""
        if path:
            self._stock.read(path, lambda data: self.set_plan(train=data.path))
        else:
            self.set_plan(train="")

    def set_arm(self, arm: Arm, on: bool) -> None:
        wanted = {*self.plan.arms, arm} if on else {*self.plan.arms} - {arm}
        self.set_plan(arms=tuple(each for each in ARMS if each in wanted))

    def set_plan(self, **changes: Any) -> None:
        """Other fields of the Plan: ``limit``, ``metric``, ``examples``."""
        mix = self.mix
        if mix is not None:
            self._plans[mix.name] = replace(self.plan, **changes)
            self.changed.emit()

    @property
    def why_not(self) -> str:
        """What is missing before the mix can be scored; empty when nothing is."""
        if self.mix is None:
            return "Open a mix first."
        if not self.sets:
            return "Choose at least one test set."
        if not self.plan.arms:
            return "Tick at least one arm."
        if self.job is not None:
            return "This mix is being scored."
        return ""

    @property
    def cost(self) -> str:
        """What scoring as planned takes: answers, trainings, and the time that such a run took before."""
        if self.mix is None:
            return ""
        words = self.plan.cost(self.mix, self.sets, self.train)
        before = [job for job in self.earlier if isinstance(job.spec, ScoreMix) and self.plan.is_of(job.spec)]
        return f"{words} The last such run took {duration(before[0].seconds)}." if before else words

    # the job

    @property
    def _of_mix(self) -> list[Job]:
        mix = self.mix
        return [
            job
            for job in self._jobs.values()
            if mix is not None and isinstance(job.spec, ScoreMix) and job.spec.mix in (mix.name, *mix.former)
        ]

    @property
    def job(self) -> Job | None:
        """The scoring of this mix that is under way."""
        return next((job for job in self._of_mix if job.state in OPEN_STATES), None)

    @property
    def earlier(self) -> list[Job]:
        """Finished scorings of this mix, the newest first."""
        done = [job for job in self._of_mix if job.state == "done" and "arms" in job.result]
        return sorted(done, key=lambda job: job.created, reverse=True)

    @property
    def chosen(self) -> Job | None:
        """The result that is looked at: the chosen one, else the newest."""
        earlier = self.earlier
        return next((job for job in earlier if job.id == self._chosen), earlier[0] if earlier else None)

    @property
    def standings(self) -> Standings | None:
        return Standings.of(self.chosen) if self.chosen is not None else None

    def choose(self, job_id: str) -> None:
        """Look at an earlier result."""
        if job_id != self._chosen:
            self._chosen = job_id
            self.changed.emit()

    def score(self) -> bool:
        """Hand the plan over as a job. False where something is missing."""
        mix = self.mix
        if self.why_not or mix is None:
            return False
        plan = self.plan
        spec = ScoreMix(
            base=mix.base,
            mix=mix.name,
            data=named(self.sets),
            train=plan.train if plan.learning else "",
            arms=plan.arms,
            ranks=self._desk()[3],
            top_k=self._desk()[1],
            limit=plan.limit,
            metric=plan.metric,
            max_examples=plan.examples,
        )
        self._chosen = ""
        self._ask(SubmitJob(id=str(uuid.uuid4()), spec=spec))
        return True

    def pause(self) -> None:
        if self.job is not None:
            self._ask(PauseJob(id=self.job.id))

    def resume(self) -> None:
        if self.job is not None:
            self._ask(ResumeJob(id=self.job.id))

    def cancel(self) -> None:
        if self.job is not None:
            self._ask(CancelJob(id=self.job.id))

    def stop_and_keep(self) -> None:
        """End the run; the arms that are scored so far are its result."""
        if self.job is not None:
            self._ask(CancelJob(id=self.job.id, keep=True))

    def _ask(self, request: Request) -> None:
        self._client.ask(request, self._answered, self._failed)

    # the engine speaks

    def _answered(self, body: Body) -> None:
        if isinstance(body, Job):
            self._put(body)

    def _list(self, body: Body) -> None:
        if isinstance(body, Jobs):
            self._jobs = {job.id: job for job in body.jobs if isinstance(job.spec, ScoreMix)}
            self.changed.emit()

    def _on_event(self, body: object) -> None:
        match body:
            case JobChanged(job=job):
                self._put(job)
            case JobRemoved(id=gone) if gone in self._jobs:
                del self._jobs[gone]
                self.changed.emit()

    def _on_gauge(self, body: object) -> None:
        job = self._jobs.get(body.id) if isinstance(body, JobProgress) else None
        if isinstance(body, JobProgress) and job is not None and job.state == "running":
            self._put(
                msgspec.structs.replace(
                    job,
                    step=body.step,
                    steps=body.steps,
                    message=body.message,
                    seconds_left=body.seconds_left,
                )
            )

    def _put(self, job: Job) -> None:
        if not isinstance(job.spec, ScoreMix):
            return
        before = self._jobs.get(job.id)
        self._jobs[job.id] = job
        if job.state == "failed" and job.error is not None and (before is None or before.state != "failed"):
            self._failed(job.error)
        self.changed.emit()
        found = Standings.of(job) if job.state == "done" else None
        if found is not None and before is not None and before.state in OPEN_STATES:
            self.announced.emit(found.sentence)

    def _failed(self, error: Error) -> None:
        if error.code != "cancelled":
            self.noticed.emit(from_error(error))
