"""The sound of a clip from left to right, where somebody speaks in it, and where its playing is.

It is a QSlider in milliseconds underneath, so that keyboard, wheel and screen readers find what they know.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QSlider, QWidget

from widgets.painting import focus_ring
from widgets.theme import theme

__all__ = ["SIDE_ROOM", "Waveform"]

SIDE_ROOM = 8
"""Pixels left and right of the sound, so that a strip below can share its axis."""
AXIS = 18
STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200)
NUMBER_WIDTH = 64
HOW = "Click or drag to go to a place; arrow keys go a little, Page Up and Page Down further."


class Waveform(QSlider):
    """``sought(seconds)``: a person went to a place. ``show_position`` moves without a word."""

    sought = Signal(float)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._peaks: tuple[float, ...] = ()
        self._speech: tuple[tuple[float, float], ...] = ()
        self._picture: QPixmap | None = None
        self._quiet = False
        self.setObjectName(name)
        self.setAccessibleName("Position in the clip")
        self.setToolTip(HOW)
        self.setRange(0, 0)
        self.setSingleStep(200)
        self.setPageStep(2000)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.valueChanged.connect(self._value_changed)
        theme.changed.connect(self._forget)

    # values in

    def show_sound(
        self, seconds: float, peaks: Sequence[float], speech: Sequence[tuple[float, float]] = ()
    ) -> None:
        """A clip of so many seconds; ``peaks`` (0..1) of equal parts, ``speech`` as [start, end] seconds."""
        self._quiet = True
        self.setRange(0, round(1000 * seconds))
        self._quiet = False
        self._peaks = tuple(peaks)
        self._speech = tuple((start, end) for start, end in speech)
        spoken = sum(end - start for start, end in self._speech)
        self.setAccessibleDescription(f"{seconds:.1f} seconds, {spoken:.1f} of them speech")
        self._forget()

    def show_position(self, seconds: float) -> None:
        self._quiet = True
        self.setValue(round(1000 * seconds))
        self._quiet = False

    @property
    def seconds(self) -> float:
        """How long the clip is."""
        return self.maximum() / 1000

    # geometry: the axis that the mouths below share

    def x_of(self, seconds: float) -> float:
        return SIDE_ROOM + (seconds / self.seconds if self.seconds else 0.0) * self._width()

    def seconds_at(self, x: float) -> float:
        return min(1.0, max(0.0, (x - SIDE_ROOM) / self._width())) * self.seconds

    def _width(self) -> float:
        return max(1.0, self.width() - 2 * SIDE_ROOM)

    def sizeHint(self) -> QSize:
        return QSize(480, 88)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, 56)

    # hands

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or not self.maximum():
            event.ignore()
            return
        self.setSliderDown(True)
        self.setValue(round(1000 * self.seconds_at(event.position().x())))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.isSliderDown():
            self.setValue(round(1000 * self.seconds_at(event.position().x())))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.setSliderDown(False)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the page scrolls; a passing wheel does not wind the clip

    def keyPressEvent(self, event: QKeyEvent) -> None:
        leaps = {Qt.Key.Key_PageUp: -1, Qt.Key.Key_PageDown: 1}
        leap = leaps.get(Qt.Key(event.key()))
        if leap is None:
            super().keyPressEvent(event)
        else:  # a slider's own page up goes up, which here would be later
            self.setValue(self.value() + leap * self.pageStep())

    def _value_changed(self, value: int) -> None:
        if not self._quiet:
            self.sought.emit(value / 1000)
        self.update()

    # painting

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        self._forget()

    def _forget(self) -> None:
        self._picture = None
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        size, ratio = self.size() * self.devicePixelRatioF(), self.devicePixelRatioF()
        if self._picture is None or self._picture.size() != size:
            self._picture = QPixmap(size)
            self._picture.setDevicePixelRatio(ratio)
            self._picture.fill(Qt.GlobalColor.transparent)
            inside = QPainter(self._picture)
            inside.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_sound(inside)
            inside.end()
        painter.drawPixmap(0, 0, self._picture)
        if self.maximum():
            x = self.x_of(self.value() / 1000)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(theme.colour("accent"), 2))
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height() - AXIS))
        if self.hasFocus():
            focus_ring(painter, QRectF(self.rect()))
        painter.end()

    def _paint_sound(self, painter: QPainter) -> None:
        room = QRectF(SIDE_ROOM, 2, self._width(), self.height() - AXIS - 4)
        middle = room.center().y()
        painter.setPen(Qt.PenStyle.NoPen)
        for start, end in self._speech:
            left = self.x_of(start)
            painter.setBrush(theme.colour("accent", 0.13))
            painter.drawRect(QRectF(left, room.top(), self.x_of(end) - left, room.height()))
            painter.setBrush(theme.colour("accent"))
            painter.drawRect(QRectF(left, room.bottom(), self.x_of(end) - left, 2))
        painter.setPen(QPen(theme.colour("line"), 1))
        painter.drawLine(QPointF(room.left(), middle), QPointF(room.right(), middle))
        painter.setPen(QPen(theme.colour("text_dim"), 1))
        columns = round(room.width()) if self._peaks else 0
        for column in range(columns):
            first = column * len(self._peaks) // columns
            last = max(first + 1, (column + 1) * len(self._peaks) // columns)
            reach = max(self._peaks[first:last]) * room.height() / 2
            x = room.left() + column + 0.5
            painter.drawLine(QPointF(x, middle - reach), QPointF(x, middle + reach))
        self._paint_axis(painter, room)

    def _paint_axis(self, painter: QPainter, room: QRectF) -> None:
        if not self.seconds:
            return
        painter.setFont(theme.font(theme.tokens.tiny))
        painter.setPen(theme.colour("text_dim"))
        fits = room.width() / NUMBER_WIDTH
        step = next((step for step in STEPS_S if self.seconds / step <= fits), STEPS_S[-1])
        for number in range(int(self.seconds / step) + 1):
            at = number * step
            x = self.x_of(at)
            painter.drawLine(QPointF(x, room.bottom() + 2), QPointF(x, room.bottom() + 5))
            where = QRectF(x - 32, self.height() - AXIS + 4, 64, AXIS - 4)
            side = Qt.AlignmentFlag.AlignHCenter
            if where.left() < 0:
                where, side = where.translated(-where.left() + 1, 0), Qt.AlignmentFlag.AlignLeft
            if where.right() > self.width():
                where, side = (
                    where.translated(self.width() - where.right() - 1, 0),
                    Qt.AlignmentFlag.AlignRight,
                )
            painter.drawText(where, side, _clock(at, step))


def _clock(seconds: float, step: float) -> str:
    """0.5 -> "0.5 s", 75 -> "1:15"."""
    if seconds < 60 and step < 60:
        return f"{seconds:.1f} s" if step < 1 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
