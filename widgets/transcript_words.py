"""A transcribed word: how it is written, struck or left out, and what it says to those who listen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen

from widgets.theme import theme

__all__ = ["CHIP", "Word", "WordRow", "clock", "paint_word", "tip"]

Verdict = Literal["plain", "right", "wrong", "extra", "missing", "differs"]

CHIP = 24
PAD = 8.0
FADED = 0.45
FAINTEST = 0.55
SPOKEN = {
    "wrong": "{text}, wrong: {meant}",
    "extra": "{text}, one too many",
    "missing": "missing: {meant}",
    "differs": "{text}, others differ",
}


@dataclass(frozen=True)
class Word:
    """``confidence`` 0..1 is how dark it is written. ``meant`` is what was said where this is wrong or
    missing (``text`` is "" then); "differs": the other columns have something else."""

    text: str
    start: float
    end: float
    confidence: float = 1.0
    verdict: Verdict = "plain"
    meant: str = ""

    @property
    def words(self) -> str:
        return SPOKEN.get(self.verdict, "{text}").format(text=self.text, meant=self.meant)


@dataclass(frozen=True)
class WordRow:
    """What every column has from ``start`` to ``end`` seconds, None where one has nothing."""

    start: float
    end: float
    cells: tuple[Word | None, ...]


def paint_word(painter: QPainter, cell: QRectF, word: Word, *, is_faded: bool = False) -> None:
    """A word at the left of its ``cell``, what was meant beside it where there is room."""
    painter.save()
    painter.setOpacity(FADED if is_faded else 1.0)
    font = theme.font(theme.tokens.body)
    metrics = QFontMetricsF(font)
    text = word.text or word.meant
    wide = min(cell.width(), metrics.horizontalAdvance(text) + 2 * PAD)
    chip = QRectF(cell.left(), cell.top(), wide, CHIP).adjusted(0.5, 0.5, -0.5, -0.5)
    _paint_chip(painter, chip, word.verdict)
    font.setStrikeOut(word.verdict in ("wrong", "extra"))
    painter.setFont(font)
    painter.setPen(_ink(word))
    shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, chip.width() - 2 * PAD + 2)
    painter.drawText(chip.adjusted(PAD, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, shown)
    left = QRectF(chip.right() + 6, cell.top(), cell.right() - chip.right() - 6, CHIP)
    if word.verdict == "wrong" and left.width() > 24:
        painter.setFont(theme.font(theme.tokens.small))
        painter.setPen(theme.colour("text_dim"))
        meant = painter.fontMetrics().elidedText(word.meant, Qt.TextElideMode.ElideRight, int(left.width()))
        painter.drawText(left, Qt.AlignmentFlag.AlignVCenter, meant)
    painter.restore()


def _paint_chip(painter: QPainter, chip: QRectF, verdict: Verdict) -> None:
    """A quiet ground for every word; a dashed outline, and no ground, for one that is missing."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if verdict == "missing":
        painter.setPen(QPen(theme.colour("edge"), 1, Qt.PenStyle.DashLine))
    elif verdict in ("wrong", "extra"):
        painter.setBrush(theme.colour("bad", 0.14))
    elif verdict == "differs":
        painter.setBrush(theme.colour("accent", 0.20))
    else:
        painter.setPen(QPen(theme.colour("line"), 1))
        painter.setBrush(theme.colour("raised"))
    painter.drawRoundedRect(chip, 5, 5)


def _ink(word: Word) -> QColor:
    """The surer a word, the darker; never fainter than can be read."""
    if word.verdict in ("wrong", "extra"):
        return theme.colour("bad")
    if word.verdict == "missing":
        return theme.colour("text_dim")
    dark, faint = theme.colour("text"), theme.colour("text_dim")
    share = min(1.0, max(0.0, (word.confidence - FAINTEST) / (1 - FAINTEST)))
    parts = [
        round(one + (other - one) * share)
        for one, other in zip(faint.getRgb()[:3], dark.getRgb()[:3], strict=True)
    ]
    return QColor(*parts)


def tip(word: Word) -> str:
    """Word, time and confidence."""
    sure = f", {100 * word.confidence:.0f} % sure" if word.text else ""
    return f"{word.words}\n{word.start:.2f} to {word.end:.2f} s{sure}"


def clock(seconds: float) -> str:
    """3.24 -> "0:03.2"."""
    minutes, rest = divmod(max(0.0, round(seconds, 1)), 60)
    return f"{minutes:.0f}:{rest:04.1f}"
