"""Before an address of a stranger opens in the browser it is shown in full."""

from __future__ import annotations

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QPushButton, QVBoxLayout, QWidget

__all__ = ["OpenLink", "open_page"]

WIDTH = 460
LONGEST = 2000


class OpenLink(QDialog):
    """``OpenLink(address, parent).open()``: shows the address as it is sent, its host on a line of its own.

    Only pages of the web can be opened; any other address can be read and copied.
    """

    def __init__(self, address: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("open-link")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._url = QUrl(address[:LONGEST], QUrl.ParsingMode.StrictMode)
        is_page = self._url.isValid() and self._url.scheme() in ("http", "https") and bool(self._url.host())
        self.setWindowTitle("Open this page?" if is_page else "This is no page of the web")
        # Encoded, so that letters of other scripts cannot pose as a host that one knows.
        self._address = self._url.toString(QUrl.ComponentFormattingOption.FullyEncoded) or address[:LONGEST]
        host = QLabel(self._url.host(QUrl.ComponentFormattingOption.FullyEncoded), self)
        host.setProperty("role", "title")
        words = QLabel(self._address.replace("/", "/\u200b").replace("&", "&\u200b"), self, wordWrap=True)
        words.setObjectName("open-link-address")
        for label in (host, words):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        buttons = QDialogButtonBox(self)
        self._add(buttons, "Copy address", "open-link-copy").clicked.connect(self._copy)
        cancel = self._add(buttons, "Cancel", "open-link-cancel")
        cancel.clicked.connect(self.reject)
        if is_page:
            self._add(buttons, "Open in browser", "open-link-open").clicked.connect(self.accept)
        cancel.setDefault(True)
        self.accepted.connect(lambda: open_page(self._address))
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        for widget in (host, words, buttons):
            column.addWidget(widget)
        self.setFixedWidth(WIDTH)

    def _add(self, buttons: QDialogButtonBox, words: str, name: str) -> QPushButton:
        button = buttons.addButton(words, QDialogButtonBox.ButtonRole.ActionRole)
        button.setObjectName(name)
        button.setAccessibleName(words)
        return button

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._address)


def open_page(address: str) -> None:
    """Open a page in the person's browser."""
    QDesktopServices.openUrl(QUrl(address))
