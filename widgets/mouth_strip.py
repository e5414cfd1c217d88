"""The mouth through a clip: small pictures side by side, each under its moment of the waveform above."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.theme import theme
from widgets.waveform import SIDE_ROOM

__all__ = ["MouthStrip"]

HEIGHT = 44


class MouthStrip(QWidget):
    """As many mouths as there is room for. Without one it says why in ``words``."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._strip = QPixmap()
        self._side, self._every, self._seconds = 1, 1.0, 0.0
        self._position = 0.0
        self._words = ""
        self.setObjectName(name)
        self.setAccessibleName("The mouth through the clip")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def show_strip(self, strip: bytes, side: int, every: float, seconds: float, words: str = "") -> None:
        """A PNG of mouths ``side`` pixels wide, one every ``every`` seconds of ``seconds``; ``words`` stand
        in the place of b""."""
        self._strip = QPixmap()
        if strip:
            self._strip.loadFromData(strip)
        self._side, self._every, self._seconds, self._words = max(1, side), every, seconds, words
        number = self.count
        self.setAccessibleDescription(f"{number} pictures" if number else words)
        self.update()

    def show_position(self, seconds: float) -> None:
        self._position = seconds
        self.update()

    @property
    def count(self) -> int:
        """How many mouths there are, shown or not."""
        return self._strip.width() // self._side

    def mouth_at(self, seconds: float) -> QPixmap:
        """The mouth of that moment, empty where there is none."""
        number = int(seconds / self._every) if self._every else 0
        if not 0 <= number < self.count:
            return QPixmap()
        return self._strip.copy(number * self._side, 0, self._side, self._strip.height())

    def shown(self) -> list[tuple[float, int]]:
        """(x, number) of the mouths that are shown: the left edge, and which of the strip."""
        if not self.count or not self._seconds or not self._every:
            return []
        wide = max(1.0, self.width() - 2 * SIDE_ROOM)
        places = max(1, round(wide / HEIGHT))
        step = wide / places
        found = []
        for place in range(places):
            moment = (place + 0.5) / places * self._seconds
            number = int(moment / self._every)
            if number < self.count:
                found.append((SIDE_ROOM + place * step + (step - HEIGHT) / 2, number))
        return found

    def sizeHint(self) -> QSize:
        return QSize(480, HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if not self.count:
            painter.setFont(theme.font(theme.tokens.tiny))
            painter.setPen(theme.colour("text_dim"))
            painter.drawText(self.rect().adjusted(SIDE_ROOM, 0, -SIDE_ROOM, 0), _WORDS, self._words)
            painter.end()
            return
        for x, number in self.shown():
            part = QRectF(number * self._side, 0, self._side, self._strip.height())
            painter.drawPixmap(QRectF(x, 0, HEIGHT, HEIGHT), self._strip, part)
        if self._seconds:
            share = min(1.0, self._position / self._seconds)
            x = SIDE_ROOM + share * (self.width() - 2 * SIDE_ROOM)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(theme.colour("accent"), 2))
            painter.drawLine(QPointF(x, 0), QPointF(x, HEIGHT))
        painter.end()


_WORDS = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap)
