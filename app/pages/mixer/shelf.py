"""The shelf: the library's adapters as a narrow list to search, drag from, or lift from with the keyboard."""

from __future__ import annotations

from PySide6.QtCore import (
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLabel,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.models import shelf
from app.models.shelf import Role, Slip
from app.presenters.mixer import Mixer
from widgets.painting import focus_ring
from widgets.theme import theme

__all__ = ["Shelf"]

ROW = 44


class Shelf(QWidget):
    """``lifted(adapter)``: a person picked one up with the space bar and will choose its slot."""

    lifted = Signal(str)

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self.setObjectName("mixer.shelf.panel")
        self.model = shelf.Shelf()
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(self.model)
        self._proxy.setFilterRole(Role.SEARCH)
        self._proxy.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.search = QLineEdit(objectName="mixer.shelf.search", accessibleName="Search the shelf")
        self.search.setPlaceholderText("Search")
        self.search.setClearButtonEnabled(True)
        self.list = _List(self)
        self.list.setModel(self._proxy)
        self._hint = QLabel("Drag to the desk, or press Enter.", wordWrap=True)
        self._hint.setProperty("role", "tiny")
        self._compose()
        self._connect()
        self._show()

    def _compose(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 8, 16)
        column.setSpacing(8)
        column.addWidget(self.search)
        column.addWidget(self.list, 1)
        column.addWidget(self._hint)
        self.setMinimumWidth(144)
        self.setFocusProxy(self.list)  # whoever comes here by the keyboard wants an adapter

    def _connect(self) -> None:
        self.search.textChanged.connect(self._proxy.setFilterFixedString)
        self.search.returnPressed.connect(self._add_first)
        self.list.chosen.connect(self._mixer.drop)
        self.list.lifted.connect(self.lifted)
        self._mixer.desk_changed.connect(self._show)

    def _add_first(self) -> None:
        if self._proxy.rowCount():
            self._mixer.drop(str(self._proxy.index(0, 0).data(Role.NAME)))

    def _show(self) -> None:
        mixer = self._mixer
        slips = [
            Slip(card, mixer.desk.strip(card.name) is not None, mixer.why_not(card)[0])
            for card in mixer.stock.adapters.values()
        ]
        # What cannot lie on this desk comes last, with its reason.
        self.model.show(sorted(slips, key=lambda slip: bool(slip.reason)))
        self.list.point_somewhere()
        self._hint.setText(
            "Drag to the desk, or press Enter. Space lifts."
            if slips
            else "The library is empty. Import an adapter on the library page."
        )


class _List(QListView):
    """Enter adds, Space lifts; the row under the mouse can be dragged."""

    chosen = Signal(str)
    lifted = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("mixer.shelf")
        self.setAccessibleName("Shelf of adapters")
        self.setItemDelegate(_Row(self))
        self.setUniformItemSizes(True)
        self.setDragEnabled(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.doubleClicked.connect(lambda index: self.chosen.emit(str(index.data(Role.NAME))))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        index = self.currentIndex()
        if index.isValid() and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.chosen.emit(str(index.data(Role.NAME)))
        elif index.isValid() and event.key() == Qt.Key.Key_Space:
            self.lifted.emit(str(index.data(Role.NAME)))
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: object) -> None:
        super().focusInEvent(event)
        self.point_somewhere()

    def point_somewhere(self) -> None:
        """Let the keyboard, once it is here, stand on a row."""
        if self.hasFocus() and not self.currentIndex().isValid() and self.model().rowCount():
            self.setCurrentIndex(self.model().index(0, 0))


class _Row(QStyledItemDelegate):
    """Name over facts; what is already on the desk says so at the right."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        is_selected = bool(option.state & QStyle.StateFlag.State_Selected)
        is_lit = is_selected and option.widget.hasFocus()
        is_under_mouse = bool(option.state & QStyle.StateFlag.State_MouseOver)
        rect = option.rect.adjusted(0, 1, 0, -1)
        if is_selected or is_under_mouse:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour("accent" if is_lit else "raised"))
            painter.drawRoundedRect(rect, theme.tokens.radius, theme.tokens.radius)
        has_reason = bool(index.data(Role.REASON))
        ink, dim = ("on_accent", "on_accent") if is_lit else ("text", "text_dim")
        if has_reason and not is_lit:
            ink = dim = "edge"
        text = rect.adjusted(10, 5, -10, -5)
        self._line(painter, text, str(index.data(Role.NAME)), ink, strong=True)
        self._line(painter, text, str(index.data(Role.FACTS)), dim, strong=False)
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            focus_ring(painter, QRectF(rect).adjusted(-1, -1, 1, 1))
        painter.restore()

    def _line(self, painter: QPainter, rect: QRect, words: str, ink: str, *, strong: bool) -> None:
        size = theme.tokens.small if strong else theme.tokens.tiny
        side = Qt.AlignmentFlag.AlignTop if strong else Qt.AlignmentFlag.AlignBottom
        painter.setFont(theme.font(size, strong=strong))
        painter.setPen(theme.colour(ink))
        elided = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, rect.width())
        painter.drawText(rect, Qt.AlignmentFlag.AlignLeft | side, elided)

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(120, ROW)
