"""Settings and the doctor: what works on this machine, and what this person prefers."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.notice import from_error
from app.presenters.presenter import Presenter
from engine import messages
from engine.messages import Check

__all__ = ["Settings", "SettingsState"]


@dataclass(frozen=True)
class SettingsState:
    """``checks`` are the doctor's, in its order; ``examining`` while it looks."""

    home: str = ""
    version: str = ""
    checks: tuple[Check, ...] = ()
    examining: bool = False


class Settings(Presenter[SettingsState]):
    """Signals: ``changed`` with each new state, ``noticed`` with a Notice."""

    noticed = Signal(object)

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(SettingsState(), parent)
        self._client = client
        client.welcomed.connect(self._ask)
        self._ask()

    def examine(self) -> None:
        """Ask the doctor what works here."""
        self._set(examining=True)
        self._client.ask(messages.RunDoctor(), self._examined, self._failed)

    def _ask(self) -> None:
        self._client.ask(messages.Status(), self._told, self._failed)
        if not self.state.checks:
            self.examine()

    def _told(self, status: messages.EngineStatus) -> None:
        self._set(home=status.home, version=status.version)

    def _examined(self, doctor: messages.Doctor) -> None:
        self._set(checks=tuple(doctor.checks), examining=False)

    def _failed(self, error: messages.Error) -> None:
        self._set(examining=False)
        self.noticed.emit(from_error(error))
