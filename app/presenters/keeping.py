"""What can be done with whatever the library keeps: call it otherwise, remove it, bring it back, trace it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.notice import Level, Notice, from_error
from app.presenters.presenter import Presenter
from engine import messages
from engine.messages import LibraryKind, Uses

__all__ = ["Keeping", "KeptState", "Removal"]

REMOVE: dict[LibraryKind, Callable[..., messages.Request]] = {
    "adapters": messages.RemoveAdapter,
    "bases": messages.RemoveBase,
    "mixes": messages.RemoveMix,
}
RESTORE: dict[LibraryKind, Callable[..., messages.Request]] = {
    "adapters": messages.RestoreAdapter,
    "bases": messages.RestoreBase,
    "mixes": messages.RestoreMix,
}


@dataclass(frozen=True)
class KeptState:
    """``known`` once the list has come; ``chosen`` is a name or ""; ``busy`` says what is going on."""

    known: bool = False
    chosen: str = ""
    busy: str = ""


Kept = TypeVar("Kept", bound=KeptState)


@dataclass(frozen=True)
class Removal:
    """Something that a person wants gone, and what depends on it."""

    name: str
    uses: Uses


class Keeping(Presenter[Kept]):
    """Signals: ``changed`` with each new state; ``noticed`` with a Notice; ``doubted`` with a Removal that is
    to be agreed to, because something depends on it; ``traced`` with a Provenance that was asked for."""

    noticed = Signal(object)
    doubted = Signal(object)
    traced = Signal(object)

    kind: LibraryKind

    def __init__(self, client: Client, state: Kept, parent: QObject | None = None) -> None:
        super().__init__(state, parent)
        self._client = client
        self._back: list[Callable[[], None]] = []
        client.welcomed.connect(self.refresh)
        client.happened.connect(self._on_event)

    def refresh(self) -> None:
        """Ask what there is."""
        raise NotImplementedError

    def choose(self, name: str) -> None:
        """Look at one."""
        self._set(chosen=name)

    def rename(self, name: str, to: str) -> None:
        """Call something otherwise; what was made with it keeps working."""
        to = to.strip()
        if to in ("", name):
            self.changed.emit()  # a field that shows something else is to show the name again
        else:
            self._rename(name, to, lambda: self._rename(to, name, None))

    def _rename(self, name: str, to: str, back: Callable[[], None] | None) -> None:
        def renamed(_: messages.Done) -> None:
            if self.state.chosen == name:
                self._set(chosen=to)
            self._end()
            self.refresh()
            self._tell(f"{name} is called {to} now.", back)

        request = messages.Rename(kind=self.kind, name=name, to=to)
        self._ask(f"Renaming {name}", request, renamed)

    def remove(self, name: str) -> None:
        """Take something off, after a question if anything depends on it; the notice can undo it."""

        def found(uses: Uses) -> None:
            self._end()
            if uses.mixes or uses.jobs or uses.adapters:
                self.doubted.emit(Removal(name, uses))
            else:
                self.remove_now(name)

        self._ask(f"Looking for what uses {name}", messages.FindUses(kind=self.kind, name=name), found)

    def remove_now(self, name: str) -> None:
        """Take something off; the notice that says so can undo it."""

        def removed(_: messages.Done) -> None:
            self._end()
            self._tell(f"{name} was removed.", lambda: self.restore(name))

        self._ask(f"Removing {name}", REMOVE[self.kind](name=name), removed)

    def restore(self, name: str) -> None:
        """Bring something back that was removed."""

        def back(_: object) -> None:
            self._set(chosen=name)
            self._end()
            self.refresh()
            self.say("good", f"{name} is back.")

        self._ask(f"Bringing {name} back", RESTORE[self.kind](name=name), back)

    def undo(self) -> None:
        """Take back the last removal or renaming that was not taken back yet."""
        if self._back:
            self._back[-1]()

    def _tell(self, words: str, back: Callable[[], None] | None) -> None:
        """Say what was done; its notice can take it back with ``back``, and so can ``undo``."""
        if back is None:
            self.say("info", words)
            return

        def undo() -> None:
            if undo in self._back:
                self._back.remove(undo)
                back()

        self._back.append(undo)
        self.say("info", words, action=("Undo", undo))

    def trace(self, name: str) -> None:
        """Ask where something comes from."""
        request = messages.ReadProvenance(kind=self.kind, name=name)
        self._client.ask(request, self.traced.emit, self._complain)

    def say(
        self,
        level: Level,
        message: str,
        hint: str = "",
        detail: str = "",
        action: tuple[str, Callable[[], None]] | None = None,
    ) -> None:
        self.noticed.emit(Notice(level, message, hint, detail, action))

    def _ask(
        self,
        words: str,
        request: messages.Request,
        done: Callable[[Any], None],
        progress: Callable[[Any], None] | None = None,
    ) -> None:
        """Ask for something that takes a while: ``words`` say what goes on until it is done or has failed."""
        self._set(busy=words)
        self._client.ask(request, done, self._complain, progress)

    def _end(self) -> None:
        self._set(busy="")

    def _complain(self, error: messages.Error) -> None:
        self._end()
        self.noticed.emit(from_error(error))
        self.changed.emit()

    def _on_event(self, event: object) -> None:
        if isinstance(event, messages.LibraryChanged) and event.what == self.kind:
            self.refresh()
