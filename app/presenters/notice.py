"""A sentence for the person at the window, with its next step; every presenter's ``noticed`` carries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine.messages import Error

__all__ = ["Level", "Notice", "from_error"]

Level = Literal["info", "good", "warn", "bad"]


@dataclass(frozen=True)
class Notice:
    """``detail`` is what "Copy details" copies; ``action`` a button's words and what it does: "Undo"."""

    level: Level
    message: str
    hint: str = ""
    detail: str = ""
    action: tuple[str, Callable[[], None]] | None = None


def from_error(error: Error) -> Notice:
    """The sentence of a failure."""
    return Notice(level="bad", message=error.message, hint=error.hint, detail=error.detail or error.code)
