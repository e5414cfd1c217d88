"""Where something comes from: what was taken down when it came, its files' hashes, how to make it again."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from engine.messages import Provenance
from widgets.facts import Facts, plain_label
from widgets.icon_button import WordButton

__all__ = ["ProvenanceDialog"]

SIZE = QSize(680, 560)


class ProvenanceDialog(QDialog):
    """``ProvenanceDialog(provenance, parent).open()``."""

    def __init__(self, provenance: Provenance, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._told = provenance
        self.setObjectName("provenance")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"Where {provenance.name} comes from")
        self.resize(SIZE)
        title = plain_label("title", wrap=True)
        title.setText(self.windowTitle())
        sheet = QWidget(self)
        inside = QVBoxLayout(sheet)
        inside.setContentsMargins(0, 0, 8, 0)
        inside.setSpacing(12)
        facts = Facts(sheet)
        facts.fill(dict(provenance.facts))
        inside.addWidget(facts)
        if provenance.files:
            inside.addWidget(_heading("SHA-256 of its files", sheet))
            files = Facts(sheet)
            files.fill({name: _broken(digest) for name, digest in provenance.files.items()})
            inside.addWidget(files)
        inside.addStretch(1)
        area = QScrollArea(self, widgetResizable=True, objectName="provenance-facts")
        area.setAccessibleName("What is known of where it comes from")
        area.setWidget(sheet)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        column.addWidget(title)
        column.addWidget(area, 1)
        if provenance.command:
            column.addWidget(_heading("Make or fetch it again", self))
            column.addLayout(self._command())
        column.addLayout(self._buttons())

    def _command(self) -> QHBoxLayout:
        field = QLineEdit(self._told.command, self, objectName="provenance-command")
        field.setAccessibleName("Command that makes or fetches it again")
        field.setReadOnly(True)
        field.setCursorPosition(0)
        copy = WordButton("copy", "Copy command", "provenance-copy", self)
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self._told.command))
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(field, 1)
        row.addWidget(copy)
        return row

    def _buttons(self) -> QHBoxLayout:
        everything = WordButton("copy", "Copy all of it", "provenance-copy-all", self)
        everything.clicked.connect(lambda: QGuiApplication.clipboard().setText(_text(self._told)))
        leave = QPushButton("Close", self, objectName="provenance-close", accessibleName="Close")
        leave.setDefault(True)
        leave.clicked.connect(self.reject)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        row.addWidget(everything)
        row.addWidget(leave)
        return row


def _heading(words: str, parent: QWidget) -> QLabel:
    label = QLabel(words, parent)
    label.setProperty("role", "heading")
    return label


def _broken(digest: str) -> str:
    """A hash in groups, so that it can be read out and may break between two lines."""
    return " ".join(digest[place : place + 8] for place in range(0, len(digest), 8))


def _text(provenance: Provenance) -> str:
    """The whole card as plain text."""
    lines = [provenance.name, *(f"{what}: {value}" for what, value in provenance.facts)]
    lines += [f"sha256 {digest}  {name}" for name, digest in provenance.files.items()]
    return "\n".join([*lines, provenance.command]).strip() + "\n"
