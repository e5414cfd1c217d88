"""A usage meter: how large a share of the words an expert had, in segments of its colour."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QProgressBar, QSizePolicy, QWidget

from widgets.painting import fill_hue
from widgets.theme import theme

__all__ = ["LevelMeter"]

SEGMENTS = 10
UNLIT = 0.14


class LevelMeter(QProgressBar):
    """A share of 0..1, None while there is none. It is a QProgressBar in percent to screen readers."""

    def __init__(self, hue: int = 0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.hue = hue
        self._share: float | None = None
        self._dimmed = False
        self.setRange(0, 100)
        self.setTextVisible(False)
        # Progress bars at large are thinner; this one is read from across the desk.
        self.setStyleSheet("LevelMeter { min-height: 9px; max-height: 9px }")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    @property
    def share(self) -> float | None:
        return self._share

    def set_share(self, share: float | None, of: str = "") -> None:
        """Show ``share`` (clamped to 0..1) of what ``of`` names. Equal values repaint nothing."""
        self.setToolTip(
            ""
            if share is None
            else f"Mean gate {100 * share:.0f} % over {of}"
            if of
            else f"Mean gate {100 * share:.0f} %"
        )
        if share == self._share:
            return
        self._share = None if share is None else min(1.0, max(0.0, share))
        percent = round(100 * (self._share or 0.0))
        self.setValue(percent)
        self.update()

    def set_dimmed(self, dimmed: bool) -> None:
        if dimmed != self._dimmed:
            self._dimmed = dimmed
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(60, 10)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, 10)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        gap = 2.0
        width = (self.width() - gap * (SEGMENTS - 1)) / SEGMENTS
        lit = (self._share or 0.0) * SEGMENTS
        for index in range(SEGMENTS):
            segment = QRectF(index * (width + gap), 0, width, self.height())
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour("text", UNLIT))
            painter.drawRoundedRect(segment, 1.5, 1.5)
            strength = min(1.0, lit - index)
            if strength > 0:
                segment.setWidth(width * strength)
                fill_hue(painter, segment, self.hue, 0.25 if self._dimmed else 1.0, 1.5)
        painter.end()
