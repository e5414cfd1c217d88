"""The mouth as a model sees it: 96 x 96 grey pixels."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.theme import pixmap, theme

__all__ = ["MouthView"]

SIDE = 96


class MouthView(QWidget):
    """A picture of one size; without one, the outline of where it would be."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture = QPixmap()
        self.setObjectName(name)
        self.setAccessibleName("The mouth as the model sees it")
        self.setToolTip("The mouth as the model sees it: 96 x 96 grey pixels, 25 a second")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.show_mouth(b"")
        theme.changed.connect(self.update)

    def show_mouth(self, picture: bytes) -> None:
        """A PNG; b"" for none."""
        shown = QPixmap()
        if picture:
            shown.loadFromData(picture)
        self.show_drawn(shown)

    def show_drawn(self, picture: QPixmap) -> None:
        """One that has been unpacked already; an empty one for none."""
        self._picture = picture
        self.setAccessibleDescription("shown" if self.has_mouth else "no mouth")
        self.update()

    @property
    def has_mouth(self) -> bool:
        return not self._picture.isNull()

    def sizeHint(self) -> QSize:
        return QSize(SIDE, SIDE)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        if self.has_mouth:
            painter.drawPixmap(self.rect(), self._picture)
        else:
            mark = pixmap("speech", 40, theme.tokens.line, self.devicePixelRatioF())
            painter.drawPixmap((SIDE - 40) // 2, (SIDE - 40) // 2, mark)
        painter.setPen(QPen(theme.colour("line"), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))
        painter.end()
