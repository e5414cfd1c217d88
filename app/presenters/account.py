"""The account on the Hub: who is signed in, and two ways to sign in: a code in the browser, or a token."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.notice import Notice
from app.presenters.presenter import Presenter
from engine import messages
from engine.messages import Error, SignInCode

__all__ = ["OFFICIAL", "Account", "AccountState"]

OFFICIAL = "https://huggingface.co"


@dataclass(frozen=True)
class AccountState:
    """``known`` once the Hub has been asked. While ``is_signing_in`` a ``code`` may wait to be typed;
    ``error`` says why the last attempt failed."""

    account: messages.Account = field(default_factory=lambda: messages.Account(endpoint=""))
    known: bool = False
    is_signing_in: bool = False
    code: SignInCode | None = None
    error: Error | None = None

    @property
    def name(self) -> str:
        return self.account.name

    @property
    def mirror(self) -> str:
        """The address that stands in for the Hub's own, "" for the Hub itself."""
        endpoint = self.account.endpoint.rstrip("/")
        return "" if endpoint == OFFICIAL else endpoint


class Account(Presenter[AccountState]):
    """Signals: ``changed`` with each new state, ``noticed`` with a Notice, ``signed_in``, ``signed_out``."""

    noticed = Signal(object)
    signed_in = Signal()
    signed_out = Signal()

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(AccountState(), parent)
        self._client = client
        self._call = ""
        client.welcomed.connect(self.refresh)
        if client.engine.phase == "ready":
            self.refresh()

    def refresh(self) -> None:
        """Ask who is signed in."""
        self._client.ask(messages.AskAccount(), self._told, self._unknown)

    def sign_in(self, token: str = "") -> None:
        """With a token, or without one by a code that is to be typed in a browser."""
        if self.state.is_signing_in:
            self.give_up()
        self._set(is_signing_in=True, code=None, error=None)
        self._call = call = self._client.ask(
            messages.SignIn(token=token.strip()),
            lambda account: self._arrived(account) if call == self._call else None,
            lambda error: self._refused(error) if call == self._call else None,
            lambda code: self._coded(code) if call == self._call else None,
        )

    def give_up(self) -> None:
        """Sign in another time."""
        self._client.cancel(self._call)
        self._call = ""
        self._set(is_signing_in=False, code=None, error=None)

    def sign_out(self) -> None:
        """Forget the token that the studio keeps."""
        self._client.ask(messages.SignOut(), self._left, self._unknown)

    def _told(self, account: messages.Account) -> None:
        self._set(account=account, known=True)

    def _unknown(self, error: Error) -> None:
        self._set(account=msgspec.structs.replace(self.state.account, problem=error.message), known=True)

    def _coded(self, code: object) -> None:
        if isinstance(code, SignInCode):
            self._set(code=code)

    def _arrived(self, account: messages.Account) -> None:
        self._call = ""
        self._set(account=account, known=True, is_signing_in=False, code=None)
        self.noticed.emit(Notice("good", f"Signed in as {account.name}."))
        self.signed_in.emit()

    def _refused(self, error: Error) -> None:
        self._call = ""
        self._set(is_signing_in=False, code=None, error=None if error.code == "cancelled" else error)

    def _left(self, account: messages.Account) -> None:
        self._told(account)
        if account.kept == "elsewhere":
            hint = "It is kept by another program, and only that one can forget it."
            self.noticed.emit(Notice("info", "Still signed in with a token that is not the studio's.", hint))
        else:
            self.noticed.emit(Notice("good", "Signed out."))
        self.signed_out.emit()
