"""The empty place at the end of the desk: lit while something hangs over it, pressed to look for one."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QSizePolicy

from widgets.painting import focus_ring
from widgets.theme import theme

__all__ = ["DropSlot"]


class DropSlot(QAbstractButton):
    """A dashed outline with a plus. ``light`` says that a drop would land here."""

    def __init__(self) -> None:
        super().__init__()
        self._is_lit = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setObjectName("mixer.desk.drop")
        self.setAccessibleName("Empty channel: choose an adapter from the shelf")
        self.setToolTip("Drop an adapter here, or press to go to the shelf")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumWidth(56)
        self.setMaximumWidth(192)
        theme.changed.connect(self.update)

    def light(self, on: bool) -> None:
        if on != self._is_lit:
            self._is_lit = on
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(56, 300)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        is_bright = self._is_lit or self.underMouse()
        ink = "accent" if is_bright else "edge"
        painter.setPen(QPen(theme.colour(ink), 1, Qt.PenStyle.DashLine))
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(frame, theme.tokens.radius, theme.tokens.radius)
        painter.setPen(theme.colour("accent" if is_bright else "text_dim"))
        painter.setFont(theme.font(theme.tokens.heading))
        middle = self.rect().center().y()
        painter.drawText(QRectF(0, middle - 34, self.width(), 28), Qt.AlignmentFlag.AlignCenter, "+")
        painter.setFont(theme.font(theme.tokens.tiny))
        painter.drawText(QRectF(0, middle - 4, self.width(), 36), Qt.AlignmentFlag.AlignCenter, "drop\nhere")
        if self.hasFocus():
            focus_ring(painter, QRectF(self.rect()))
        painter.end()
