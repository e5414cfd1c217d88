"""Putting an adapter on the Hub: under which name, who may see it, what its card says, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer

from app.client import Client
from app.presenters.account import Account
from app.presenters.presenter import Presenter
from engine import messages
from engine.messages import Error

__all__ = ["Publishing", "PublishingState"]

PAUSE_MS = 300


@dataclass(frozen=True)
class PublishingState:
    """``card`` is the Markdown that is sent, the engine's own until a person has ``written`` in it; ``words``
    say what goes on, and ``address`` is the page once all is there."""

    name: str = ""
    repo: str = ""
    is_private: bool = True
    card: str = ""
    written: bool = False
    is_sending: bool = False
    words: str = ""
    address: str = ""
    error: Error | None = None

    @property
    def can_send(self) -> bool:
        return bool(self.repo and self.card) and not self.is_sending and not self.address


class Publishing(Presenter[PublishingState]):
    """Signals: ``changed`` with each new state."""

    def __init__(self, client: Client, account: Account, parent: QObject | None = None) -> None:
        super().__init__(PublishingState(), parent)
        self.account = account
        self._client = client
        self._call = ""
        self._pause = QTimer(self, interval=PAUSE_MS, singleShot=True)
        self._pause.timeout.connect(self._preview)
        account.changed.connect(self._name_owner)

    def begin(self, name: str) -> None:
        """Show what would be sent; nothing is."""
        if not self.state.is_sending:
            self.state = PublishingState(name=name, repo=name)
            self._name_owner()
            self._preview()
            self.changed.emit()

    def call_it(self, repo: str) -> None:
        """OWNER/NAME, or a name alone for one's own account."""
        self._set(repo=repo.strip())
        if not self.state.written:
            self._pause.start()  # the card names its repository

    def hide(self, is_private: bool) -> None:
        self._set(is_private=is_private)

    def write(self, card: str) -> None:
        if card != self.state.card:
            self._set(card=card, written=True)

    def send(self) -> None:
        """Put it there."""
        state = self.state
        if not state.can_send:
            return
        self._set(is_sending=True, words="Asking the Hub", error=None)
        request = messages.PublishAdapter(
            name=state.name, repo=state.repo, private=state.is_private, card=state.card
        )
        self._call = self._client.ask(request, self._sent, self._failed, self._told)

    def cancel(self) -> None:
        """Stop sending. What had been sent is not a commit, so nothing of it appears."""
        self._client.cancel(self._call)

    def _preview(self) -> None:
        state = self.state
        if state.name and not state.written:
            request = messages.PublishAdapter(name=state.name, repo=state.repo or state.name, preview=True)
            self._client.ask(request, None, self._failed, lambda said: self._previewed(state.name, said))

    def _previewed(self, name: str, said: object) -> None:
        if isinstance(said, messages.Said) and name == self.state.name and not self.state.written:
            self._set(card=said.text)

    def _name_owner(self) -> None:
        owner, state = self.account.state.name, self.state
        if owner and state.name and state.repo == state.name:
            self._set(repo=f"{owner}/{state.name}")
            self._preview()

    def _told(self, said: object) -> None:
        if isinstance(said, messages.Said):
            self._set(words=said.text)

    def _sent(self, answer: messages.Done) -> None:
        self._set(is_sending=False, words="It is on the Hub.", address=answer.path)

    def _failed(self, error: Error) -> None:
        self._set(is_sending=False, words="", error=None if error.code == "cancelled" else error)
