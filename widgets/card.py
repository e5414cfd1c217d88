"""A card in a list: a coloured edge with its word, a title, a few words. Painted, so thousands scroll freely.

Painting order: the card's surface, the verdict's edge, the outline, the title, the lines, the verdict's mark
and word, the marks above them, and last the focus ring. A ghost has bars in place of words. Everything comes
from one CardFace, so the model stays free of colours.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from widgets.theme import pixmap, theme

__all__ = ["CardDelegate", "CardFace"]

HEIGHT = 168
GAP = 12
EDGE = 4
MARK = 13
# A ghost's bars: top, height, share of the width.
GHOST = ((0, 12, 0.7), (28, 8, 0.4), (46, 8, 0.85), (64, 8, 0.6), (128, 10, 0.3))


@dataclass(frozen=True)
class CardFace:
    """``about`` gets two lines where it is not None; ``verdict`` is the edge's word, ``token`` its colour.

    ``marks`` are small drawings with a few signs each ("download", "1.2k"). A ghost stands for a card that is
    still to come.
    """

    title: str
    about: str | None
    lines: tuple[str, ...]
    verdict: str
    token: str
    marks: tuple[tuple[str, str], ...] = ()
    is_ghost: bool = False


class CardDelegate(QStyledItemDelegate):
    """Paints the CardFace that the model answers for ``role``; all cards are ``width`` wide."""

    def __init__(self, role: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._role = role
        self.width = 240

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(self.width, HEIGHT + GAP)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        face: CardFace = index.data(self._role)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        focused = bool(option.state & QStyle.StateFlag.State_HasFocus)
        tokens = theme.tokens
        body = QRectF(option.rect).adjusted(GAP / 2 + 0.5, GAP / 2 + 0.5, -GAP / 2 - 0.5, -GAP / 2 - 0.5)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        outline = QPainterPath()
        outline.addRoundedRect(body, tokens.radius, tokens.radius)
        painter.fillPath(outline, theme.colour("raised"))
        painter.save()
        painter.setClipPath(outline)
        edge = QRectF(body.left(), body.top(), EDGE, body.height())
        painter.fillRect(edge, theme.colour(face.token))
        painter.restore()
        if face.is_ghost:
            self._bars(painter, body.adjusted(EDGE + 12, 14, -12, -10))
            painter.restore()
            return
        pen = QPen(theme.colour("accent" if chosen else "edge" if hovered else "line"), 2 if chosen else 1)
        painter.setPen(pen)
        painter.drawPath(outline)
        self._words(painter, body.adjusted(EDGE + 12, 12, -12, -10), face)
        if focused:
            painter.setPen(QPen(theme.colour("focus"), 2))
            painter.drawRoundedRect(body.adjusted(-3, -3, 3, 3), tokens.radius + 2, tokens.radius + 2)
        painter.restore()

    def _words(self, painter: QPainter, room: QRectF, face: CardFace) -> None:
        tokens = theme.tokens
        title, small = theme.font(tokens.body, strong=True), theme.font(tokens.tiny)
        line = QFontMetrics(small).height() + 3
        painter.setFont(title)
        painter.setPen(theme.colour("text"))
        painter.drawText(room, Qt.AlignmentFlag.AlignTop, _fit(face.title, title, room.width()))
        painter.setFont(small)
        painter.setPen(theme.colour("text_dim"))
        top = room.top() + QFontMetrics(title).height() + 6
        about = [] if face.about is None else _two_lines(face.about, small, room.width())
        for words in (*about, *face.lines):
            where = QRectF(room.left(), top, room.width(), line)
            painter.drawText(where, Qt.AlignmentFlag.AlignTop, _fit(words, small, room.width()))
            top += line
        foot = QRectF(room.left(), room.bottom() - 16, room.width(), 16)
        mark = {"good": "good", "warn": "warn", "bad": "bad"}.get(face.token, "info")
        ratio = painter.device().devicePixelRatioF()
        painter.drawPixmap(foot.topLeft(), pixmap(mark, 16, getattr(tokens, face.token), ratio))
        painter.setPen(theme.colour(face.token))
        painter.drawText(foot.adjusted(21, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, face.verdict)
        self._marks(painter, foot.translated(0, -22), face.marks, small, ratio)

    def _marks(
        self, painter: QPainter, row: QRectF, marks: tuple[tuple[str, str], ...], font: QFont, ratio: float
    ) -> None:
        colour, metrics, left = theme.tokens.text_dim, QFontMetrics(font), row.left()
        painter.setPen(theme.colour("text_dim"))
        for drawing, words in marks:
            painter.drawPixmap(int(left), int(row.top()) + 2, pixmap(drawing, MARK, colour, ratio))
            left += MARK + 4
            where = QRectF(left, row.top(), row.width(), row.height())
            painter.drawText(where, Qt.AlignmentFlag.AlignVCenter, words)
            left += metrics.horizontalAdvance(words) + 8

    def _bars(self, painter: QPainter, room: QRectF) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("line"))
        for top, height, share in GHOST:
            painter.drawRoundedRect(QRectF(room.left(), room.top() + top, room.width() * share, height), 3, 3)


def _fit(words: str, font: QFont, width: float) -> str:
    return QFontMetrics(font).elidedText(words, Qt.TextElideMode.ElideRight, int(width))


def _two_lines(words: str, font: QFont, width: float) -> list[str]:
    """As many whole words as fit into a first line, and the rest, be it empty: facts align across cards."""
    metrics = QFontMetrics(font)
    first, _, rest = words.partition(" ")
    while rest and metrics.horizontalAdvance(f"{first} {rest.split(' ', 1)[0]}") <= width:
        word, _, rest = rest.partition(" ")
        first = f"{first} {word}"
    return [first, rest]
