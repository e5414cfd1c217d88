"""What the studio takes on the disk, and how what was removed is deleted for good."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.keeping import RESTORE
from app.presenters.notice import Notice, from_error
from app.presenters.presenter import Presenter
from app.words import count, megabytes
from engine import messages
from engine.messages import DiskItem, DiskUse, LibraryKind

__all__ = ["Disk", "DiskState"]


@dataclass(frozen=True)
class DiskState:
    """``use`` is None until it has been measured; ``is_looking`` while that goes on."""

    use: DiskUse | None = None
    is_looking: bool = False

    @property
    def items(self) -> tuple[DiskItem, ...]:
        return tuple(self.use.items) if self.use else ()

    @property
    def trash(self) -> tuple[DiskItem, ...]:
        return tuple(item for item in self.items if item.place == "trash")


class Disk(Presenter[DiskState]):
    """Signals: ``changed`` with each new state, ``noticed`` with a Notice."""

    noticed = Signal(object)

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(DiskState(), parent)
        self._client = client
        client.welcomed.connect(self.measure)
        client.happened.connect(self._on_event)

    def measure(self) -> None:
        """Look at every item; a large home takes a moment."""
        if not self.state.is_looking:
            self._set(is_looking=True)
            self._client.ask(messages.MeasureDisk(), self._measured, self._failed)

    def delete(self, items: tuple[DiskItem, ...]) -> None:
        """Delete removed things for good."""
        freed = sum(item.bytes for item in items)

        def deleted(_: messages.Done) -> None:
            words = f"{count(len(items), 'item')} deleted for good, {megabytes(freed)} freed."
            self.noticed.emit(Notice("good", words))
            self.measure()

        names = sorted({item.name for item in items})
        self._client.ask(messages.EmptyTrash(items=names), deleted, self._failed)

    def restore(self, item: DiskItem) -> None:
        """Bring back something that was removed."""
        kind, _, name = item.name.partition("/")
        room: LibraryKind | None = next((room for room in RESTORE if room == kind), None)
        if room is None and kind != "speech":
            return

        def back(_: object) -> None:
            self.noticed.emit(Notice("good", f"{name} is back."))
            self.measure()

        request = RESTORE[room](name=name) if room else messages.RestoreSpeech(path=item.path)
        self._client.ask(request, back, self._failed)

    def _measured(self, use: DiskUse) -> None:
        self._set(use=use, is_looking=False)

    def _failed(self, error: messages.Error) -> None:
        self._set(is_looking=False)
        self.noticed.emit(from_error(error))

    def _on_event(self, event: object) -> None:
        if isinstance(event, messages.LibraryChanged) and self.state.use is not None:
            self.measure()
