"""The sheet from which an adapter goes to the Hub: its name there, who may see it, and its card."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, QSize, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.pages.sign_in import SignInDialog
from app.presenters.publishing import Publishing
from widgets.facts import plain_label
from widgets.icon_button import WordButton
from widgets.open_link import open_page
from widgets.verdict import Verdict

__all__ = ["PublishDialog"]

SIZE = QSize(640, 600)


class PublishDialog(QDialog):
    """``present(name)`` shows what would be sent; nothing is before "Publish" is pressed."""

    def __init__(self, publishing: Publishing, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._publishing = publishing
        self.setObjectName("publish")
        self.resize(SIZE)
        self.repo = QLineEdit(self, objectName="publish-repo", accessibleName="Repository on the Hub")
        self.repo.setPlaceholderText("you/name")
        self.private = QCheckBox("Only I may see it", self, objectName="publish-private")
        self.private.setAccessibleName("Private: only I may see it")
        self.card = QPlainTextEdit(self, objectName="publish-card", accessibleName="Model card, Markdown")
        self.card.setTabChangesFocus(True)
        self._trouble = Verdict(self)
        self._trouble.setObjectName("publish-trouble")
        self.sign_in = WordButton("key", "Sign in", "publish-sign-in", self)
        self.send = QPushButton("Publish", self, objectName="publish-send", accessibleName="Publish")
        self.send.setProperty("role", "primary")
        self.show_page = WordButton("external", "Open on the Hub", "publish-open", self)
        self.stop = QPushButton("Stop", self, objectName="publish-stop", accessibleName="Stop publishing")
        self.leave = QPushButton("Close", self, objectName="publish-close", accessibleName="Close")
        self._who = SignInDialog(publishing.account, self)
        self._compose()
        self._connect()
        self._show()

    def present(self, name: str) -> None:
        self._publishing.begin(name)
        self.setWindowTitle(f"Publish {self._publishing.state.name}")
        self._show()
        self.show()
        self.activateWindow()
        self.repo.setFocus(Qt.FocusReason.PopupFocusReason)

    def _compose(self) -> None:
        name = QLabel("Repository", self)
        name.setBuddy(self.repo)
        words = plain_label("tiny", wrap=True)
        words.setText("The model card, made of what is known of the adapter. It can be changed here.")
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.sign_in)
        buttons.addStretch(1)
        for button in (self.show_page, self.stop, self.leave, self.send):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(8)
        for widget in (name, self.repo, self.private, words, self.card, self._trouble):
            column.addWidget(widget)
        column.setStretchFactor(self.card, 1)
        column.addLayout(buttons)

    def _connect(self) -> None:
        publishing = self._publishing
        publishing.changed.connect(self._show)
        publishing.account.changed.connect(self._show)
        self.repo.textEdited.connect(publishing.call_it)
        self.private.toggled.connect(publishing.hide)
        self.card.textChanged.connect(lambda: publishing.write(self.card.toPlainText()))
        self.sign_in.clicked.connect(self._who.open)
        self.send.clicked.connect(publishing.send)
        self.show_page.clicked.connect(lambda: open_page(publishing.state.address))
        self.stop.clicked.connect(publishing.cancel)
        self.leave.clicked.connect(self.close)

    def _show(self) -> None:
        state, account = self._publishing.state, self._publishing.account.state
        if self.repo.text() != state.repo and not self.repo.hasFocus():
            self.repo.setText(state.repo)
        self.private.setChecked(state.is_private)
        if self.card.toPlainText() != state.card:
            with QSignalBlocker(self.card):
                self.card.setPlainText(state.card)
        for widget in (self.repo, self.private, self.card):
            widget.setEnabled(not state.is_sending and not state.address)
        self.sign_in.setVisible(not account.name and not state.address)
        self.send.setVisible(not state.address and not state.is_sending)
        self.send.setEnabled(state.can_send and bool(account.name))
        self.stop.setVisible(state.is_sending)
        self.show_page.setVisible(bool(state.address))
        self._tell()

    def _tell(self) -> None:
        state, account = self._publishing.state, self._publishing.account.state
        if state.error is not None:
            self._trouble.say("bad", f"{state.error.message} {state.error.hint}".strip())
        elif state.address:
            self._trouble.say("good", f"{state.words} {state.address}")
        elif state.is_sending:
            self._trouble.say("accent", state.words)
        elif not account.name:
            self._trouble.say("text_dim", account.account.problem or "Sign in with a token that may write.")
        elif not state.is_private:
            self._trouble.say("warn", "Everybody will see it, and may copy it.")
        else:
            self._trouble.say("text_dim", f"It is sent as {account.name}, and nobody else sees it.")
