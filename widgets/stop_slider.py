"""A slider that knows only certain stops: trained rates, decibels, "off"; some of them are named below it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QFontMetrics,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QSlider, QWidget

from widgets.painting import focus_ring
from widgets.theme import theme

__all__ = ["Stop", "StopSlider"]

HANDLE = 16.0
GROOVE = 5.0
TOP, LABELS = 14.0, 16
GAP = 4.0

Stop = tuple[str, bool]


class StopSlider(QSlider):
    """``stops`` are (words, whether they are written below), from left to right. ``moved(stop)``: a person
    chose another; ``show_stop`` shows one without a word. It is a QSlider underneath, so that keyboard, wheel
    and screen readers find what they know."""

    moved = Signal(int)

    def __init__(
        self, name: str, words: str, stops: Sequence[Stop], page: int = 1, parent: QWidget | None = None
    ) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._words = words
        self._stops: tuple[Stop, ...] = ()
        self._is_quiet = False
        self.setObjectName(name)
        self.setAccessibleName(words)
        self.setPageStep(page)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.set_stops(stops)
        self.valueChanged.connect(self._value_changed)
        theme.changed.connect(self.update)

    def set_stops(self, stops: Sequence[Stop]) -> None:
        """Other stops; the chosen one is the first until ``show_stop`` says another."""
        if tuple(stops) != self._stops:
            self._stops = tuple(stops)
            self._is_quiet = True
            self.setRange(0, max(0, len(stops) - 1))
            self._is_quiet = False
            self.setEnabled(len(stops) > 1)
            self._describe()
            self.update()

    def show_stop(self, stop: int) -> None:
        self._is_quiet = True
        self.setValue(stop)
        self._is_quiet = False
        self._describe()

    @property
    def words(self) -> str:
        """The chosen stop."""
        return self._stops[self.value()][0] if self._stops else ""

    def sizeHint(self) -> QSize:
        return QSize(180, round(2 * TOP) + LABELS)

    def minimumSizeHint(self) -> QSize:
        return QSize(96, self.sizeHint().height())

    def x_of(self, stop: int) -> float:
        """Where a stop lies, in pixels."""
        left, right = HANDLE / 2 + 6, self.width() - HANDLE / 2 - 6
        return left + (right - left) * stop / max(1, self.maximum())

    def _value_changed(self, stop: int) -> None:
        self._describe()
        if not self._is_quiet:
            self.moved.emit(stop)
            QAccessible.updateAccessibility(
                QAccessibleAnnouncementEvent(self, f"{self._words}: {self.words}")
            )

    def _describe(self) -> None:
        self.setAccessibleDescription(self.words)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self._drag_to(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.isSliderDown():
            self._drag_to(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.setSliderDown(False)

    def _drag_to(self, x: float) -> None:
        self.setValue(min(range(self.maximum() + 1), key=lambda stop: abs(self.x_of(stop) - x)))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(theme.tokens.tiny))
        ink = "text_dim" if self.isEnabled() else "off"
        for stop, room in self._rooms(painter.fontMetrics()):
            self._paint_stop(painter, stop, room, ink)
        groove = QRectF(self.x_of(0), TOP - GROOVE / 2, self.x_of(self.maximum()) - self.x_of(0), GROOVE)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("text", 0.14))
        painter.drawRoundedRect(groove, GROOVE / 2, GROOVE / 2)
        if self.isEnabled():
            groove.setRight(self.x_of(self.value()))
            painter.setBrush(theme.colour("accent"))
            painter.drawRoundedRect(groove, GROOVE / 2, GROOVE / 2)
            painter.setPen(QPen(theme.colour("accent"), 2))
            painter.setBrush(theme.colour("raised"))
            painter.drawEllipse(QPointF(self.x_of(self.value()), TOP), HANDLE / 2 - 1, HANDLE / 2 - 1)
        if self.hasFocus():
            focus_ring(painter, QRectF(self.rect()))
        painter.end()

    def _rooms(self, metrics: QFontMetrics) -> list[tuple[int, QRectF]]:
        """The named stops and where their names stand: both ends, and of the others those with room."""
        named = [stop for stop, (_, is_named) in enumerate(self._stops) if is_named]
        rooms: list[tuple[int, QRectF]] = []
        for stop in [*named[:1], *named[:0:-1]]:
            wide = metrics.horizontalAdvance(self._stops[stop][0])
            left = min(max(0.0, self.x_of(stop) - wide / 2), self.width() - wide)
            room = QRectF(left, TOP + 12, wide + 2, LABELS)
            if not any(room.adjusted(-GAP, 0, GAP, 0).intersects(other) for _, other in rooms):
                rooms.append((stop, room))
        return rooms

    def _paint_stop(self, painter: QPainter, stop: int, room: QRectF, ink: str) -> None:
        x = self.x_of(stop)
        painter.setPen(QPen(theme.colour("edge"), 1))
        painter.drawLine(QPointF(x, TOP + 7), QPointF(x, TOP + 11))
        painter.setPen(theme.colour(ink))
        flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(room, flags, self._stops[stop][0])
