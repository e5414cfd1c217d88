"""A page's button in the rail; where the page takes what is dragged, holding it here opens the page."""

from __future__ import annotations

from PySide6.QtCore import QSize, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QWidget

from widgets.icon_button import IconButton

__all__ = ["RailButton"]

HOLD_MS = 400


class RailButton(IconButton):
    """``held``: something that the page takes rests over the button. ``dropped(text)``: it was let go there.

    ``takes`` is the mime type, its payload text in UTF-8; "" takes nothing.
    """

    held = Signal()
    dropped = Signal(str)

    def __init__(
        self, drawing: str, title: str, name: str, takes: str = "", parent: QWidget | None = None
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
        if event.mimeData().hasFormat(self._takes):
            event.acceptProposedAction()
            self._hold.start()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._hold.stop()

    def dropEvent(self, event: QDropEvent) -> None:
        self._hold.stop()
        event.acceptProposedAction()
        self.dropped.emit(bytes(event.mimeData().data(self._takes).data()).decode())
