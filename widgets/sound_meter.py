"""How loud a microphone is, from -60 dBFS to full scale: a bar, a tick at the peak, a lamp that stays lit.

It is a QProgressBar in dB underneath, so that screen readers find what they know.
"""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QProgressBar, QSizePolicy, QWidget

from widgets.theme import theme

__all__ = ["SoundMeter"]

FLOOR = -60.0
LOUD, HOT = -12.0, -3.0
HOLD_MS = 1500
LAMP = 10
HEIGHT = 28
NUMBERS = {
    -60: Qt.AlignmentFlag.AlignLeft,
    -40: Qt.AlignmentFlag.AlignHCenter,
    -20: Qt.AlignmentFlag.AlignHCenter,
    0: Qt.AlignmentFlag.AlignRight,
}
UNLIT = 0.14


class SoundMeter(QProgressBar):
    """``show_level(rms, peak)`` in dBFS; None while there is no microphone."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rms: float | None = None
        self._peak = FLOOR
        self._is_clipped = False
        self._hold = QTimer(self, interval=HOLD_MS, singleShot=True)
        self._hold.timeout.connect(self._release)
        self.setObjectName(name)
        self.setAccessibleName("Loudness in dB below full scale")
        self.setRange(round(FLOOR), 0)
        self.setTextVisible(False)
        self.setStyleSheet(f"SoundMeter {{ min-height: {HEIGHT}px; max-height: {HEIGHT}px }}")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.show_level(None)
        theme.changed.connect(self.update)

    def show_level(self, rms: float | None, peak: float = FLOOR, *, clipped: bool = False) -> None:
        """Show a loudness; the peak's tick falls after a while, a clip stays lit as long."""
        self._rms = rms
        if rms is None:
            self._peak, self._is_clipped = FLOOR, False
            self._hold.stop()
        elif peak >= self._peak or clipped:
            self._peak = max(peak, self._peak if clipped else FLOOR)
            self._is_clipped = self._is_clipped or clipped
            self._hold.start()
        self.setValue(round(max(FLOOR, rms if rms is not None else FLOOR)))
        state = "off" if rms is None else f"{rms:.0f} dB{', too loud' if self._is_clipped else ''}"
        self.setToolTip(f"Microphone: {state}")
        self.setAccessibleDescription(state)
        self.update()

    @property
    def is_clipped(self) -> bool:
        return self._is_clipped

    def _release(self) -> None:
        self._peak, self._is_clipped = FLOOR, False
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(160, HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        bar = QRectF(0, 0, self.width() - LAMP - 6, 10)
        self._paint_bar(painter, bar)
        painter.setBrush(theme.colour("bad", 1.0 if self._is_clipped else UNLIT))
        painter.drawEllipse(QRectF(self.width() - LAMP, 0, LAMP, LAMP))
        painter.setFont(theme.font(theme.tokens.tiny))
        painter.setPen(theme.colour("text_dim"))
        for level, side in NUMBERS.items():
            x = bar.left() + self._share(level) * bar.width()
            where = QRectF(min(max(x - 15, 0), bar.right() - 30), 12, 30, 15)
            painter.drawText(where, side, str(level))
        painter.end()

    def _paint_bar(self, painter: QPainter, bar: QRectF) -> None:
        painter.setBrush(theme.colour("text", UNLIT))
        painter.drawRoundedRect(bar, 3, 3)
        if self._rms is None:
            return
        for low, high, token in ((FLOOR, LOUD, "good"), (LOUD, HOT, "warn"), (HOT, 0.0, "bad")):
            reached = min(self._rms, high)
            if reached > low:
                left = bar.left() + self._share(low) * bar.width()
                width = (self._share(reached) - self._share(low)) * bar.width()
                painter.setBrush(theme.colour(token))
                painter.drawRect(QRectF(left, bar.top(), width, bar.height()))
        if self._peak > FLOOR:
            x = bar.left() + self._share(self._peak) * bar.width()
            painter.setBrush(theme.colour("text"))
            painter.drawRect(QRectF(min(x, bar.right() - 2), bar.top(), 2, bar.height()))

    def _share(self, level: float) -> float:
        return min(1.0, max(0.0, (level - FLOOR) / -FLOOR))
