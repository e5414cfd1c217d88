"""A camera's picture with the mouth's square on it, which a hand or the keyboard may move and size.

Painting order: the ground, the picture (or a drawing with words while there is none), the square with its
grips, and last the focus ring.
"""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.painting import focus_ring
from widgets.theme import pixmap, theme

__all__ = ["CameraView", "Square"]

SMALLEST, LARGEST = 0.06, 0.9
STEP, LEAP = 0.01, 0.05
GRIP = 5.0
NEAR = 11.0
DRAWN = 6.0
HOW = (
    "Draw a square around the mouth, or drag it; its corners size it. Keys: arrows move, plus and minus "
    "size, Delete lets the mouth be found again."
)
MOVES = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
SIZES = {Qt.Key.Key_Plus: 1, Qt.Key.Key_Equal: 1, Qt.Key.Key_Minus: -1}


class Square(NamedTuple):
    """The middle and the side, in shares of the picture's width (``y`` too)."""

    x: float
    y: float
    side: float


class CameraView(QWidget):
    """``placed(Square)``: a hand has put the square there; ``cleared``: the mouth is to be found again.

    ``by_hand`` says whose square is shown. A ``mirrored`` picture is a looking-glass: squares stay in the
    picture's own shares.
    """

    placed = Signal(object)
    cleared = Signal()

    def __init__(self, name: str, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture = QPixmap()
        self._square: Square | None = None
        self._grip: tuple[QPointF, bool] | None = None
        self._drawn_from: QPointF | None = None
        self._drawing, self._words = "camera", ""
        self.by_hand = False
        self.mirrored = False
        self.setObjectName(name)
        self.setAccessibleName(words)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme.changed.connect(self.update)

    # values in

    def show_picture(self, picture: bytes) -> None:
        """A JPEG or PNG; b"" for none."""
        image = QImage.fromData(picture) if picture else QImage()
        if self.mirrored and not image.isNull():
            image = image.flipped(Qt.Orientation.Horizontal)
        self._picture = QPixmap.fromImage(image)
        self.setToolTip(HOW if picture else "")
        self.update()

    def show_square(self, square: Square | None, *, by_hand: bool) -> None:
        """Where the mouth is, unless a hand is just moving it."""
        if self._grip is None and (square, by_hand) != (self._square, self.by_hand):
            self._square, self.by_hand = square, by_hand
            self._describe()
            self.update()

    def say(self, drawing: str, words: str) -> None:
        """What is there while there is no picture."""
        self._drawing, self._words = drawing, words
        self._describe()
        self.update()

    @property
    def square(self) -> Square | None:
        return self._square

    @property
    def has_picture(self) -> bool:
        return not self._picture.isNull()

    # geometry

    def picture_rect(self) -> QRectF:
        """Where the picture is: as large as fits, in the middle."""
        room = QRectF(self.rect())
        if self._picture.isNull():
            return room
        size = self._picture.size().toSizeF().scaled(room.size(), Qt.AspectRatioMode.KeepAspectRatio)
        corner = room.center() - QPointF(size.width() / 2, size.height() / 2)
        return QRectF(corner, size)

    def square_rect(self) -> QRectF:
        """Where the square is in this widget's pixels; empty without one."""
        if self._square is None:
            return QRectF()
        room, square = self.picture_rect(), self._square
        x = 1 - square.x if self.mirrored else square.x
        side = square.side * room.width()
        middle = room.topLeft() + QPointF(x * room.width(), square.y * room.width())
        return QRectF(middle.x() - side / 2, middle.y() - side / 2, side, side)

    def sizeHint(self) -> QSize:
        return QSize(304, 172)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, 164)

    # hands

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if self._picture.isNull():
            super().keyPressEvent(event)
            return
        step = LEAP if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else STEP
        square = self._square or Square(0.5, self._middle(), 0.25)
        if key in MOVES:
            across, down = MOVES[key]
            across = -across if self.mirrored else across
            self._place(Square(square.x + across * step, square.y + down * step, square.side))
        elif key in SIZES:
            self._place(Square(square.x, square.y, square.side + SIZES[key] * 2 * step))
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self._clear()
        else:
            super().keyPressEvent(event)
            return
        if key not in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and self._square is not None:
            self.placed.emit(self._square)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or self._picture.isNull():
            event.ignore()
            return
        at, box = event.position(), self.square_rect()
        if box.adjusted(-NEAR, -NEAR, NEAR, NEAR).contains(at):
            self._grip = (at - box.center(), self._is_corner(at))
        else:
            self._drawn_from = at

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position()
        if self._drawn_from is not None:
            self._draw(at)
        if self._grip is None:
            self._point(at)
            return
        offset, is_corner = self._grip
        assert self._square is not None
        if is_corner:
            away = at - self.square_rect().center()
            side = 2 * max(abs(away.x()), abs(away.y())) / self.picture_rect().width()
            self._place(Square(self._square.x, self._square.y, side))
        else:
            self._place(self._at(at - offset, self._square.side))

    def _draw(self, at: QPointF) -> None:
        """A new square grows around the place of the press; a mere click draws none."""
        assert self._drawn_from is not None
        if (at - self._drawn_from).manhattanLength() >= DRAWN:
            self._place(self._at(self._drawn_from, SMALLEST))
            self._grip = (QPointF(), True)
            self._drawn_from = None

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._drawn_from = None
        if self._grip is not None and event.button() == Qt.MouseButton.LeftButton:
            self._grip = None
            if self._square is not None and self.by_hand:
                self.placed.emit(self._square)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self.by_hand:
            self._clear()

    def _clear(self) -> None:
        self._grip = None
        self._square, self.by_hand = None, False
        self._describe()
        self.update()
        self.cleared.emit()

    def _at(self, point: QPointF, side: float) -> Square:
        room = self.picture_rect()
        x = (point.x() - room.left()) / room.width()
        return Square(1 - x if self.mirrored else x, (point.y() - room.top()) / room.width(), side)

    def _place(self, square: Square) -> None:
        """Show a square put by hand, its middle within the picture."""
        x = min(1.0, max(0.0, square.x))
        y = min(2 * self._middle(), max(0.0, square.y))
        self._square = Square(x, y, min(LARGEST, max(SMALLEST, square.side)))
        self.by_hand = True
        self._describe()
        self.update()

    def _middle(self) -> float:
        room = self.picture_rect()
        return room.height() / room.width() / 2 if room.width() else 0.375

    def _is_corner(self, at: QPointF) -> bool:
        box = self.square_rect()
        corners = (box.topLeft(), box.topRight(), box.bottomLeft(), box.bottomRight())
        return any((corner - at).manhattanLength() <= NEAR for corner in corners)

    def _point(self, at: QPointF) -> None:
        box = self.square_rect()
        if self._picture.isNull() or box.isEmpty():
            self.unsetCursor()
        elif self._is_corner(at):
            falls = (at.x() > box.center().x()) == (at.y() > box.center().y())
            self.setCursor(Qt.CursorShape.SizeFDiagCursor if falls else Qt.CursorShape.SizeBDiagCursor)
        elif box.contains(at):
            self.setCursor(Qt.CursorShape.SizeAllCursor)
        else:
            self.unsetCursor()

    def _describe(self) -> None:
        if self._picture.isNull():
            words = self._words
        elif self._square is None:
            words = "No mouth is marked"
        else:
            x, y, side = (round(100 * value) for value in self._square)
            whose = "put by hand" if self.by_hand else "found"
            words = f"The mouth, {whose}: {x} % from the left, {y} % from the top, {side} % wide"
        self.setAccessibleDescription(words)

    # painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("surface" if self._picture.isNull() else "ground"))
        painter.drawRoundedRect(QRectF(self.rect()), theme.tokens.radius, theme.tokens.radius)
        if self._picture.isNull():
            self._paint_words(painter)
        else:
            painter.drawPixmap(self.picture_rect(), self._picture, QRectF(self._picture.rect()))
            self._paint_square(painter)
        if self.hasFocus():
            focus_ring(painter, QRectF(self.rect()))
        painter.end()

    def _paint_words(self, painter: QPainter) -> None:
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(theme.colour("line"), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(frame, theme.tokens.radius, theme.tokens.radius)
        ratio = painter.device().devicePixelRatioF()
        middle = QPointF(frame.center())
        mark = pixmap(self._drawing, 40, theme.tokens.edge, ratio)
        painter.drawPixmap(middle - QPointF(20, 48), mark)
        painter.setPen(theme.colour("text_dim"))
        painter.setFont(theme.font(theme.tokens.small))
        room = QRectF(frame.left() + 16, middle.y(), frame.width() - 32, frame.bottom() - middle.y() - 4)
        flags = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
        painter.drawText(room, int(flags), self._words)

    def _paint_square(self, painter: QPainter) -> None:
        box = self.square_rect()
        if box.isEmpty():
            return
        painter.setClipRect(self.picture_rect())
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme.colour("surface", 0.7), 4))
        painter.drawRoundedRect(box, 4, 4)
        style = Qt.PenStyle.SolidLine if self.by_hand else Qt.PenStyle.DashLine
        painter.setPen(QPen(theme.colour("accent"), 2, style))
        painter.drawRoundedRect(box, 4, 4)
        if self.by_hand or self.underMouse() or self.hasFocus():
            painter.setPen(QPen(theme.colour("surface"), 1))
            painter.setBrush(theme.colour("accent"))
            for corner in (box.topLeft(), box.topRight(), box.bottomLeft(), box.bottomRight()):
                painter.drawEllipse(corner, GRIP, GRIP)
        painter.setClipping(False)
