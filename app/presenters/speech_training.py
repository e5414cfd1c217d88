"""Training a model that hears, reads lips and does both: the plan, and the job followed live."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject

from app.client import Client
from app.presenters.names import stem_of
from app.presenters.planned import PlannedTraining
from app.presenters.speech_models import SpeechLibrary
from app.words import count
from engine.messages import (
    Bases,
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


class SpeechTraining(PlannedTraining):
    """The plan for a model that listens."""

    kinds = (TrainSpeech,)
    silent = ("cancelled", "crashed")

    def __init__(self, client: Client, models: SpeechLibrary, parent: QObject | None = None) -> None:
        super().__init__(client, SpeechTrainingPlan(), parent)
        self.models = models
        self.bases: tuple[str, ...] = ()
        client.welcomed.connect(self.refresh)
        models.changed.connect(self.planned)
        if client.engine.phase == "ready":
            self.refresh()

    def refresh(self) -> None:
        """Ask again which bases there are and whether a training goes on."""
        self._client.ask(ListBases(), self._learn_bases, self.complain)
        self.find()

    # the plan

    @property
    def stem(self) -> str:
        return stem_of(self.plan.data, "speech")

    @property
    def taken(self) -> Set[str]:
        return self.models.cards.keys()

    @property
    def why_not(self) -> str:
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
        if self.name in self.taken:
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

    def spec_of_plan(self) -> TrainSpeech:
        plan = self.plan
        named: dict[str, Any] = {"model": plan.model}
        if not plan.model:
            named = {"ear": plan.ear, "eye": plan.eye, "llm": plan.llm}
            rates = {"audio_rates": rates_of(plan.audio_rates), "video_rates": rates_of(plan.video_rates)}
            named |= {key: value for key, value in rates.items() if value}
        return TrainSpeech(
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

    def trained(self, name: str) -> str:
        self.models.choose_when_here(name)
        return "listens from now on."

    def _learn_bases(self, body: Bases) -> None:
        self.bases = tuple(base.name for base in body.bases if not base.missing)
        self.planned.emit()


def rates_of(words: str) -> tuple[int, ...]:
    """ "4 16" or "4, 16" -> (4, 16), the finest first; () where it is not that."""
    parts = words.replace(",", " ").split()
    if not parts or not all(part.isdecimal() and int(part) >= 1 for part in parts):
        return ()
    return tuple(sorted({int(part) for part in parts}))
