"""Undo and redo of whole states: what a hand did in one go is one step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

__all__ = ["History"]

State = TypeVar("State")


@dataclass(frozen=True)
class _Step(Generic[State]):
    state: State
    label: str
    back: Callable[[], None] | None = None
    again: Callable[[], None] | None = None


class History(Generic[State]):
    """The state ``now`` and those before and after it. Steps with the same ``merge`` key are one step until
    ``seal``."""

    def __init__(self, state: State, limit: int = 200) -> None:
        self._past: list[_Step[State]] = []
        self._future: list[_Step[State]] = []
        self._merge = ""
        self._limit = limit
        self.now = state

    def record(
        self,
        state: State,
        label: str,
        merge: str = "",
        back: Callable[[], None] | None = None,
        again: Callable[[], None] | None = None,
    ) -> bool:
        """Make ``state`` the present. False, and no step, when that changes nothing.

        A step that also did something outside of the state says how it is taken ``back`` and done ``again``.
        """
        if state == self.now and back is None:
            return False
        if not merge or merge != self._merge:
            self._past = [*self._past[-self._limit + 1 :], _Step(self.now, label, back, again)]
        self._future.clear()
        self._merge = merge
        self.now = state
        return True

    def amend(self, change: Callable[[State], State]) -> None:
        """Tell all states, before and after too, of something that has happened outside of them."""
        self.now = change(self.now)
        for steps in (self._past, self._future):
            steps[:] = [replace(step, state=change(step.state)) for step in steps]

    def seal(self) -> None:
        """The hand has left the control: the next movement of it is a step of its own."""
        self._merge = ""

    @property
    def undo_label(self) -> str:
        return self._past[-1].label if self._past else ""

    @property
    def redo_label(self) -> str:
        return self._future[-1].label if self._future else ""

    def undo(self) -> bool:
        step = self._swap(self._past, self._future)
        if step is not None and step.back is not None:
            step.back()
        return step is not None

    def redo(self) -> bool:
        step = self._swap(self._future, self._past)
        if step is not None and step.again is not None:
            step.again()
        return step is not None

    def _swap(self, source: list[_Step[State]], target: list[_Step[State]]) -> _Step[State] | None:
        if not source:
            return None
        step = source.pop()
        target.append(replace(step, state=self.now))
        self.now = step.state
        self._merge = ""
        return step
