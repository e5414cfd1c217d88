"""A small rank slider: a bar of as many cells as there are ranks, lit up to the one that plays, and words."""

from __future__ import annotations

from math import ceil

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from widgets.leaping_slider import LeapingSlider
from widgets.painting import fill_hue, focus_ring
from widgets.theme import theme

__all__ = ["RankSteps"]

BAR = 10
EDGE = 4
NARROWEST_CELL = 4.0
UNLIT = 0.14
HOW = "Drag, scroll or use the arrow keys; Shift goes by powers of two. Double-click for all of it."


class RankSteps(LeapingSlider):
    """``released``: the hand left it. ``set_rank`` emits nothing. Without a ``caption`` the bar stands alone,
    as beside a title that says the rank."""

    released = Signal()

    def __init__(
        self, name: str, hue: int = 0, parent: QWidget | None = None, *, caption: bool = True
    ) -> None:
        super().__init__(parent)
        self._name = name
        self._has_caption = caption
        self._hue = hue
        self._dimmed = False
        self._kept = ""
        self.setAccessibleName(f"Rank of {name}")
        self.moved.connect(self._describe)
        theme.changed.connect(self.updateGeometry)

    @property
    def words(self) -> str:
        """The rank as it stands below the bar: "r 4/8"."""
        return f"r {self.value()}/{self.maximum()}"

    @property
    def slides(self) -> bool:
        """Whether there is more than one rank."""
        return self.minimum() < self.maximum()

    def set_rank(self, rank: int | None, ranks: tuple[int, int], kept: str = "") -> None:
        """Show ``rank`` (None: all) of ``ranks`` (lowest, highest) without saying that anyone moved it;
        ``kept`` says what that keeps."""
        with self.quietly():
            self.setRange(*ranks)
            self.setValue(rank or self.maximum())
        self._kept = kept
        self._describe()
        self.update()

    def set_dimmed(self, dimmed: bool) -> None:
        """Fade the colour of an expert that is not heard."""
        if dimmed != self._dimmed:
            self._dimmed = dimmed
            self.update()

    def set_hue(self, hue: int) -> None:
        if hue != self._hue:
            self._hue = hue
            self.update()

    def _describe(self) -> None:
        said = f"{self.value()} of {self.maximum()}"
        said = ", ".join(words for words in (said, self._kept) if words)
        self.setAccessibleDescription(said)
        self.setToolTip(f"Rank of {self._name}: {said}. {HOW}")

    # hands

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        self.setSliderDown(True)
        self.drag_to(event.position().x(), event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.isSliderDown():
            self.drag_to(event.position().x(), event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self.isSliderDown() and event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(False)
            self.released.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.setValue(self.maximum())
            self.released.emit()

    # geometry: rank b ends where its cell ends

    def bar_rect(self) -> QRectF:
        top = EDGE if self._has_caption else (self.height() - BAR) / 2
        return QRectF(EDGE, top, self.width() - 2 * EDGE, BAR)

    def rank_at(self, x: float) -> int:
        """The rank whose cell lies at ``x``; beyond the ends the lowest and the highest."""
        bar = self.bar_rect()
        rank = ceil((x - bar.left()) / bar.width() * self.maximum())
        return max(self.minimum(), min(rank, self.maximum()))

    def x_of(self, rank: int) -> float:
        """Where the cell of ``rank`` ends."""
        bar = self.bar_rect()
        return bar.left() + bar.width() * rank / self.maximum()

    def sizeHint(self) -> QSize:
        words = QFontMetrics(theme.font(theme.tokens.tiny)).height() if self._has_caption else 0
        return QSize(80, BAR + 2 * EDGE + words)

    def minimumSizeHint(self) -> QSize:
        return QSize(48, self.sizeHint().height())

    # painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_cells(painter)
        grip = self.x_of(self.value())
        bar = self.bar_rect()
        painter.setPen(QPen(theme.colour("text"), 2))
        painter.drawLine(QPointF(grip - 1, bar.top() - 2), QPointF(grip - 1, bar.bottom() + 2))
        if self._has_caption:
            painter.setPen(theme.colour("text_dim"))
            painter.setFont(theme.font(theme.tokens.tiny))
            below = QRectF(0, bar.bottom() + EDGE, self.width(), self.height() - bar.bottom() - EDGE)
            painter.drawText(below, Qt.AlignmentFlag.AlignCenter, self.words)
        if self.hasFocus():
            focus_ring(painter, bar.adjusted(-EDGE, -EDGE, EDGE, EDGE))
        painter.end()

    def _paint_cells(self, painter: QPainter) -> None:
        bar, highest, rank = self.bar_rect(), self.maximum(), self.value()
        lit = 0.25 if self._dimmed else 1.0
        painter.setPen(Qt.PenStyle.NoPen)
        if bar.width() / highest < NARROWEST_CELL:
            edges = [(0, rank), (rank, highest)]
            gap = 0.0
        else:
            edges = [(cell, cell + 1) for cell in range(highest)]
            gap = 1.0
        for start, end in edges:
            cell = QRectF(QPointF(self.x_of(start), bar.top()), QPointF(self.x_of(end) - gap, bar.bottom()))
            if end <= rank:
                fill_hue(painter, cell, self._hue, lit, 1.0)
            else:
                painter.setBrush(theme.colour("text", UNLIT))
                painter.drawRoundedRect(cell, 1.0, 1.0)
