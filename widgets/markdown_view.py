"""A stranger's Markdown to read: no picture is fetched, no link opens by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import (
    QFont,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFragment,
)
from PySide6.QtWidgets import QFrame, QTextBrowser, QWidget

from widgets.markdown import tame
from widgets.theme import theme

__all__ = ["MarkdownView"]

FEATURES = QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML


class MarkdownView(QTextBrowser):
    """``show_markdown`` shows a text; ``link(address)`` is the link that a person pressed, still unopened."""

    link = Signal(str)

    def __init__(self, name: str, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(words)
        self.setProperty("role", "reading")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setOpenLinks(False)
        self.setOpenExternalLinks(False)
        self.setUndoRedoEnabled(False)
        self.anchorClicked.connect(lambda url: self.link.emit(url.toString()))
        self._text = ""
        theme.changed.connect(self._render)

    def show_markdown(self, text: str) -> None:
        if text != self._text:
            self._text = text
            self._render()

    def loadResource(self, kind: int, name: QUrl) -> Any:
        """Nothing is ever loaded, be it remote, a file or in the text itself."""
        return None

    def _render(self) -> None:
        document = self.document()
        document.setDefaultFont(theme.font(theme.tokens.small))
        document.setMarkdown(tame(self._text), FEATURES)
        document.setDocumentMargin(0)
        mending = QTextCursor(document)
        mending.beginEditBlock()  # else the whole table is laid out anew for every cell that is mended
        _mend_words(document)
        _drop_strays(document)
        _set_blocks(document)
        mending.endEditBlock()


def _set_blocks(document: QTextDocument) -> None:
    """Room between paragraphs, and headings of a pane's size: Qt's own are made for paper."""
    for block in _blocks(document):
        cursor, level = QTextCursor(block), block.blockFormat().headingLevel()
        room = QTextBlockFormat()
        room.setTopMargin(12 if level else 0)
        room.setBottomMargin(0 if cursor.currentTable() else 2 if block.textList() else 6)
        cursor.mergeBlockFormat(room)
        if level:
            cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)
            strong = QTextCharFormat()
            strong.setProperty(QTextFormat.Property.FontSizeAdjustment, 0)
            strong.setFont(theme.font(theme.tokens.body if level <= 2 else theme.tokens.small, strong=True))
            cursor.mergeCharFormat(strong)


def _mend_words(document: QTextDocument) -> None:
    """Put words where a picture would be, "[picture: a curve]", and bold in the weight that our font has."""
    picture, strong = QTextCharFormat(), QTextCharFormat()
    picture.setForeground(theme.colour("text_dim"))
    strong.setFontWeight(QFont.Weight.DemiBold)
    for fragment in reversed([fragment for block in _blocks(document) for fragment in _fragments(block)]):
        cursor = QTextCursor(document)
        cursor.setPosition(fragment.position())
        cursor.setPosition(fragment.position() + fragment.length(), QTextCursor.MoveMode.KeepAnchor)
        look = fragment.charFormat()
        if look.isImageFormat():
            words = look.toImageFormat().property(QTextFormat.Property.ImageAltText)
            cursor.insertText(f"[picture: {words}]", picture)
        elif look.fontWeight() > QFont.Weight.DemiBold:
            cursor.mergeCharFormat(strong)


def _drop_strays(document: QTextDocument) -> None:
    """After code Qt begins a table's first cell with a line that nobody wrote."""
    for block in reversed(list(_blocks(document))):
        table, after = QTextCursor(block).currentTable(), block.next()
        if not table or block.text() or QTextCursor(after).currentTable() != table:
            continue
        if table.cellAt(block.position()) == table.cellAt(after.position()):
            QTextCursor(block).deleteChar()


def _blocks(document: QTextDocument) -> Iterator[QTextBlock]:
    block = document.begin()
    while block.isValid():
        yield block
        block = block.next()


def _fragments(block: QTextBlock) -> Iterator[QTextFragment]:
    fragments = block.begin()
    while not fragments.atEnd():
        yield fragments.fragment()
        fragments += 1
