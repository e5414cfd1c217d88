"""Who spoke how much: an expert to a line, with its name, a bar in its colour and its share as a figure."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.painting import fill_hue
from widgets.theme import theme

__all__ = ["UsageBars"]

LINE = 16
BAR = 8.0
PAD = 8.0
FIGURE = 30.0
FADED = 0.4


class UsageBars(QWidget):
    """Shares 0..1 with their hues; the longest bar is a share of 1."""

    def __init__(self, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shares: dict[str, float] = {}
        self._hues: dict[str, int] = {}
        self._is_faded = False
        self.setAccessibleName(words)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def set_shares(self, shares: Mapping[str, float], hues: Mapping[str, int]) -> None:
        self._shares, self._hues = dict(shares), dict(hues)
        self.setAccessibleDescription(", ".join(f"{name} {share:.2f}" for name, share in shares.items()))
        self.updateGeometry()
        self.update()

    def set_faded(self, faded: bool) -> None:
        """Show that these are the shares of what was asked before."""
        if faded != self._is_faded:
            self._is_faded = faded
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(160, LINE * len(self._shares))

    def minimumSizeHint(self) -> QSize:
        return QSize(100, LINE * len(self._shares))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(theme.tokens.tiny))
        painter.setOpacity(FADED if self._is_faded else 1.0)
        metrics = QFontMetricsF(painter.font())
        left = max((metrics.horizontalAdvance(name) for name in self._shares), default=0.0) + PAD
        room = max(0.0, self.width() - left - FIGURE - PAD)
        middle = Qt.AlignmentFlag.AlignVCenter
        for line, (name, share) in enumerate(self._shares.items()):
            top = LINE * line
            painter.setPen(theme.colour("text_dim"))
            painter.drawText(QRectF(0, top, left - PAD, LINE), Qt.AlignmentFlag.AlignRight | middle, name)
            bar = QRectF(left, top + (LINE - BAR) / 2, room, BAR)
            painter.fillRect(bar, theme.colour("raised"))
            bar.setWidth(room * min(1.0, share))
            fill_hue(painter, bar, self._hues[name])
            painter.setPen(theme.colour("text"))
            figure = QRectF(left + room + PAD, top, FIGURE, LINE)
            painter.drawText(figure, Qt.AlignmentFlag.AlignLeft | middle, f"{share:.2f}")
        painter.end()
