"""A training that a form plans: its plan, the name of what it makes, and what is said when it has ended."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import Any, ClassVar

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.following import Following
from app.presenters.names import free_name
from app.presenters.notice import Notice, from_error
from engine.messages import Error, Job, JobSpec

__all__ = ["PlannedTraining"]


class PlannedTraining(Following):
    """``plan`` is a frozen dataclass with a ``name`` among its fields, "" for the proposed one.

    ``planned``: another plan, or other things to choose from. ``noticed(Notice)``; ``announced(sentence)``:
    for readers. The rest is Following's. A subclass says what is missing (``why_not``), how the plan becomes
    a job (``spec_of_plan``), and where its result goes (``trained``).
    """

    silent: ClassVar[tuple[str, ...]] = ("cancelled",)
    """Codes of failures that are told elsewhere."""

    planned = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(self, client: Client, plan: Any, parent: QObject | None = None) -> None:
        super().__init__(client, parent)
        self.plan = plan
        self.failed.connect(self.complain)
        self.finished.connect(self._ended)

    def set(self, **changes: Any) -> None:
        """Change fields of the plan."""
        plan = replace(self.plan, **changes)
        if plan != self.plan:
            self.plan = plan
            self.planned.emit()

    @property
    def stem(self) -> str:
        """What the proposed name begins with."""
        raise NotImplementedError

    @property
    def taken(self) -> Set[str]:
        """Names that the library has given away."""
        raise NotImplementedError

    @property
    def why_not(self) -> str:
        """What is missing before training can begin; empty when nothing is."""
        raise NotImplementedError

    def spec_of_plan(self) -> JobSpec:
        """The plan as a job."""
        raise NotImplementedError

    def trained(self, name: str) -> str:
        """Take up what has been trained; returns what it is good for now, as the end of a sentence."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """What the result will be called."""
        return self.plan.name.strip() or self.free_name

    @property
    def free_name(self) -> str:
        """The name proposed."""
        return free_name(self.stem, self.taken | self.names)

    def train(self) -> bool:
        """Hand the plan over as a job. False where something is missing."""
        if self.why_not:
            return False
        self.submit(self.spec_of_plan())
        return True

    def complain(self, error: Error) -> None:
        """Say why something failed."""
        if error.code not in self.silent:
            self.noticed.emit(from_error(error))

    def _ended(self, job: Job) -> None:
        if job.state == "done":
            name = str(job.result.get("name", job.name))
            self.announced.emit(f"{name} is trained")
            self.noticed.emit(Notice("good", f"{name} is trained and {self.trained(name)}"))
        elif job.state == "failed" and job.error is not None:
            self.complain(job.error)
