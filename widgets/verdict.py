"""A verdict: an icon and words in one of the three colours that are kept for verdicts."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from widgets.theme import pixmap, theme

__all__ = ["Verdict"]

ROLE = {"good": "good", "warn": "warn", "bad": "bad", "text_dim": "dim", "accent": ""}
DRAWING = {"good": "good", "warn": "warn", "bad": "bad", "text_dim": "info", "accent": "info"}


class Verdict(QWidget):
    """Say it with ``say(token, words)``; ``token`` is good, warn, bad, accent or text_dim.

    ``quiet`` keeps the words in the ink of all text, for lists of many verdicts.
    """

    def __init__(self, parent: QWidget | None = None, *, quiet: bool = False) -> None:
        super().__init__(parent)
        self._quiet = quiet
        self._token = "text_dim"
        self._drawing = "info"
        self._mark = QLabel(self)
        self._words = QLabel(self, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._words, 1)
        theme.changed.connect(self._tint)

    def say(self, token: str, words: str, drawing: str = "") -> None:
        """``drawing`` stands in for the token's own mark."""
        self._token = token
        self._drawing = drawing or DRAWING[token]
        self._words.setText(words)
        self._tint()

    def _tint(self) -> None:
        colour = getattr(theme.tokens, self._token)
        self._mark.setPixmap(pixmap(self._drawing, 18, colour, self.devicePixelRatioF()))
        # The role is looked up by the style sheet, which only looks again when asked.
        self._words.setProperty("role", "" if self._quiet else ROLE[self._token])
        self._words.style().polish(self._words)
