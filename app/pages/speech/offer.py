"""What the studio's own model is made for, and a Whisper for real voices in one click."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QWidget

from app.presenters.speech_models import OFFER, SpeechLibrary
from app.words import duration, megabytes, percent
from engine.messages import Job

__all__ = ["WhisperOffer"]

DEMO = "The demo knows synthetic voices and faces, and 51 words."
HAVE = "For real voices let {name} listen."
GET = "For real voices: {title} by {maker}, {size}, licence {license}, from the Hub."
WAITING = {"queued": "waiting for its turn", "paused": "paused", "held": "held after three crashes"}


class WhisperOffer(QWidget):
    """One line, shown while the demo listens or a Whisper is on its way."""

    def __init__(self, models: SpeechLibrary, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._models = models
        self.setObjectName("speech.offer")
        self._words = QLabel(objectName="speech.offer.words", wordWrap=True)
        self._words.setProperty("role", "dim")
        self.progress = QProgressBar(
            objectName="speech.offer.progress", accessibleName="Progress of the download", textVisible=False
        )
        self.progress.setMaximumWidth(160)
        self.act = QPushButton(objectName="speech.offer.act")
        self.end = QPushButton("Cancel", objectName="speech.offer.end")
        self.end.setAccessibleName("Cancel the download of Whisper")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self._words, 1)
        for widget in (self.progress, self.act, self.end):
            row.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
        self.act.clicked.connect(self._act)
        self.end.clicked.connect(lambda: models.fetch.cancel())
        models.changed.connect(self._show)
        self._show()

    @property
    def _here(self) -> str:
        """A model for real voices that is here already, "" without one."""
        cards = self._models.cards.values()
        return next(
            (card.name for card in cards if card.kind != "demo" and card.modes and not card.problem), ""
        )

    def _act(self) -> None:
        fetch = self._models.fetch
        if fetch.is_open:
            fetch.resume()
        elif self._here:
            self._models.choose(self._here)
        else:
            self._models.fetch_whisper()

    def _show(self) -> None:
        models, fetch = self._models, self._models.fetch
        card, job = models.card, models.fetch.job
        is_fetching = fetch.is_open and job is not None
        self.setVisible(is_fetching or (card is not None and card.kind == "demo"))
        self.progress.setVisible(is_fetching)
        self.end.setVisible(is_fetching)
        if is_fetching and job is not None:
            self._show_fetch(job)
            return
        size = megabytes(OFFER.bytes)
        get = GET.format(title=OFFER.title, maker=OFFER.maker, size=size, license=OFFER.license)
        self._words.setText(f"{DEMO} {HAVE.format(name=self._here) if self._here else get}")
        words = f"Use {self._here}" if self._here else f"Get Whisper  {size}"
        self.act.setText(words)
        self.act.setAccessibleName(words)
        self.act.setVisible(True)

    def _show_fetch(self, job: Job) -> None:
        self.progress.setRange(0, 1000)
        self.progress.setValue(round(1000 * job.step / job.steps) if job.steps else 0)
        share = f"{percent(job.step / job.steps)} of {megabytes(job.steps)}" if job.steps else "starting"
        left = f", {duration(job.seconds_left)} left" if job.seconds_left is not None else ""
        words = f"{job.name} is on its way: {WAITING.get(job.state, share + left)}."
        self._words.setText(words)
        self.progress.setAccessibleDescription(words)
        self.act.setVisible(job.state in ("paused", "held"))
        self.act.setText("Resume")
        self.act.setAccessibleName("Resume the download of Whisper")
