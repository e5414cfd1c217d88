"""A page's button in the rail; where the page takes what is dragged, holding it here opens the page."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QSize, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QWidget

from widgets.icon_button import IconButton

__all__ = ["RailButton"]

HOLD_MS = 400


class RailButton(IconButton):
    """``held``: something that opens the page rests over the button. ``dropped(kind, text)``: it was let go.

    ``takes`` says of each mime type, its payload text in UTF-8, whether it opens the page when it is held.
    """

    held = Signal()
    dropped = Signal(str, str)

    def __init__(
        self,
        drawing: str,
        title: str,
        name: str,
        takes: Mapping[str, bool],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(drawing, title, name, parent)
        self._takes = takes
        self.setProperty("role", "rail")
        self.setCheckable(True)
        self.setIconSize(QSize(24, 24))
        self.setAcceptDrops(bool(takes))
        self._hold = QTimer(self, interval=HOLD_MS, singleShot=True)
        self._hold.timeout.connect(self.held)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        kind = self._kind(event)
        if kind:
            event.acceptProposedAction()
            if self._takes[kind]:
                self._hold.start()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._hold.stop()

    def dropEvent(self, event: QDropEvent) -> None:
        self._hold.stop()
        event.acceptProposedAction()
        kind = self._kind(event)
        self.dropped.emit(kind, bytes(event.mimeData().data(kind).data()).decode())

    def _kind(self, event: QDropEvent) -> str:
        return next((kind for kind in self._takes if event.mimeData().hasFormat(kind)), "")
