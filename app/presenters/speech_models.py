"""The models that transcribe: what there is, which one is chosen, and a Whisper fetched in one go."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, QSettings, Signal

from app.client import Client
from app.presenters.following import Following
from app.presenters.notice import Notice, from_error
from engine.messages import (
    Done,
    Download,
    Error,
    Job,
    Jobs,
    LibraryChanged,
    ListSpeech,
    RemoveSpeech,
    RestoreSpeech,
    SpeechCard,
    SpeechModels,
)

__all__ = ["OFFER", "Offer", "SpeechLibrary", "WhisperFetch"]

SAVED = "speech/model"
DEMO = "demo"


@dataclass(frozen=True)
class Offer:
    """A repository of the Hub; ``bytes`` are what its weights and words come to."""

    repo: str
    title: str
    maker: str
    license: str
    bytes: int


OFFER = Offer("openai/whisper-base.en", "Whisper base.en", "OpenAI", "Apache 2.0", 295_000_000)


class WhisperFetch(Following):
    """The download of a model of speech, followed like any job."""

    kinds = (Download,)

    def fetch(self) -> None:
        self.submit(Download(repo=OFFER.repo, out=OFFER.repo.partition("/")[2], room="speech"))

    def _look_through(self, body: object) -> None:
        """Adapters and bases are fetched by such jobs too."""
        if isinstance(body, Jobs):
            super()._look_through(Jobs(jobs=[job for job in body.jobs if _is_speech(job)]))


def _is_speech(job: Job) -> bool:
    return isinstance(job.spec, Download) and job.spec.room == "speech"


class SpeechLibrary(QObject):
    """``cards`` by name, the ``chosen`` name, and ``fetch``, the Whisper that is on its way.

    ``changed``: another card, choice, or more of the download. ``noticed(Notice)``; ``announced(sentence)``.
    """

    changed = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(self, client: Client, settings: QSettings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.client = client
        self._settings = settings
        self._awaited = ""
        self.cards: dict[str, SpeechCard] = {}
        self.chosen = str(settings.value(SAVED, DEMO))
        self.fetch = WhisperFetch(client, self)
        self.fetch.changed.connect(self.changed)
        self.fetch.finished.connect(self._fetched)
        self.fetch.failed.connect(self.complain)
        client.welcomed.connect(self.refresh)
        client.happened.connect(self._on_event)
        if client.engine.phase == "ready":
            self.refresh()

    def refresh(self) -> None:
        """Ask again what there is."""
        self.client.ask(ListSpeech(), self._listed, self.complain)
        self.fetch.find()

    @property
    def card(self) -> SpeechCard | None:
        """The chosen model; while it is not there the studio's own, else any that listens."""
        listening = [card for card in self.cards.values() if card.modes and not card.problem]
        return self.cards.get(self.chosen) or self.cards.get(DEMO) or next(iter(listening), None)

    def choose(self, name: str) -> None:
        """Let another model listen."""
        if name in self.cards and name != self.chosen:
            self.chosen = name
            self._settings.setValue(SAVED, name)
            self.announced.emit(f"{name} listens")
            self.changed.emit()

    def choose_when_here(self, name: str) -> None:
        """Choose a model as soon as the library has it."""
        self._awaited = name
        self.refresh()

    def fetch_whisper(self) -> None:
        """Fetch the Whisper of OFFER; it is chosen once it is here."""
        if not self.fetch.is_open:
            self.fetch.fetch()

    def remove(self, name: str) -> None:
        """Move a model into the trash; its notice brings it back."""
        card = self.cards.get(name)
        if card is None or card.kind == "demo":
            return

        def removed(body: Done) -> None:
            back = ("Undo", lambda: self._restore(name, body.path))
            self.noticed.emit(Notice("info", f"{name} is in the trash.", action=back))
            self.refresh()

        self.client.ask(RemoveSpeech(name=name), removed, self.complain)

    def complain(self, error: Error) -> None:
        if error.code not in ("cancelled", "crashed"):
            self.noticed.emit(from_error(error))

    def _restore(self, name: str, path: str) -> None:
        self.client.ask(RestoreSpeech(path=path), lambda _body: self.choose_when_here(name), self.complain)

    def _listed(self, body: SpeechModels) -> None:
        self.cards = {card.name: card for card in body.models}
        awaited, self._awaited = self._awaited, ""
        if awaited in self.cards:
            self.choose(awaited)
        else:
            self._awaited = awaited
        self.changed.emit()

    def _fetched(self, job: Job) -> None:
        if job.state == "done":
            name = str(job.result.get("name", job.name))
            self.noticed.emit(Notice("good", f"{name} is here and listens from now on."))
            self.choose_when_here(name)
        elif job.state == "failed" and job.error is not None:
            self.complain(job.error)

    def _on_event(self, body: object) -> None:
        if isinstance(body, LibraryChanged) and body.what == "speech":
            self.refresh()
