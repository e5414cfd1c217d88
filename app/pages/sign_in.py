"""Signing in to the Hub: a code for the browser, or a token; and the button that says who is signed in."""

from __future__ import annotations

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.presenters.account import Account
from widgets.facts import plain_label
from widgets.icon_button import WordButton
from widgets.open_link import open_page
from widgets.verdict import Verdict

__all__ = ["AccountButton", "SignInDialog"]

WIDTH = 440
KEPT = {
    "": "",
    "keyring": "The token lies in this computer's keyring.",
    "file": "The token lies in a file of the studio's home that only you can read.",
    "elsewhere": "The token is that of `hf auth login` or of the environment.",
}


class SignInDialog(QDialog):
    """``open()`` asks for a code at once. Closing gives up; it closes by itself when somebody signed in."""

    def __init__(self, account: Account, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sign-in")
        self.setWindowTitle("Sign in to the Hub")
        self.setFixedWidth(WIDTH)
        self._account = account
        self._words = plain_label(wrap=True)
        self._code = QLineEdit(self, objectName="sign-in-code", accessibleName="Code to type in the browser")
        self._code.setReadOnly(True)
        self._code.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._code.setProperty("role", "code")
        self._copy = WordButton("copy", "Copy code", "sign-in-copy", self)
        self._copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self._code.text()))
        self._open = QPushButton("Open the page", self, objectName="sign-in-open")
        self._open.setAccessibleName("Open the page")
        self._open.setProperty("role", "primary")
        self._open.clicked.connect(lambda: open_page(self._address()))
        self._where = plain_label("tiny", wrap=True)
        self._where.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._trouble = Verdict(self)
        self._again = WordButton("retry", "Get a code", "sign-in-again", self)
        self._again.clicked.connect(lambda: account.sign_in())
        self._token = QLineEdit(self, objectName="sign-in-token", accessibleName="Token")
        self._token.setEchoMode(QLineEdit.EchoMode.Password)
        self._token.setPlaceholderText("hf_…")
        self._token.returnPressed.connect(self._use_token)
        self._use = QPushButton("Use token", self, objectName="sign-in-use", accessibleName="Use token")
        self._use.clicked.connect(self._use_token)
        self._cancel = QPushButton("Cancel", self, objectName="sign-in-cancel", accessibleName="Cancel")
        self._cancel.clicked.connect(self.reject)
        for button in (self._copy, self._open, self._again, self._use, self._cancel):
            button.setAutoDefault(False)
        self._compose()
        account.changed.connect(self._show_state)
        account.signed_in.connect(self.accept)
        self.rejected.connect(account.give_up)

    def open(self) -> None:
        self._token.clear()
        self._account.sign_in()
        self._show_state()
        super().open()

    def done(self, result: int) -> None:
        # A secret is not left behind in a field that nobody sees.
        self._token.clear()
        super().done(result)

    def _use_token(self) -> None:
        if self._token.text().strip():
            self._account.sign_in(self._token.text())

    def _address(self) -> str:
        code = self._account.state.code
        return code.address if code else ""

    def _show_state(self) -> None:
        state = self._account.state
        code = state.code
        if code is not None:
            words = "Open this page, sign in there and type the code. This window notices by itself."
        elif state.is_signing_in:
            words = "Asking the Hub."
        else:
            words = "Ask for a code, or use a token with the right to read."
        self._words.setText(words)
        self._code.setText(code.code if code else "")
        self._where.setText(
            f"{QUrl(code.address).toDisplayString()}   The code is good for {code.seconds // 60} minutes."
            if code
            else ""
        )
        for widget in (self._code, self._copy, self._open, self._where):
            widget.setVisible(code is not None)
        if code is not None and not self._token.text():
            self._open.setFocus(Qt.FocusReason.OtherFocusReason)
        self._again.setVisible(not state.is_signing_in)
        self._trouble.setVisible(state.error is not None)
        if state.error is not None:
            self._trouble.say("bad", f"{state.error.message} {state.error.hint}".strip())
        self._use.setEnabled(not state.is_signing_in or code is not None)
        self.adjustSize()

    def _compose(self) -> None:
        verbs = QHBoxLayout()
        for button in (self._open, self._copy, self._again):
            verbs.addWidget(button)
        verbs.addStretch(1)
        or_else = QLabel("Or paste a token, made on the Hub's settings page", self)
        or_else.setProperty("role", "dim")
        or_else.setBuddy(self._token)
        token = QHBoxLayout()
        token.addWidget(self._token, 1)
        token.addWidget(self._use)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(self._cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        for part in (self._words, self._code, self._where, verbs, self._trouble):
            column.addWidget(part) if isinstance(part, QWidget) else column.addLayout(part)
        column.addSpacing(8)
        column.addWidget(or_else)
        column.addLayout(token)
        column.addSpacing(8)
        column.addLayout(foot)


class AccountButton(WordButton):
    """ "Sign in", or the name of who is signed in with a menu to sign out."""

    def __init__(self, account: Account, name: str, parent: QWidget | None = None) -> None:
        super().__init__("person", "Sign in", name, parent)
        self.setProperty("role", "quiet")
        self._account = account
        self.dialog = SignInDialog(account, self)
        self.clicked.connect(self.press)
        account.changed.connect(self._show_state)
        self._show_state()

    def press(self) -> None:
        """Begin to sign in, or offer to sign out."""
        if not self._account.state.name:
            self.dialog.open()
            return
        menu = QMenu(self)
        kept = menu.addAction(KEPT[self._account.state.account.kept])
        kept.setEnabled(False)
        menu.addAction("Sign out").triggered.connect(lambda: self._account.sign_out())
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.mapToGlobal(self.rect().bottomLeft()))

    def _show_state(self) -> None:
        state = self._account.state
        self.setText(state.name or "Sign in")
        words = f"Signed in to the Hub as {state.name}" if state.name else "Sign in to the Hub"
        self.setAccessibleName(words)
        self.setToolTip(state.account.problem or KEPT[state.account.kept] or "Sign in to the Hub")
