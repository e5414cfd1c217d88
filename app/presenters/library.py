"""The library: which adapters there are, what one of them is, and how they come, are checked and go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.notice import Notice, from_error
from engine import messages
from engine.messages import AdapterCard, Inspection, Verification

__all__ = ["Guest", "Library", "LibraryState"]


@dataclass(frozen=True)
class Guest:
    """A folder that was dropped and looked at, but is not in the library yet."""

    path: str
    name: str
    inspection: Inspection


@dataclass(frozen=True)
class LibraryState:
    """``chosen`` is a name or ""; ``files`` are its, with bytes. ``busy`` says what is going on."""

    cards: tuple[AdapterCard, ...] = ()
    known: bool = False
    base: str = ""
    chosen: str = ""
    files: tuple[tuple[str, int], ...] = ()
    checked: dict[str, Verification] = field(default_factory=dict)
    guest: Guest | None = None
    busy: str = ""

    @property
    def card(self) -> AdapterCard | None:
        return next((card for card in self.cards if card.name == self.chosen), None)


class Library(QObject):
    """Signals: ``changed`` with each new state, ``noticed`` with a Notice."""

    changed = Signal()
    noticed = Signal(object)

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state = LibraryState()
        self._client = client
        client.welcomed.connect(self.refresh)
        client.happened.connect(self._on_event)
        self.refresh()

    def refresh(self) -> None:
        self._client.ask(messages.ListAdapters(), self._list, self._complain)

    def use_base(self, base: str) -> None:
        """Judge every adapter by whether it is made for ``base``."""
        self._set(base=base)

    def choose(self, name: str) -> None:
        """Look at one adapter."""
        if name != self.state.chosen or self.state.guest is not None:
            self._set(chosen=name, guest=None)
            self._set(files=self._files())

    def verify(self, name: str | None = None) -> None:
        """Compare the files of one adapter, or of all, with the hashes taken when they came in."""
        self._begin("Checking files")
        self._client.ask(messages.VerifyAdapters(name=name), self._verified, self._complain)

    def export(self, name: str, parent: str) -> None:
        """Write an adapter as an ordinary PEFT folder into the folder ``parent``."""
        target = str(Path(parent) / name)
        self._begin(f"Exporting {name}")
        self._client.ask(messages.ExportAdapter(name=name, folder=target), self._exported, self._complain)

    def remove(self, name: str) -> None:
        """Move an adapter to the trash; the notice that says so can undo it."""
        self._begin(f"Removing {name}")
        self._client.ask(messages.RemoveAdapter(name=name), lambda _: self._removed(name), self._complain)

    def restore(self, name: str) -> None:
        """Bring a removed adapter back."""
        self._client.ask(messages.RestoreAdapter(name=name), self._arrived("is back"), self._complain)

    def inspect(self, path: str) -> None:
        """Look into a folder before anything is taken from it."""
        self._begin("Looking into the folder")
        self._client.ask(
            messages.InspectAdapter(path=path), lambda inspection: self._met(path, inspection), self._complain
        )

    def admit(self, name: str) -> None:
        """Import the folder that was looked at, under ``name``."""
        if self.state.guest is not None:
            self._begin(f"Importing {name}")
            request = messages.ImportAdapter(path=self.state.guest.path, name=name)
            self._client.ask(request, self._arrived("is in the library"), self._complain)

    def turn_away(self) -> None:
        """Forget the folder that was looked at."""
        self._set(guest=None)

    def _list(self, answer: messages.Adapters) -> None:
        cards = tuple(sorted(answer.adapters, key=lambda card: card.name.lower()))
        chosen = self.state.chosen if any(card.name == self.state.chosen for card in cards) else ""
        self._set(cards=cards, known=True, chosen=chosen)
        self._set(files=self._files())

    def _on_event(self, event: object) -> None:
        if isinstance(event, messages.LibraryChanged) and event.what == "adapters":
            self.refresh()

    def _verified(self, answer: messages.Verified) -> None:
        checked = {**self.state.checked, **{check.name: check for check in answer.adapters}}
        self._set(checked=checked, busy="")
        bad = [check for check in answer.adapters if not check.ok]
        if bad:
            detail = "\n".join(f"{check.name}: {check.detail}" for check in bad)
            hint = "Remove it and import it again from where it came."
            self._say("bad", f"{bad[0].name}: {bad[0].detail}", hint, detail)
        elif len(answer.adapters) == 1:
            self._say("good", f"{answer.adapters[0].name} is what it was when it came in.")
        else:
            self._say("good", f"All {len(answer.adapters)} adapters are what they were when they came in.")

    def _exported(self, answer: messages.Done) -> None:
        self._set(busy="")
        self._say("good", f"Exported to {answer.path}.")

    def _removed(self, name: str) -> None:
        self._set(busy="")
        undo = ("Undo", lambda: self.restore(name))
        self.noticed.emit(Notice(level="info", message=f"{name} was removed.", action=undo))

    def _met(self, path: str, inspection: Inspection) -> None:
        self._set(guest=Guest(path=path, name=Path(path).name, inspection=inspection), busy="")

    def _arrived(self, words: str) -> Callable[[AdapterCard], None]:
        def arrived(card: AdapterCard) -> None:
            cards = tuple(other for other in self.state.cards if other.name != card.name)
            self._set(
                cards=tuple(sorted((*cards, card), key=lambda card: card.name.lower())),
                chosen=card.name,
                guest=None,
                busy="",
            )
            self._set(files=self._files())
            self._say("good", f"{card.name} {words}.")

        return arrived

    def _files(self) -> tuple[tuple[str, int], ...]:
        card = self.state.card
        if card is None or card.missing:
            return ()
        try:
            paths = sorted(Path(card.path).iterdir())
            return tuple((path.name, path.stat().st_size) for path in paths if path.is_file())
        except OSError:
            return ()  # went away since it was listed; the next list says "missing"

    def _begin(self, words: str) -> None:
        self._set(busy=words)

    def _say(self, level: str, message: str, hint: str = "", detail: str = "") -> None:
        self.noticed.emit(Notice(level=level, message=message, hint=hint, detail=detail))  # type: ignore[arg-type]

    def _complain(self, error: messages.Error) -> None:
        self._set(busy="")
        self.noticed.emit(from_error(error))

    def _set(self, **changes: object) -> None:
        state = replace(self.state, **changes)  # type: ignore[arg-type]
        if state != self.state:
            self.state = state
            self.changed.emit()
