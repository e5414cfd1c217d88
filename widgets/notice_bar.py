"""The bar that says a sentence and its next step, without taking the keyboard from anyone."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from widgets.icon_button import IconButton, WordButton
from widgets.theme import pixmap, theme

__all__ = ["NoticeBar"]

DRAWING = {
    "info": ("info", "text_dim"),
    "good": ("good", "good"),
    "warn": ("warn", "warn"),
    "bad": ("bad", "bad"),
}

READ_MS = 6000


class NoticeBar(QFrame):
    """One notice at a time; a new one replaces the old. Hidden while there is nothing to say.

    Good news without a button goes by itself; everything else stays until it is put away.

    Signals: ``closed`` when the person has put it away.
    """

    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notice-bar")
        self.setProperty("role", "notice")
        self._level = "info"
        self._detail = ""
        self._act: Callable[[], None] | None = None
        self._mark = QLabel(self)
        self._message = QLabel(self, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._message.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._action = QPushButton(self, objectName="notice-action", accessibleName="Act on this notice")
        self._action.clicked.connect(self._run)
        self._copy = WordButton("copy", "Copy details", "notice-copy", self)
        self._copy.clicked.connect(self._copy_details)
        self._close = IconButton("close", "Dismiss this notice", "notice-close", self)
        self._close.setIconSize(QSize(16, 16))
        self._close.clicked.connect(self.dismiss)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 8, 8)
        row.setSpacing(8)
        row.addWidget(self._mark)
        row.addWidget(self._message, 1)
        row.addWidget(self._action)
        row.addWidget(self._copy)
        row.addWidget(self._close)
        self._rest = QTimer(self, interval=READ_MS, singleShot=True)
        self._rest.timeout.connect(self.dismiss)
        theme.changed.connect(self._tint)
        self.hide()

    @property
    def text(self) -> str:
        """What is being said now, "" when hidden."""
        return self._message.text() if self.isVisibleTo(self.parentWidget()) else ""

    def say(
        self,
        level: str,
        message: str,
        hint: str = "",
        detail: str = "",
        action: tuple[str, Callable[[], None]] | None = None,
    ) -> None:
        """``level`` is info, good, warn or bad; ``action`` a button's words and what it does."""
        self._level, self._detail = level, detail
        words = f"{message} {hint}".strip()
        self._message.setText(words)
        self._copy.setVisible(bool(detail))
        self._action.setVisible(action is not None)
        if action:
            self._action.setText(action[0])
            self._action.setAccessibleName(action[0])
            self._act = action[1]
        self._tint()
        self.show()
        self._rest.stop()
        if level in ("info", "good") and action is None:
            self._rest.start()
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, words))

    def dismiss(self) -> None:
        self._rest.stop()
        self.hide()
        self.closed.emit()

    def _run(self) -> None:
        act, self._act = self._act, None
        self.dismiss()
        if act:
            act()

    def _copy_details(self) -> None:
        QGuiApplication.clipboard().setText(f"{self._message.text()}\n\n{self._detail}")

    def _tint(self) -> None:
        drawing, token = DRAWING[self._level]
        self._mark.setPixmap(pixmap(drawing, 20, getattr(theme.tokens, token), self.devicePixelRatioF()))
