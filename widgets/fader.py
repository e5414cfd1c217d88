"""A vertical fader from silence (0) over as trained (1.0, marked by a notch) to twice as loud (2.0).

It is a QSlider in hundredths underneath, so that keyboard, wheel and screen readers find what they know.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QSlider, QWidget

from widgets.painting import fill_hue, focus_ring
from widgets.theme import theme

__all__ = ["Fader"]

UNITY = 100
SNAP = 4
HANDLE = QSize(34, 20)
GROOVE = 6.0
UNLIT = 0.14


class Fader(QSlider):
    """``moved(value)``: a person moved it; ``released``: the hand left it. ``set_level`` emits neither.

    Double-click returns to 1.0. The mouse catches the notch unless Shift is held.
    """

    moved = Signal(float)
    released = Signal()

    def __init__(self, hue: int = 0, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self.hue = hue
        self._dimmed = False
        self._grip: float | None = None
        self._quiet = False
        self.setRange(0, 2 * UNITY)
        self.setSingleStep(5)
        self.setPageStep(25)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(HANDLE.width() + 14, 120)
        self.setToolTip("Drag, scroll or use the arrow keys. Double-click for 1.0.")
        self.set_level(1.0)
        self.valueChanged.connect(self._value_changed)
        theme.changed.connect(self.update)

    @property
    def level(self) -> float:
        return self.value() / UNITY

    def set_level(self, level: float) -> None:
        """Show ``level`` (0..2) without saying that anyone moved it."""
        self._quiet = True
        self.setValue(round(level * UNITY))
        self._quiet = False

    def set_dimmed(self, dimmed: bool) -> None:
        """Fade the colour of an expert that is not heard."""
        if dimmed != self._dimmed:
            self._dimmed = dimmed
            self.update()

    def _value_changed(self, value: int) -> None:
        if not self._quiet:
            self.moved.emit(value / UNITY)

    # geometry: the handle's centre travels between the two ends of the groove

    def _travel(self) -> tuple[float, float]:
        margin = HANDLE.height() / 2 + 4
        return margin, self.height() - margin

    def _y(self, value: float) -> float:
        top, bottom = self._travel()
        return bottom - (value - self.minimum()) / (self.maximum() - self.minimum()) * (bottom - top)

    def _value_at(self, y: float) -> int:
        top, bottom = self._travel()
        return round(self.minimum() + (bottom - y) / (bottom - top) * (self.maximum() - self.minimum()))

    def handle_rect(self) -> QRectF:
        centre = QPointF(self.width() / 2, self._y(self.value()))
        return QRectF(centre.x() - HANDLE.width() / 2, centre.y() - HANDLE.height() / 2, *HANDLE.toTuple())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        handle = self.handle_rect()
        y = event.position().y()
        self._grip = y - handle.center().y() if handle.contains(event.position()) else 0.0
        self.setSliderDown(True)
        self._drag_to(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._grip is not None:
            self._drag_to(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._grip is not None and event.button() == Qt.MouseButton.LeftButton:
            self._grip = None
            self.setSliderDown(False)
            self.released.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.setValue(UNITY)
            self.released.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        notches = event.angleDelta().y() / 120
        self.setValue(self.value() + round(notches * self.singleStep()))
        event.accept()

    def _drag_to(self, event: QMouseEvent) -> None:
        value = self._value_at(event.position().y() - (self._grip or 0.0))
        is_free = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        self.setValue(UNITY if abs(value - UNITY) <= SNAP and not is_free else value)

    def sizeHint(self) -> QSize:
        return QSize(HANDLE.width() + 22, 220)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_scale(painter)
        self._paint_groove(painter)
        self._paint_handle(painter)
        if self.hasFocus():
            focus_ring(painter, QRectF(self.rect()))
        painter.end()

    def _paint_scale(self, painter: QPainter) -> None:
        centre = self.width() / 2
        for value in range(0, 2 * UNITY + 1, UNITY // 4):
            y = round(self._y(value)) + 0.5
            is_unity, is_whole = value == UNITY, value % UNITY == 0
            painter.setPen(QPen(theme.colour("text_dim" if is_whole else "edge"), 1.5 if is_unity else 1.0))
            reach = HANDLE.width() / 2 + (5 if is_unity else 2 if is_whole else 0)
            inner = GROOVE / 2 + 4
            painter.drawLine(QPointF(centre - reach, y), QPointF(centre - inner, y))
            painter.drawLine(QPointF(centre + inner, y), QPointF(centre + reach, y))

    def _paint_groove(self, painter: QPainter) -> None:
        top, bottom = self._travel()
        groove = QRectF(self.width() / 2 - GROOVE / 2, top, GROOVE, bottom - top)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("text", UNLIT))
        painter.drawRoundedRect(groove, GROOVE / 2, GROOVE / 2)
        filled = QRectF(groove)
        filled.setTop(self._y(self.value()))
        if filled.height() > 0 and self.isEnabled():
            fill_hue(painter, filled, self.hue, 0.25 if self._dimmed else 1.0, GROOVE / 2)

    def _paint_handle(self, painter: QPainter) -> None:
        if not self.isEnabled():
            return
        handle = self.handle_rect()
        painter.setPen(QPen(theme.colour("edge"), 1))
        painter.setBrush(theme.colour("raised"))
        painter.drawRoundedRect(handle.adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        line = QRectF(handle.left() + 6, handle.center().y() - 1.5, handle.width() - 12, 3)
        fill_hue(painter, line, self.hue, 0.35 if self._dimmed else 1.0, 1.5)
