"""The shelf of clips: choose one with the arrow keys, open files, take one off."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.models.clips import ClipRows, Role
from app.presenters.clips import Clips
from widgets.icon_button import IconButton
from widgets.painting import focus_ring
from widgets.theme import pixmap, theme

__all__ = ["ClipShelf"]

ROW = 44
ICON = 18
DRAWINGS = {"example": "starred", "recording": "record", "file": "file"}
FILES = (
    "Video and sound (*.mkv *.mp4 *.mov *.webm *.avi *.m4v *.wav *.flac *.mp3 *.ogg *.opus *.m4a *.aac);;"
    "All files (*)"
)


class ClipShelf(QWidget):
    """Examples, recordings and files; dropping is the page's."""

    def __init__(self, clips: Clips, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._clips = clips
        self.setObjectName("speech.shelf.panel")
        self.model = ClipRows()
        self.list = _List(self)
        self.list.setModel(self.model)
        self._open = IconButton("folder", "Open files  Ctrl+O", "speech.shelf.open", self)
        self._remove = IconButton("trash", "Take off the shelf  Del", "speech.shelf.remove", self)
        self._compose()
        self.setFocusProxy(self.list)
        self.list.selectionModel().currentChanged.connect(self._current_changed)
        self.list.remove_wanted.connect(self.remove_chosen)
        self._open.clicked.connect(self.open_files)
        self._remove.clicked.connect(self.remove_chosen)
        clips.changed.connect(self._show)
        self._show()

    def _compose(self) -> None:
        heading = QLabel("Clips")
        heading.setProperty("role", "heading")
        hint = QLabel("or drop files anywhere here")
        hint.setProperty("role", "tiny")
        head = QHBoxLayout()
        head.setSpacing(4)
        head.addWidget(heading)
        head.addSpacing(4)
        head.addWidget(hint, 1)
        head.addWidget(self._open)
        head.addWidget(self._remove)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 8, 16, 8)
        column.setSpacing(6)
        column.addLayout(head)
        column.addWidget(self.list, 1)

    def open_files(self) -> None:
        """Let a person choose files for the shelf."""
        paths, _ = QFileDialog.getOpenFileNames(self, "Open clips", "", FILES)
        if paths:
            self._clips.add(*paths)

    def remove_chosen(self) -> None:
        if self._clips.state.current:
            self._clips.remove(self._clips.state.current)

    def _current_changed(self, now: QModelIndex) -> None:
        if now.isValid():
            self._clips.choose(str(now.data(Role.PATH)))

    def _show(self) -> None:
        state = self._clips.state
        self.model.show(state.clips)
        row = self.model.row_of(state.current)
        if row != self.list.currentIndex().row():
            self.list.setCurrentIndex(self.model.index(row) if row >= 0 else QModelIndex())
        item = state.item
        self._remove.setEnabled(item is not None and item.origin != "example")


class _List(QListView):
    """The current row is the chosen clip. The space bar is left to the page, which records with it."""

    remove_wanted = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("speech.shelf")
        self.setAccessibleName("Clips")
        self.setItemDelegate(_Row(self))
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.remove_wanted.emit()
        elif event.key() == Qt.Key.Key_Space:
            event.ignore()
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        event.ignore()


class _Row(QStyledItemDelegate):
    """A drawing of where it comes from, the title, and facts or "Cannot be used" under it."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        is_lit = is_chosen and option.widget.hasFocus()
        rect = option.rect.adjusted(0, 1, 0, -1)
        if is_chosen or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour("accent" if is_lit else "raised"))
            painter.drawRoundedRect(rect, theme.tokens.radius, theme.tokens.radius)
            if is_chosen and not is_lit:
                painter.setBrush(theme.colour("accent"))
                painter.drawRoundedRect(QRect(rect.left(), rect.top() + 6, 3, rect.height() - 12), 1.5, 1.5)
        has_problem = bool(index.data(Role.PROBLEM))
        ink, dim = ("on_accent", "on_accent") if is_lit else ("text", "warn" if has_problem else "text_dim")
        drawing = "warn" if has_problem else DRAWINGS[str(index.data(Role.ORIGIN))]
        mark = pixmap(drawing, ICON, getattr(theme.tokens, dim), painter.device().devicePixelRatioF())
        painter.drawPixmap(rect.left() + 10, rect.center().y() - ICON // 2 + 1, mark)
        text = rect.adjusted(18 + ICON, 4, -8, -4)
        self._line(painter, text, str(index.data()), ink, Qt.AlignmentFlag.AlignTop)
        self._line(painter, text, str(index.data(Role.FACTS)), dim, Qt.AlignmentFlag.AlignBottom)
        if is_lit:
            focus_ring(painter, option.rect.toRectF())
        painter.restore()

    def _line(self, painter: QPainter, rect: QRect, words: str, ink: str, side: Qt.AlignmentFlag) -> None:
        is_title = side == Qt.AlignmentFlag.AlignTop
        font = theme.font(theme.tokens.small if is_title else theme.tokens.tiny, strong=is_title)
        painter.setFont(font)
        painter.setPen(theme.colour(ink))
        words = QFontMetrics(font).elidedText(words, Qt.TextElideMode.ElideMiddle, rect.width())
        painter.drawText(rect, side, words)

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(120, ROW)
