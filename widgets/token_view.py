"""Streaming text whose tokens wear the colour of the expert that led them, the stronger the surer it was."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QTextCharFormat, QTextCursor, QTextOption
from PySide6.QtWidgets import QFrame, QTextEdit, QWidget

from widgets.painting import hue_colour
from widgets.theme import theme

__all__ = ["PLAIN", "TokenView"]

PLAIN = -2
TINT = 0.34
SILENT_TINT = 0.12
PARTING = 0.24
# Says that a line may break here, and is no part of what was said.
BREAK = "\u200b"


@dataclass
class _Token:
    start: int
    hue: int
    certainty: float
    is_grey: bool = False
    parts: bool = False


class TokenView(QTextEdit):
    """``token_selected(index)``: the cursor was put on a token, by mouse or keyboard; ``opened(index)``: a
    person clicked on it, or pressed Enter, to know more of it.

    New tokens are appended at the end and the view follows only a reader who is at the end. What was read
    stays where it is: a word that outgrows its line is broken there instead of moving to the next one.
    """

    token_selected = Signal(int)
    opened = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tokens: list[_Token] = []
        self._silent: set[int] = set()
        self._marked = -1
        self._is_faded = False
        self._is_writing = False
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.cursorPositionChanged.connect(self._cursor_moved)
        self.document().setDocumentMargin(2)
        theme.changed.connect(self._dress)
        self._dress()

    @property
    def text(self) -> str:
        return self.toPlainText().replace(BREAK, "")

    def append_token(self, text: str, hue: int = PLAIN, certainty: float = 0.0) -> None:
        """Add a token at the end. ``hue`` PLAIN: nobody is known to have led; ``certainty`` 0..1."""
        if self._is_faded:
            self.set_faded(False)
        bar = self.verticalScrollBar()
        seen, is_at_end = bar.value(), bar.value() >= bar.maximum() - 2
        end = QTextCursor(self.document())
        end.movePosition(QTextCursor.MoveOperation.End)
        token = _Token(end.position(), hue, certainty)
        before = self._line_of(token.start - 1)
        self._tokens.append(token)
        style = self._format(len(self._tokens) - 1)
        reader = self.textCursor()
        anchor, position = reader.anchor(), reader.position()
        self._is_writing = True
        end.insertText(text, style)
        if self._line_of(token.start - 1) != before:
            end.setPosition(token.start)
            end.insertText(BREAK, style)
        # A cursor at the very end would be carried along, and select what is being said.
        reader.setPosition(anchor)
        reader.setPosition(position, QTextCursor.MoveMode.KeepAnchor)
        self.setTextCursor(reader)
        self._is_writing = False
        bar.setValue(bar.maximum() if is_at_end else seen)

    def write(self, texts: Sequence[str]) -> None:
        """Show tokens that were said before, all at once, in place of what is here."""
        self.restart()
        self._is_writing = True
        end = QTextCursor(self.document())
        end.beginEditBlock()
        for index, text in enumerate(texts):
            self._tokens.append(_Token(end.position(), PLAIN, 0.0))
            end.insertText(text, self._format(index))
        end.endEditBlock()
        self._is_writing = False

    def _line_of(self, position: int) -> int:
        """The line of its paragraph in which a character stands; -1 before the first."""
        block = self.document().findBlock(max(0, position))
        if position < 0 or not block.isValid():
            return -1
        self.document().documentLayout().documentSize()  # lays out what has just been written
        return int(block.layout().lineForTextPosition(position - block.position()).lineNumber())

    def restart(self) -> None:
        """Empty the view for the next answer."""
        self._is_writing = True
        self._tokens.clear()
        self._marked = -1
        self._is_faded = False
        self.clear()
        self._is_writing = False

    def set_silent(self, hues: set[int]) -> None:
        """Fade the colours of experts that are not heard now."""
        if hues != self._silent:
            self._silent = set(hues)
            self._paint_all()

    def compare(self, agrees: Sequence[bool], parts: Collection[int]) -> None:
        """Write tokens that agree with another text in grey, all others in full ink, and underline those
        where they part."""
        changed = []
        for index, token in enumerate(self._tokens):
            is_grey, does_part = index < len(agrees) and agrees[index], index in parts
            if (token.is_grey, token.parts) != (is_grey, does_part):
                token.is_grey, token.parts = is_grey, does_part
                changed.append(index)
        if changed:
            self._paint(changed[0], changed[-1] + 1)

    def set_faded(self, faded: bool) -> None:
        """Show that this text answers the question before the one now being asked."""
        if faded != self._is_faded:
            self._is_faded = faded
            self._paint_all()

    def mark(self, index: int) -> None:
        """Outline one token without taking the keyboard (-1: none)."""
        if index != self._marked:
            before, self._marked = self._marked, index
            for changed in (before, index):
                if 0 <= changed < len(self._tokens):
                    self._paint(changed, changed + 1)

    def token_at(self, position: int) -> int:
        """The token that holds the character at ``position``; -1 when there is none."""
        return bisect_right([token.start for token in self._tokens], position) - 1

    def _cursor_moved(self) -> None:
        if self._is_writing or not self._tokens:
            return
        index = self.token_at(self.textCursor().position())
        self.mark(index)
        self.token_selected.emit(index)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton and not self.textCursor().hasSelection():
            self._open()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._open()
        else:
            super().keyPressEvent(event)

    def _open(self) -> None:
        index = self.token_at(self.textCursor().position())
        if index >= 0:
            self.opened.emit(index)

    def _format(self, index: int) -> QTextCharFormat:
        token = self._tokens[index]
        style = QTextCharFormat()
        style.setForeground(theme.colour("text_dim" if self._is_faded or token.is_grey else "text"))
        if token.hue != PLAIN and not self._is_faded:
            is_silent = token.hue in self._silent
            strength = SILENT_TINT if is_silent else max(0.15, token.certainty)
            style.setBackground(hue_colour(token.hue, TINT * strength))
            style.setUnderlineStyle(QTextCharFormat.UnderlineStyle.SingleUnderline)
            style.setUnderlineColor(hue_colour(token.hue, strength))
        if token.parts and not self._is_faded:
            style.setBackground(theme.colour("accent", PARTING))
            style.setUnderlineStyle(QTextCharFormat.UnderlineStyle.SingleUnderline)
            style.setUnderlineColor(theme.colour("accent"))
        if index == self._marked:
            style.setBackground(theme.colour("accent"))
            style.setForeground(theme.colour("on_accent"))
        return style

    def _dress(self) -> None:
        tokens = theme.tokens
        self.setStyleSheet(
            f"TokenView {{ background: transparent; border: 2px solid transparent; padding: 0;"
            f" border-radius: {tokens.radius}px; font-size: {tokens.body}px }}"
            f"TokenView:focus {{ border-color: {tokens.focus} }}"
        )
        self._paint_all()

    def _paint(self, first: int, end: int) -> None:
        """Dress the tokens from ``first`` to before ``end``: neighbours that look alike in one go, since each
        change of format costs as much as a token said."""

        def look(index: int) -> tuple[object, ...]:
            token = self._tokens[index]
            return token.hue, token.certainty, token.is_grey, token.parts, index == self._marked

        last = self.document().characterCount() - 1
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        for _, alike in groupby(range(first, end), look):
            begun, *others = alike
            after = (others[-1] if others else begun) + 1
            cursor.setPosition(self._tokens[begun].start)
            ends = self._tokens[after].start if after < len(self._tokens) else last
            cursor.setPosition(ends, QTextCursor.MoveMode.KeepAnchor)
            cursor.setCharFormat(self._format(begun))
        cursor.endEditBlock()

    def _paint_all(self) -> None:
        self._paint(0, len(self._tokens))
