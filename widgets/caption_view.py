"""Lines of speech in large letters, the newest at the bottom and darkest, older ones above it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QTextLayout, QTextOption
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.theme import theme

__all__ = ["CaptionView"]

SPACING = 1.25


class CaptionView(QWidget):
    """What was read stays where it is until a line more pushes it up; what has no room is no longer shown."""

    def __init__(self, name: str, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines: tuple[str, ...] = ()
        self._partial = ""
        self._empty = ""
        self._letters = 28
        self.setObjectName(name)
        self.setAccessibleName(words)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme.changed.connect(self.update)

    def show_lines(self, lines: Sequence[str], partial: str, empty: str) -> None:
        """``partial`` is the line being written; ``empty`` is said while there is none at all."""
        self._lines, self._partial, self._empty = tuple(lines), partial, empty
        self.setAccessibleDescription(" ".join([*self._lines[-1:], partial]).strip() or empty)
        self.update()

    def set_letters(self, pixels: int) -> None:
        self._letters = pixels
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(640, round(3 * SPACING * self._letters))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self._lines and not self._partial:
            self._paint_empty(painter)
            painter.end()
            return
        bottom = float(self.height())
        newest = len(self._lines) - 1
        said = [*enumerate(self._lines), *([(newest + 1, self._partial)] if self._partial else [])]
        for number, words in reversed(said):
            if bottom <= 0:
                break
            is_old = number < newest or (self._partial and number == newest)
            painter.setPen(theme.colour("text_dim" if is_old else "text"))
            bottom = self._paint_above(painter, words, bottom)
        painter.end()

    def _paint_empty(self, painter: QPainter) -> None:
        """The first sentence, and below it what comes after it."""
        said, stop, more = self._empty.partition(". ")
        said, middle = said + stop.rstrip(), round(self.height() / 2)
        flags = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignHCenter
        upper = QRectF(0, 0, self.width(), middle - 2 if more else self.height())
        painter.setFont(theme.font(theme.tokens.heading, strong=True))
        painter.setPen(theme.colour("text"))
        across = Qt.AlignmentFlag.AlignBottom if more else Qt.AlignmentFlag.AlignVCenter
        painter.drawText(upper, flags | across, said)
        painter.setFont(theme.font(theme.tokens.body))
        painter.setPen(theme.colour("text_dim"))
        painter.drawText(QRectF(0, middle + 2, self.width(), middle), flags, more)

    def _paint_above(self, painter: QPainter, words: str, bottom: float) -> float:
        """Write ``words`` in as many lines as they need, ending at ``bottom``. Returns their top."""
        layout = QTextLayout(words, theme.font(self._letters, strong=True))
        layout.setTextOption(QTextOption(Qt.AlignmentFlag.AlignLeft))
        layout.beginLayout()
        rows = []
        while (line := layout.createLine()).isValid():
            line.setLineWidth(self.width())
            rows.append(line)
        layout.endLayout()
        high = SPACING * self._letters
        top = bottom - high * len(rows)
        for place, line in enumerate(rows):
            shown = words[line.textStart() : line.textStart() + line.textLength()]
            room = QRectF(0, top + place * high, self.width(), high)
            if room.top() >= 0:
                painter.setFont(layout.font())
                painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, shown)
        return top
