"""Flags at pinned ranks: each on a pole from its rank, side by side where ranks stand close together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPainterPath, QPen

from widgets.theme import theme

__all__ = ["cloths", "paint_flags"]

HIGH = 15.0
ROOM = 10.0
NOTCH, GAP = 4.0, 2.0


def cloths(
    ranks: Sequence[int], x_of: Callable[[float], float], top: float, width: float
) -> dict[int, QRectF]:
    """Where each rank's cloth hangs: right of its pole, or moved aside so that none covers another and all
    stay within ``width``."""
    metrics = QFontMetricsF(theme.font(theme.tokens.tiny, strong=True))
    wide = {rank: metrics.horizontalAdvance(str(rank)) + ROOM + NOTCH for rank in sorted(ranks)}
    left, after = {}, 0.0
    for rank in wide:
        left[rank] = max(round(x_of(rank)) + 0.5, after)
        after = left[rank] + wide[rank] + GAP
    before = width
    for rank in reversed(wide):
        left[rank] = min(left[rank], before - wide[rank])
        before = left[rank] - GAP
    return {rank: QRectF(left[rank], top, wide[rank], HIGH) for rank in wide}


def paint_flags(
    painter: QPainter, cloths: dict[int, QRectF], x_of: Callable[[float], float], foot: float
) -> None:
    """Poles that end at ``foot``, bent towards a cloth that was moved aside, and the ranks on the cloths."""
    painter.setFont(theme.font(theme.tokens.tiny, strong=True))
    for rank, cloth in cloths.items():
        x = round(x_of(rank)) + 0.5
        painter.setPen(QPen(theme.colour("text"), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        bend = min(cloth.bottom() + abs(x - cloth.left()) / 4, foot)
        painter.drawPolyline([cloth.topLeft(), cloth.bottomLeft(), QPointF(x, bend), QPointF(x, foot)])
        flag = QPainterPath(cloth.topLeft())
        notch = QPointF(cloth.right() - NOTCH, cloth.center().y())
        for point in (cloth.topRight(), notch, cloth.bottomRight(), cloth.bottomLeft()):
            flag.lineTo(point)
        flag.closeSubpath()
        painter.fillPath(flag, theme.colour("text"))
        painter.setPen(theme.colour("ground"))
        painter.drawText(cloth.adjusted(0, 0, -NOTCH, 0), Qt.AlignmentFlag.AlignCenter, str(rank))
