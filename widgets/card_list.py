"""Cards side by side, all of one width, as many to a row as fit; it says which of them are in sight."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QListView, QWidget

from widgets.card import GAP, HEIGHT, CardDelegate

__all__ = ["CardList"]

NARROWEST = 184
REST_MS = 120


class CardList(QListView):
    """A view of a model that answers a CardFace for ``role``.

    Signals: ``in_sight(first, last)``, rows, once scrolling or the model has come to rest; ``lifted(index)``
    when a card begins to be dragged.
    """

    in_sight = Signal(int, int)
    lifted = Signal(QModelIndex)

    def __init__(self, role: int, name: str, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(words)
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setMovement(QListView.Movement.Static)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setUniformItemSizes(True)
        self.setLayoutMode(QListView.LayoutMode.Batched)
        self.setBatchSize(200)
        self.setDragEnabled(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setMouseTracking(True)
        self._cards = CardDelegate(role, self)
        self.setItemDelegate(self._cards)
        self._rest = QTimer(self, interval=REST_MS, singleShot=True)
        self._rest.timeout.connect(self._tell)
        self.verticalScrollBar().valueChanged.connect(self._rest.start)
        self.verticalScrollBar().rangeChanged.connect(self._rest.start)

    def look_again(self) -> None:
        """Other cards may be in sight though nobody has scrolled: say which, soon."""
        self._rest.start()

    def rows_in_sight(self) -> tuple[int, int]:
        """(first, last) row of which a part can be seen, (0, -1) if there is none."""
        rows = self.model().rowCount() if self.model() else 0
        if not rows or not self.isVisible():
            return 0, -1
        columns = max(1, self.contentsRect().width() // max(1, self._cards.width))
        step, top = HEIGHT + GAP, self.verticalScrollBar().value()
        first = top // step * columns
        last = ((top + self.viewport().height() - 1) // step + 1) * columns - 1
        return min(first, rows - 1), min(last, rows - 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        bar = self.verticalScrollBar().sizeHint().width()
        room = self.contentsRect().width() - bar - 2
        self._cards.width = room // max(1, room // NARROWEST)
        self.setGridSize(QSize(self._cards.width, HEIGHT + GAP))
        super().resizeEvent(event)
        self._rest.start()

    def startDrag(self, actions: Qt.DropAction) -> None:
        self.lifted.emit(self.currentIndex())
        super().startDrag(actions)

    def _tell(self) -> None:
        self.in_sight.emit(*self.rows_in_sight())
