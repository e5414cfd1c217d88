"""Strokes that every painted widget shares: an expert's colour, its pattern, and the focus ring."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen

from widgets.theme import theme

__all__ = ["NULL_HUE", "fill_hue", "focus_ring", "hue_colour", "is_patterned"]

NULL_HUE = -1
FOCUS_WIDTH = 2.0


def hue_colour(hue: int, alpha: float = 1.0) -> QColor:
    """The colour of the expert in palette place ``hue``; NULL_HUE is the expert that says nothing."""
    return theme.colour("null", alpha) if hue == NULL_HUE else theme.expert(hue, alpha)


def is_patterned(hue: int) -> bool:
    """Whether this place wears a colour for the second time and is told apart by hatching."""
    return hue >= len(theme.tokens.experts)


def fill_hue(painter: QPainter, rect: QRectF, hue: int, alpha: float = 1.0, radius: float = 0.0) -> None:
    """Fill ``rect`` with an expert's colour, hatched where the palette has begun anew."""
    painter.save()
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(hue_colour(hue, alpha))
    painter.drawRoundedRect(rect, radius, radius)
    if is_patterned(hue):
        painter.setBrush(QBrush(theme.colour("surface", min(1.0, alpha + 0.2)), Qt.BrushStyle.BDiagPattern))
        painter.drawRoundedRect(rect, radius, radius)
    painter.restore()


def focus_ring(painter: QPainter, rect: QRectF, radius: float | None = None) -> None:
    """The ring that says where the keyboard is, drawn just inside ``rect``."""
    painter.save()
    painter.setPen(QPen(theme.colour("focus"), FOCUS_WIDTH))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    inset = FOCUS_WIDTH / 2
    corner = theme.tokens.radius if radius is None else radius
    painter.drawRoundedRect(rect.adjusted(inset, inset, -inset, -inset), corner, corner)
    painter.restore()
