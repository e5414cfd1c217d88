"""The light that says whether a device is open and whether it is being recorded, in red and in words."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QVariantAnimation
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.theme import theme

__all__ = ["RecordLight"]

DOT = 5.0
PULSE_MS = 1600


class RecordLight(QWidget):
    """A dot and words. Dark: everything is shut; a red ring with a red middle: something is open; all red,
    and pulsing where motion is not reduced: it is being recorded."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._open: tuple[str, ...] = ()
        self._time: str | None = None
        self._pulse = QVariantAnimation(self, startValue=0.0, endValue=1.0, duration=PULSE_MS, loopCount=-1)
        self._pulse.valueChanged.connect(self.update)
        self.setObjectName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.show_light((), None)
        theme.changed.connect(self._heed_motion)

    def show_light(self, devices: tuple[str, ...], time: str | None) -> None:
        """What is open ("camera", "microphone"), and the running time of a recording, None without one."""
        self._open, self._time = devices, time
        self.setAccessibleName(self.words)
        self.setToolTip(self.words)
        self._heed_motion()
        self.update()

    @property
    def words(self) -> str:
        if self._time is not None:
            return f"Recording {self._time}"
        return f"{', '.join(self._open).capitalize()} on" if self._open else "Camera, microphone off"

    @property
    def is_lit(self) -> bool:
        return bool(self._open) or self._time is not None

    @property
    def is_pulsing(self) -> bool:
        return self._pulse.state() == QVariantAnimation.State.Running

    def _heed_motion(self) -> None:
        moves = self._time is not None and theme.tokens.motion_ms > 0
        if moves and not self.is_pulsing:
            self._pulse.start()
        elif not moves:
            self._pulse.stop()
        self.update()

    def sizeHint(self) -> QSize:
        wide = QFontMetrics(theme.font(theme.tokens.small, strong=True)).horizontalAdvance(self.words)
        return QSize(wide + 24, 24)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 24)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = QPointF(8, self.height() / 2)
        is_recording = self._time is not None
        if self.is_pulsing:
            phase = float(self._pulse.currentValue())
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour("bad", 0.45 * (1 - phase)))
            painter.drawEllipse(middle, DOT + 3 * phase, DOT + 3 * phase)
        painter.setPen(QPen(theme.colour("bad" if self.is_lit else "edge"), 1.5))
        painter.setBrush(theme.colour("bad") if is_recording else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(middle, DOT, DOT)
        if self.is_lit and not is_recording:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour("bad"))
            painter.drawEllipse(middle, DOT / 2, DOT / 2)
        painter.setFont(theme.font(theme.tokens.small, strong=self.is_lit))
        painter.setPen(theme.colour("bad" if is_recording else "text" if self.is_lit else "text_dim"))
        room = QRectF(22, 0, self.width() - 22, self.height())
        words = QFontMetrics(painter.font()).elidedText(
            self.words, Qt.TextElideMode.ElideRight, round(room.width())
        )
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, words)
        painter.end()
