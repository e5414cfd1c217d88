"""What every presenter of a state is: the state, and one signal that says that it is another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from PySide6.QtCore import QObject, Signal

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Presenter"]

State = TypeVar("State", bound="DataclassInstance")


class Presenter(QObject, Generic[State]):
    """``state`` is a frozen dataclass; ``changed`` tells of each that differs from the one before."""

    changed = Signal()

    def __init__(self, state: State, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state = state

    def _set(self, **changes: Any) -> None:
        """Change fields of the state."""
        state = replace(self.state, **changes)
        if state != self.state:
            self.state = state
            self.changed.emit()
