"""Training a model that hears, reads lips and does both: the plan, and the job followed live."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.following import Following
from app.presenters.notice import Notice, from_error
from app.presenters.speech_models import SpeechLibrary
from app.words import count
from engine.messages import (
    Bases,
    Error,
    Job,
    JobChanged,
    JobProgress,
    JobRemoved,
    ListBases,
    TrainSpeech,
)

__all__ = ["SpeechTraining", "SpeechTrainingPlan", "rates_of"]


@dataclass(frozen=True)
class SpeechTrainingPlan:
    """The fields of TrainSpeech that a person chooses. ``model`` starts from one of the library, with its
    parts and rates; else ``ear``, ``eye`` and ``llm`` are named. Rates are written as "4 16"."""

    data: str = ""
    name: str = ""
    model: str = ""
    ear: str = ""
    eye: str = ""
    llm: str = ""
    audio_rates: str = "4 16"
    video_rates: str = "2 5"
    steps: int = 1000
    batch_size: int = 8
    learning_rate: float = 1e-3
    heldout: float = 0.1
    noisy: bool = True
    seed: int = 0


class SpeechTraining(Following):
    """``planned``: another plan, or other parts to choose from. ``noticed(Notice)``; ``announced(sentence)``:
    for readers. The rest is Following's."""

    kinds = (TrainSpeech,)

    planned = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(self, client: Client, models: SpeechLibrary, parent: QObject | None = None) -> None:
        super().__init__(client, parent)
        self.models = models
        self.plan = SpeechTrainingPlan()
        self.bases: tuple[str, ...] = ()
        client.welcomed.connect(self.refresh)
        client.happened.connect(self._on_event)
        client.gauge.connect(self._on_gauge)
        models.changed.connect(self.planned)
        self.failed.connect(self._complain)
        self.finished.connect(self._ended)
        if client.engine.phase == "ready":
            self.refresh()

    def refresh(self) -> None:
        """Ask again which bases there are and whether a training goes on."""
        self._client.ask(ListBases(), self._learn_bases, self._complain)
        self.find()

    # the plan

    def set(self, **changes: Any) -> None:
        """Another plan."""
        plan = replace(self.plan, **changes)
        if plan != self.plan:
            self.plan = plan
            self.planned.emit()

    @property
    def name(self) -> str:
        """What the new model will be called."""
        return self.plan.name.strip() or self.free_name

    @property
    def free_name(self) -> str:
        """The name proposed."""
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(self.plan.data).stem).strip("-.") or "speech"
        taken = {*self.models.cards, *self.names}
        name, number = stem, 2
        while name in taken:
            name, number = f"{stem}-{number}", number + 1
        return name

    @property
    def why_not(self) -> str:
        """What is missing before training can begin; empty when nothing is."""
        plan = self.plan
        if self.is_open:
            return "A model of speech is being trained."
        if not plan.data:
            return "Choose a file of clips and what is said in them."
        if not plan.model:
            if not plan.llm:
                return "Choose a language model that writes the words."
            if not (plan.ear or plan.eye):
                return "Choose an ear, an eye, or both."
            if (plan.ear and not rates_of(plan.audio_rates)) or (plan.eye and not rates_of(plan.video_rates)):
                return "Rates are whole numbers of 1 or more, such as 4 16."
        if self.name in self.models.cards:
            return f"There is a {self.name} already. Choose another name."
        return ""

    @property
    def sentence(self) -> str:
        """What the plan means, in words."""
        plan = self.plan
        noise = ", some of it under babble" if plan.noisy else ""
        kept = f"{100 * plan.heldout:.0f} % of the clips are kept apart to count errors on."
        clips = count(plan.batch_size, "clip")
        return f"{count(plan.steps, 'step')} of {clips}, by ear, by eye and by both in turns{noise}. {kept}"

    def train(self) -> bool:
        """Hand the plan over as a job. False where something is missing."""
        if self.why_not:
            return False
        plan = self.plan
        named: dict[str, Any] = {"model": plan.model}
        if not plan.model:
            named = {"ear": plan.ear, "eye": plan.eye, "llm": plan.llm}
            rates = {"audio_rates": rates_of(plan.audio_rates), "video_rates": rates_of(plan.video_rates)}
            named |= {key: value for key, value in rates.items() if value}
        self.submit(
            TrainSpeech(
                data=plan.data,
                out=self.name,
                steps=plan.steps,
                batch_size=plan.batch_size,
                learning_rate=plan.learning_rate,
                heldout=plan.heldout,
                noisy=plan.noisy,
                seed=plan.seed,
                **named,
            )
        )
        return True

    # the engine speaks

    def _learn_bases(self, body: Bases) -> None:
        self.bases = tuple(base.name for base in body.bases if not base.missing)
        self.planned.emit()

    def _on_event(self, body: object) -> None:
        match body:
            case JobChanged(job=job):
                self.job_changed(job)
            case JobRemoved(id=gone):
                self.job_removed(gone)

    def _on_gauge(self, body: object) -> None:
        if isinstance(body, JobProgress):
            self.progressed(body)

    def _ended(self, job: Job) -> None:
        if job.state == "done":
            name = str(job.result.get("name", job.name))
            self.announced.emit(f"{name} is trained")
            self.noticed.emit(Notice("good", f"{name} is trained and listens from now on."))
            self.models.choose_when_here(name)
        elif job.state == "failed" and job.error is not None:
            self._complain(job.error)

    def _complain(self, error: Error) -> None:
        if error.code not in ("cancelled", "crashed"):
            self.noticed.emit(from_error(error))


def rates_of(words: str) -> tuple[int, ...]:
    """ "4 16" or "4, 16" -> (4, 16), the finest first; () where it is not that."""
    parts = words.replace(",", " ").split()
    if not parts or not all(part.isdecimal() and int(part) >= 1 for part in parts):
        return ()
    return tuple(sorted({int(part) for part in parts}))
