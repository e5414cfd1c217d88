"""A stranger's Markdown to read: no picture is fetched, no link opens by itself."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QTextBlockFormat, QTextCharFormat, QTextCursor, QTextDocument, QTextFormat
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
        _name_pictures(document)
        _set_blocks(document)


def _set_blocks(document: QTextDocument) -> None:
    """Room between paragraphs, and headings of a pane's size: Qt's own are made for paper."""
    block = document.begin()
    while block.isValid():
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
        block = block.next()


def _name_pictures(document: QTextDocument) -> None:
    """Put words where a picture would be: "[picture: a curve]"."""
    pictures = []
    block = document.begin()
    while block.isValid():
        fragments = block.begin()
        while not fragments.atEnd():
            fragment = fragments.fragment()
            if fragment.charFormat().isImageFormat():
                image = fragment.charFormat().toImageFormat()
                alt = image.property(QTextFormat.Property.ImageAltText) or ""
                pictures.append((fragment.position(), fragment.length(), str(alt)))
            fragments += 1
        block = block.next()
    plain = QTextCharFormat()
    plain.setForeground(theme.colour("text_dim"))
    for position, length, alt in reversed(pictures):
        cursor = QTextCursor(document)
        cursor.setPosition(position)
        cursor.setPosition(position + length, QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(f"[picture: {alt}]", plain)
