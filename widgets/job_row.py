"""One job in a list: its mark, name, what it is doing, how far it is and how long it still takes. Painted."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from widgets.theme import pixmap, theme

__all__ = ["JobDelegate", "JobFace"]

HEIGHT = 72


@dataclass(frozen=True)
class JobFace:
    """``mark`` is a drawing and ``token`` its colour; ``share`` is 0..1, or None where there is no bar."""

    mark: str
    token: str
    title: str
    words: str
    figures: str
    share: float | None


class JobDelegate(QStyledItemDelegate):
    """Paints the JobFace that the model answers for ``role``."""

    def __init__(self, role: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._role = role

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(240, HEIGHT)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        face: JobFace = index.data(self._role)
        tokens = theme.tokens
        room = QRectF(option.rect)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if chosen or option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(room, theme.colour("raised"))
        if chosen:
            painter.fillRect(QRectF(room.left(), room.top(), 3, room.height()), theme.colour("accent"))
        painter.fillRect(QRectF(room.left(), room.bottom() - 1, room.width(), 1), theme.colour("line"))
        ratio = painter.device().devicePixelRatioF()
        mark = pixmap(face.mark, 20, getattr(tokens, face.token), ratio)
        painter.drawPixmap(room.topLeft() + QRectF(16, 14, 0, 0).topLeft(), mark)
        self._words(painter, room.adjusted(48, 12, -16, -12), face)
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(theme.colour("focus"), 2))
            painter.drawRoundedRect(room.adjusted(2, 2, -2, -3), tokens.radius, tokens.radius)
        painter.restore()

    def _words(self, painter: QPainter, room: QRectF, face: JobFace) -> None:
        tokens = theme.tokens
        title, small = theme.font(tokens.small, strong=True), theme.font(tokens.tiny)
        figures = QFontMetrics(small).horizontalAdvance(face.figures)
        top = Qt.AlignmentFlag.AlignTop
        painter.setFont(title)
        painter.setPen(theme.colour("text"))
        painter.drawText(room, top, _fit(face.title, title, room.width() - figures - 12))
        painter.setFont(small)
        painter.setPen(theme.colour("text_dim"))
        painter.drawText(room, top | Qt.AlignmentFlag.AlignRight, face.figures)
        line = room.adjusted(0, 20, 0, 0)
        painter.drawText(line, top, _fit(face.words, small, room.width()))
        if face.share is not None:
            bar = QRectF(room.left(), room.bottom() - 4, room.width(), 4)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour("line"))
            painter.drawRoundedRect(bar, 2, 2)
            bar.setWidth(bar.width() * min(max(face.share, 0.0), 1.0))
            painter.setBrush(theme.colour("accent"))
            painter.drawRoundedRect(bar, 2, 2)


def _fit(words: str, font: QFont, width: float) -> str:
    return QFontMetrics(font).elidedText(words, Qt.TextElideMode.ElideRight, int(width))
