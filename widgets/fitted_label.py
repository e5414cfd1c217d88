"""A name in the largest of a few fonts that holds it whole; else without its middle."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from widgets.theme import theme

__all__ = ["FittedLabel"]


class FittedLabel(QLabel):
    """It takes the width that it is given, and one height for all; the whole name is its tooltip."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._is_dimmed = False
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setToolTip(name)
        self._fit()
        theme.changed.connect(self._fit)

    def set_dimmed(self, dimmed: bool) -> None:
        """Write it as one writes what is not heard."""
        self._is_dimmed = dimmed
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        tokens, room = theme.tokens, self.width()
        fonts = [theme.font(tokens.small, strong=True), theme.font(tokens.tiny, strong=True)]
        fonts += [theme.font(tokens.tiny), theme.font(tokens.tiny)]
        fonts[-1].setLetterSpacing(QFont.SpacingType.PercentageSpacing, 90)
        fitting = (font for font in fonts if QFontMetrics(font).horizontalAdvance(self._name) <= room)
        font = next(fitting, fonts[-1])
        self.setFixedHeight(QFontMetrics(fonts[0]).height())
        self.setFont(font)
        # The theme's style sheet has the last word on sizes, and this label's own the very last.
        ink = tokens.text_dim if self._is_dimmed else tokens.text
        self.setStyleSheet(f"color: {ink}; font-size: {font.pixelSize()}px")
        self.setText(QFontMetrics(font).elidedText(self._name, Qt.TextElideMode.ElideMiddle, room))
