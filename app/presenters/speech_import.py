"""Taking a model of speech in: what the file is, its licence to accept, the parts that it needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.names import free_name, stem_of
from app.presenters.presenter import Presenter
from app.presenters.speech_models import SpeechLibrary
from engine.messages import (
    Bases,
    Error,
    ImportSpeech,
    InspectSpeech,
    ListBases,
    Said,
    SpeechCard,
    SpeechInspection,
)

__all__ = ["PARTS", "ImportState", "SpeechImport", "part_choices"]

PARTS = {"ear": "Ear", "eye": "Eye", "llm": "Language model"}


@dataclass(frozen=True)
class ImportState:
    """``found`` is what the file at ``path`` is, None before it was looked into. ``parts`` by "ear", "eye"
    and "llm"; ``rates`` only where a person said them. ``doing`` is what goes on, in words; ``error`` of the
    last try."""

    path: str = ""
    found: SpeechInspection | None = None
    name: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    rates: tuple[int, int] | None = None
    accepted: bool = False
    doing: str = ""
    error: Error | None = None


class SpeechImport(Presenter[ImportState]):
    """``changed``: another ``state``; ``imported(name)``: it is in the library. Nothing is opened or made
    before ``take``, which needs a licence accepted where there is one."""

    imported = Signal(str)

    def __init__(self, client: Client, models: SpeechLibrary, parent: QObject | None = None) -> None:
        super().__init__(ImportState(), parent)
        self._client = client
        self._call = ""
        self.models = models
        self.bases: tuple[str, ...] = ()

    def begin(self) -> None:
        """Another import; asks which bases there are."""
        self._client.cancel(self._call)
        self.state = ImportState()
        self.changed.emit()
        self._client.ask(ListBases(), self._learn_bases, self._failed)

    def look(self, path: str) -> None:
        """Ask what the file or folder at ``path`` is."""
        self._client.cancel(self._call)
        name = free_name(stem_of(path, "model"), self.models.cards)
        self.state = ImportState(path=path, name=name, doing=f"Looking into {Path(path).name}")
        self.changed.emit()
        self._ask(InspectSpeech(path=path), self._looked)

    def set(self, **changes: Any) -> None:
        """Another name, rates or acceptance."""
        self._set(error=None, **changes)

    def set_part(self, part: str, choice: str) -> None:
        """Name the model, base or folder that ``part`` comes from."""
        self._set(error=None, parts={**self.state.parts, part: choice})

    @property
    def why_not(self) -> str:
        """What is missing before it can be taken in; empty when nothing is."""
        state, found = self.state, self.state.found
        if found is None:
            return state.doing or "Choose a checkpoint or a folder."
        if found.problem:
            return f"{found.problem} {found.hint}".strip()
        if missing := [PARTS[part].lower() for part in found.needs if not state.parts.get(part)]:
            return f"Name the {' and the '.join(missing)} that goes with it."
        if found.license and not state.accepted:
            return "Read its licence and accept it first."
        if not state.name.strip():
            return "Give it a name."
        if state.name.strip() in self.models.cards:
            return f"There is a {state.name.strip()} already. Choose another name."
        return state.doing

    def take(self) -> None:
        """Take it into the library under its name."""
        state = self.state
        if self.why_not:
            return
        self._set(doing="Converting", error=None)
        request = ImportSpeech(
            path=state.path, out=state.name.strip(), accepted=state.accepted, rates=state.rates, **state.parts
        )
        self._ask(request, self._taken)

    def cancel(self) -> None:
        """Give up what goes on; nothing of it stays."""
        self._client.cancel(self._call)

    def _ask(self, request: Any, done: Any) -> None:
        def ours(act: Any) -> Any:
            return lambda body: act(body) if self._call == call else None

        call = self._call = self._client.ask(request, ours(done), ours(self._failed), ours(self._heard))

    def _learn_bases(self, body: Bases) -> None:
        self.bases = tuple(base.name for base in body.bases if not base.missing)
        self.changed.emit()

    def _looked(self, found: SpeechInspection) -> None:
        parts = {part: next(iter(part_choices(part, self.models, self.bases)), "") for part in found.needs}
        self._set(found=found, parts=parts, doing="")

    def _taken(self, card: SpeechCard) -> None:
        self._set(doing="")
        self.models.choose_when_here(card.name)
        self.imported.emit(card.name)

    def _heard(self, body: object) -> None:
        if isinstance(body, Said):
            self._set(doing=body.text)

    def _failed(self, error: Error) -> None:
        self._set(doing="", error=None if error.code == "cancelled" else error)


def part_choices(part: str, models: SpeechLibrary, bases: tuple[str, ...]) -> list[str]:
    """What may be named as an ear, an eye or a language model; a folder may be named besides."""
    if part == "llm":
        return list(bases)
    has = [card.name for card in models.cards.values() if not card.problem and part in card.parts]
    whisper = [card.name for card in models.cards.values() if card.kind == "whisper"]
    return list(dict.fromkeys([*(whisper if part == "ear" else []), *has]))
