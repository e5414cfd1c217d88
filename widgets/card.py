"""A card in a list: a coloured edge with its word, a title, a few words. Painted, so thousands scroll freely.

Painting order: the card's surface, the verdict's edge, the outline, the title, the lines, the verdict's mark
and word, the marks above them, and last the focus ring. A ghost has bars in place of words. Everything comes
from one CardFace, so the model stays free of colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPainterPath, QPen, QPixmap
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from widgets.theme import pixmap, theme

__all__ = ["CardDelegate", "CardFace"]

HEIGHT = 168
GAP = 12
EDGE = 4
MARK = 13
# More than two large screens of cards, some 15 MB.
PICTURES = 96
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


class Look(NamedTuple):
    """What a hand does to a card."""

    chosen: bool
    hovered: bool
    focused: bool


class CardDelegate(QStyledItemDelegate):
    """Paints the CardFace that the model answers for ``role``; all cards are ``width`` wide.

    A card that was painted is kept as a picture: a frame of scrolling sets pictures and paints one new row.
    """

    def __init__(self, role: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._role = role
        self._pictures: dict[tuple[CardFace, Look, int, int, float], QPixmap] = {}
        self.width = 240
        theme.changed.connect(self._pictures.clear)

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(self.width, HEIGHT + GAP)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        state = option.state
        look = Look(
            bool(state & QStyle.StateFlag.State_Selected),
            bool(state & QStyle.StateFlag.State_MouseOver),
            bool(state & QStyle.StateFlag.State_HasFocus),
        )
        ratio = painter.device().devicePixelRatioF()
        key = (index.data(self._role), look, option.rect.width(), option.rect.height(), ratio)
        picture = self._pictures.pop(key, None) or self._picture(*key)
        self._pictures[key] = picture  # the last one to be used is the last one to go
        if len(self._pictures) > PICTURES:
            del self._pictures[next(iter(self._pictures))]
        painter.drawPixmap(option.rect.topLeft(), picture)

    def _picture(self, face: CardFace, look: Look, width: int, height: int, ratio: float) -> QPixmap:
        picture = QPixmap(round(width * ratio), round(height * ratio))
        picture.setDevicePixelRatio(ratio)
        picture.fill(theme.colour("ground"))  # a picture without holes is set five times as fast
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._card(painter, QRectF(0, 0, width, height), face, look)
        painter.end()
        return picture

    def _card(self, painter: QPainter, room: QRectF, face: CardFace, look: Look) -> None:
        radius = theme.tokens.radius
        body = room.adjusted(GAP / 2 + 0.5, GAP / 2 + 0.5, -GAP / 2 - 0.5, -GAP / 2 - 0.5)
        outline = QPainterPath()
        outline.addRoundedRect(body, radius, radius)
        painter.fillPath(outline, theme.colour(face.token))
        painter.setClipRect(room.adjusted(GAP / 2 + 0.5 + EDGE, 0, 0, 0))
        painter.fillPath(outline, theme.colour("raised"))
        painter.setClipping(False)
        if face.is_ghost:
            self._bars(painter, body.adjusted(EDGE + 12, 14, -12, -10))
            return
        line = "accent" if look.chosen else "edge" if look.hovered else "line"
        painter.setPen(QPen(theme.colour(line), 2 if look.chosen else 1))
        painter.drawPath(outline)
        self._words(painter, body.adjusted(EDGE + 12, 12, -12, -10), face)
        if look.focused:
            painter.setPen(QPen(theme.colour("focus"), 2))
            painter.drawRoundedRect(body.adjusted(-3, -3, 3, 3), radius + 2, radius + 2)

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
            words = _fit(words, font, row.right() - left)
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
