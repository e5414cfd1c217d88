"""Transcripts side by side, word beside word, on one time axis downwards."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QWidget

from widgets.painting import focus_ring
from widgets.theme import theme
from widgets.transcript_words import CHIP, Word, WordRow, clock, paint_word, tip

__all__ = ["GUTTER", "TranscriptView", "Word", "WordRow"]

GUTTER = 52
ROW = 28
PAUSE_S, PAUSE_MOST = 0.35, 20
GAP = 8.0


class TranscriptView(QAbstractScrollArea):
    """``sought(seconds)``: a word was clicked, or Enter pressed on it. Arrow keys go from word to word, Home
    and End to the first and last row. ``resized(right)``: so many pixels at the right are not columns'."""

    sought = Signal(float)
    resized = Signal(int)

    def __init__(self, name: str, words: str, titles: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._titles = tuple(titles)
        self._rows: tuple[WordRow, ...] = ()
        self._tops: list[int] = []
        self._starts: list[float] = []
        self._stale = [False] * len(titles)
        self._sentences = [""] * len(titles)
        self._playing = -1
        self._row, self._column = 0, 0
        self.setObjectName(name)
        self.setAccessibleName(words)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setAutoFillBackground(False)
        self.viewport().setMouseTracking(True)
        self.verticalScrollBar().setSingleStep(ROW)
        theme.changed.connect(self.viewport().update)

    # values in

    def set_rows(self, rows: Sequence[WordRow]) -> None:
        """Show rows in order of time. What is being read stays where it is."""
        if tuple(rows) == self._rows:
            return
        self._rows = tuple(rows)
        self._tops, top = [], 4
        for before, row in zip((None, *self._rows), self._rows, strict=False):
            if before is not None:
                # A pause takes room, but a long one no more than a line's.
                pause = max(0.0, row.start - before.end)
                top += ROW + (min(PAUSE_MOST, round(16 * pause)) if pause > PAUSE_S else 0)
            self._tops.append(top)
        # Rows are in the order of what was said; a time that goes back within it marks none.
        self._starts = list(accumulate((row.start for row in self._rows), max))
        self._row = max(0, min(self._row, len(self._rows) - 1))
        self._fit()
        self._describe()
        self.viewport().update()

    def set_stale(self, stale: Sequence[bool]) -> None:
        """Fade the columns whose words answer an older question."""
        if list(stale) != self._stale:
            self._stale = list(stale)
            self.viewport().update()

    def set_sentences(self, sentences: Sequence[str]) -> None:
        """What is said in the place of a column's words, "" for nothing."""
        if list(sentences) != self._sentences:
            self._sentences = list(sentences)
            self._describe()
            self.viewport().update()

    def set_position(self, seconds: float) -> None:
        """Mark what is being said at ``seconds`` (negative: nothing is) and keep it in sight."""
        row = bisect_right(self._starts, seconds) - 1 if seconds >= 0 else -1
        if row != self._playing:
            self._playing = row
            if row >= 0:
                self._show(row)
            self.viewport().update()

    # reading out

    @property
    def current(self) -> Word | None:
        """The word under the cursor."""
        return self._rows[self._row].cells[self._column] if self._rows else None

    @property
    def words(self) -> str:
        """The word under the cursor for those who listen: its column, its time, what it is."""
        if not self._rows:
            return " ".join(
                f"{title}: {words}"
                for title, words in zip(self._titles, self._sentences, strict=True)
                if words
            )
        word = self.current
        said = word.words if word is not None else "nothing"
        return f"{self._titles[self._column]}, {clock(self._rows[self._row].start)}: {said}"

    def column_text(self, column: int) -> str:
        """All words of one column."""
        cells = [row.cells[column] for row in self._rows]
        return " ".join(cell.text for cell in cells if cell is not None and cell.text)

    # geometry

    def sizeHint(self) -> QSize:
        return QSize(560, 240)

    def minimumSizeHint(self) -> QSize:
        return QSize(300, 96)

    def cell_rect(self, row: int, column: int) -> QRectF:
        """Where a cell lies in the viewport."""
        wide = (self.viewport().width() - GUTTER - GAP * (len(self._titles) - 1)) / len(self._titles)
        top = self._tops[row] - self.verticalScrollBar().value()
        return QRectF(GUTTER + column * (wide + GAP), top, wide, CHIP)

    def _cell_at(self, place: QPointF) -> tuple[int, int] | None:
        y = place.y() + self.verticalScrollBar().value()
        row = bisect_right(self._tops, y) - 1
        if row < 0:
            return None
        return next(
            (
                (row, column)
                for column in range(len(self._titles))
                if self.cell_rect(row, column).contains(place)
            ),
            None,
        )

    def _fit(self) -> None:
        high = self._tops[-1] + ROW if self._tops else 0
        bar = self.verticalScrollBar()
        bar.setPageStep(self.viewport().height())
        bar.setRange(0, max(0, high - self.viewport().height()))

    def _show(self, row: int) -> None:
        bar, top = self.verticalScrollBar(), self._tops[row]
        if top < bar.value():
            bar.setValue(max(0, top - 4))
        elif top + ROW > bar.value() + self.viewport().height():
            bar.setValue(top + ROW - self.viewport().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()
        self.resized.emit(self.width() - self.viewport().width())

    # hands

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = len(self._rows) - 1
        moves = {
            Qt.Key.Key_Up: (self._row - 1, self._column),
            Qt.Key.Key_Down: (self._row + 1, self._column),
            Qt.Key.Key_Left: (self._row, self._column - 1),
            Qt.Key.Key_Right: (self._row, self._column + 1),
            Qt.Key.Key_Home: (0, self._column),
            Qt.Key.Key_End: (last, self._column),
        }
        key = Qt.Key(event.key())
        if key in moves and last >= 0:
            row, column = moves[key]
            self._go(max(0, min(row, last)), max(0, min(column, len(self._titles) - 1)))
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, self.words))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and last >= 0:
            self._seek()
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        cell = self._cell_at(event.position())
        if cell is not None and event.button() == Qt.MouseButton.LeftButton:
            self._go(*cell)
            self._seek()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        cell = self._cell_at(event.position())
        word = self._rows[cell[0]].cells[cell[1]] if cell is not None else None
        shape = Qt.CursorShape.PointingHandCursor if word is not None else Qt.CursorShape.ArrowCursor
        self.viewport().setCursor(shape)
        self.viewport().setToolTip(tip(word) if word is not None else "")

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.viewport().update()

    def _go(self, row: int, column: int) -> None:
        self._row, self._column = row, column
        self._show(row)
        self._describe()
        self.viewport().update()

    def _seek(self) -> None:
        word = self.current
        self.sought.emit(word.start if word is not None else self._rows[self._row].start)

    def _describe(self) -> None:
        self.setAccessibleDescription(self.words)

    # painting: times, the row being played, chips

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        top = self.verticalScrollBar().value()
        first = max(0, bisect_right(self._tops, top - ROW))
        end = bisect_right(self._tops, top + self.viewport().height())
        for row in range(first, end):
            self._paint_row(painter, row)
        for column, words in enumerate(self._sentences):
            if words:
                self._paint_sentence(painter, column, words)
        if self.hasFocus():
            if self._rows:
                focus_ring(painter, self.cell_rect(self._row, self._column).adjusted(-2, -2, 2, 2))
            else:
                focus_ring(painter, QRectF(self.viewport().rect()))
        painter.end()

    def _paint_row(self, painter: QPainter, row: int) -> None:
        rect = self.cell_rect(row, 0)
        if row == self._playing:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour("accent", 0.14))
            band = QRectF(0, rect.top() - 2, self.viewport().width(), ROW)
            painter.drawRoundedRect(band, theme.tokens.radius, theme.tokens.radius)
        painter.setFont(theme.font(theme.tokens.tiny))
        painter.setPen(theme.colour("text_dim"))
        room = QRectF(0, rect.top(), GUTTER - 12, CHIP)
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(room, flags, clock(self._rows[row].start))
        for column, word in enumerate(self._rows[row].cells):
            if word is not None:
                paint_word(painter, self.cell_rect(row, column), word, is_faded=self._stale[column])

    def _paint_sentence(self, painter: QPainter, column: int, words: str) -> None:
        wide = (self.viewport().width() - GUTTER - GAP * (len(self._titles) - 1)) / len(self._titles)
        room = QRect(round(GUTTER + column * (wide + GAP)), 6, round(wide) - 4, self.viewport().height() - 12)
        painter.setFont(theme.font(theme.tokens.small))
        painter.setPen(theme.colour("text_dim"))
        painter.drawText(room, Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignTop, words)
