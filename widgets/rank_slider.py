"""The large rank slider: a tick for each rank, flags at pinned ones, what is kept above the handle."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QFontMetricsF,
    QHideEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QWidget

from widgets.leaping_slider import LeapingSlider
from widgets.painting import focus_ring
from widgets.rank_flags import cloths, paint_flags
from widgets.rank_stops import spaced
from widgets.theme import theme

__all__ = ["RankSlider"]

# Room beside the groove, so that charts on the same axis can name their own.
LEFT, RIGHT = 72, 40
WORDS, FLAGS, GRIP, NUMBERS = 18, 18, 28, 18
GROOVE = 6.0
HANDLE = QSize(38, 26)
NARROWEST_TICK = 4.0
NUMBER_GAP = 10.0
REST_MS = 600
HOW = (
    "Drag, click or scroll; arrow keys step, Page Up and Page Down leap, "
    "Shift snaps to powers of two, P pins."
)


class RankSlider(LeapingSlider):
    """``released``: the hand left it, or rests; ``pin_wanted(rank)``; ``axis_changed``: ``x_of`` has other
    answers. ``set_rank`` and ``set_ranks`` move without a word."""

    released = Signal()
    pin_wanted = Signal(int)
    axis_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grip: float | None = None
        self._pinned: tuple[int, ...] = ()
        self._kept = ""
        self._rest = QTimer(self, interval=REST_MS, singleShot=True)
        self._rest.timeout.connect(self.released)
        self.setObjectName("ranks.slider")
        self.setAccessibleName("Rank")
        self.setToolTip(HOW)
        self.moved.connect(self._begin_rest)
        theme.changed.connect(self.update)

    # values in

    def set_ranks(self, low: int, highest: int) -> None:
        """The ranks that there are."""
        if (low, highest) != (self.minimum(), self.maximum()):
            with self.quietly():
                self.setRange(low, highest)
            self.axis_changed.emit()
            self._describe()
            self.update()

    def set_rank(self, rank: int, kept: str = "") -> None:
        """Show ``rank``; ``kept`` says what it keeps: "91 % of the energy"."""
        with self.quietly():
            self.setValue(rank)
        self._kept = kept
        self._describe()
        self.update()

    def set_pinned(self, ranks: Sequence[int]) -> None:
        """Put a flag at each of ``ranks``."""
        if tuple(ranks) != self._pinned:
            self._pinned = tuple(ranks)
            self._describe()
            self.update()

    # hands

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_P and event.modifiers() == Qt.KeyboardModifier.NoModifier:
            self.pin_wanted.emit(self.value())
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        handle = self.handle_rect()
        x = event.position().x()
        self._grip = x - handle.center().x() if handle.contains(event.position()) else 0.0
        self.setSliderDown(True)
        self.drag_to(x - self._grip, event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._grip is not None:
            self.drag_to(event.position().x() - self._grip, event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._let_go()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.EnabledChange and not self.isEnabled():
            self._let_go()  # the release of the button will not come here any more

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._let_go()

    def _let_go(self) -> None:
        if self._grip is not None:
            self._grip = None
            self.setSliderDown(False)
            self._rest.stop()
            self.released.emit()

    def _begin_rest(self) -> None:
        if self._grip is None:
            self._rest.start()

    def _describe(self) -> None:
        pinned = ", ".join(map(str, self._pinned))
        words = (
            f"rank {self.value()} of {self.maximum()}",
            self._kept,
            f"pinned: {pinned}" if pinned else "",
        )
        self.setAccessibleDescription("; ".join(part for part in words if part))

    # geometry: the axis that charts below share

    def x_of(self, rank: float) -> float:
        """Where ``rank`` stands, in this widget's pixels."""
        span = self.maximum() - self.minimum()
        share = (rank - self.minimum()) / span if span else 0.5
        return LEFT + share * (self.width() - LEFT - RIGHT)

    def rank_at(self, x: float) -> int:
        """The rank nearest to ``x``; beyond the ends the lowest and the highest."""
        span = self.maximum() - self.minimum()
        share = (x - LEFT) / max(1, self.width() - LEFT - RIGHT)
        return self.minimum() + round(min(1.0, max(0.0, share)) * span)

    def handle_rect(self) -> QRectF:
        centre = QPointF(self.x_of(self.value()), self._axis_y())
        return QRectF(
            centre.x() - HANDLE.width() / 2, centre.y() - HANDLE.height() / 2, HANDLE.width(), HANDLE.height()
        )

    def numbered(self) -> list[int]:
        """The ranks whose numbers stand below the groove: as many as there is room for, both ends always."""
        wide = QFontMetricsF(theme.font(theme.tokens.tiny)).horizontalAdvance(str(self.maximum()))
        return spaced(self.minimum(), self.maximum(), self.x_of, wide + NUMBER_GAP)

    def _axis_y(self) -> float:
        return WORDS + FLAGS + GRIP / 2

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.axis_changed.emit()

    def sizeHint(self) -> QSize:
        return QSize(640, WORDS + FLAGS + GRIP + NUMBERS)

    def minimumSizeHint(self) -> QSize:
        return QSize(320, self.sizeHint().height())

    # painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_ticks(painter)
        self._paint_groove(painter)
        flags = cloths(self._pinned, self.x_of, WORDS + 1, self.width())
        paint_flags(painter, flags, self.x_of, self._axis_y())
        self._paint_handle(painter)
        self._paint_kept(painter)
        if self.hasFocus():
            focus_ring(painter, self.handle_rect().adjusted(-4, -4, 4, 4))
        painter.end()

    def _paint_groove(self, painter: QPainter) -> None:
        left, right = self.x_of(self.minimum()), self.x_of(self.maximum())
        top = self._axis_y() - GROOVE / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("line"))
        painter.drawRoundedRect(QRectF(left, top, right - left, GROOVE), GROOVE / 2, GROOVE / 2)
        painter.setBrush(theme.colour("accent"))
        filled = self.x_of(self.value()) - left
        painter.drawRoundedRect(QRectF(left, top, filled, GROOVE), GROOVE / 2, GROOVE / 2)

    def _paint_ticks(self, painter: QPainter) -> None:
        low, high = self.minimum(), self.maximum()
        numbers = set(self.numbered())
        is_fine = (self.x_of(high) - self.x_of(low)) / max(1, high - low) >= NARROWEST_TICK
        bottom = self._axis_y() + GRIP / 2
        painter.setFont(theme.font(theme.tokens.tiny))
        for rank in range(low, high + 1) if is_fine else sorted(numbers):
            x = round(self.x_of(rank)) + 0.5
            is_named = rank in numbers
            painter.setPen(QPen(theme.colour("text_dim" if is_named else "edge"), 1))
            painter.drawLine(QPointF(x, bottom - 6), QPointF(x, bottom - (0 if is_named else 3)))
            if is_named:
                where = QRectF(x - 40, bottom, 80, NUMBERS)
                painter.drawText(where, Qt.AlignmentFlag.AlignCenter, str(rank))

    def _paint_handle(self, painter: QPainter) -> None:
        if not self.isEnabled():
            return
        handle = self.handle_rect()
        painter.setPen(QPen(theme.colour("accent"), 2))
        painter.setBrush(theme.colour("raised"))
        painter.drawRoundedRect(handle.adjusted(1, 1, -1, -1), theme.tokens.radius, theme.tokens.radius)
        painter.setFont(theme.font(theme.tokens.body, strong=True))
        painter.setPen(theme.colour("text"))
        painter.drawText(handle, Qt.AlignmentFlag.AlignCenter, str(self.value()))

    def _paint_kept(self, painter: QPainter) -> None:
        if not self._kept:
            return
        painter.setFont(theme.font(theme.tokens.tiny))
        painter.setPen(theme.colour("text_dim"))
        wide = QFontMetricsF(painter.font()).horizontalAdvance(self._kept) + 4
        left = min(max(0.0, self.x_of(self.value()) - wide / 2), self.width() - wide)
        painter.drawText(QRectF(left, 0, wide, WORDS), Qt.AlignmentFlag.AlignCenter, self._kept)
