"""The clips of the speech page as an item model: what a row says, and what a problem says of it."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from PySide6.QtCore import Qt

from app.models.rows import Index, Rows
from app.presenters.clips import ClipItem
from app.words import duration

__all__ = ["ClipRows", "Role", "facts"]

ORIGINS = {"example": "Example", "recording": "Recording", "file": "File"}


class Role(IntEnum):
    PATH = Qt.ItemDataRole.UserRole + 1
    FACTS = Qt.ItemDataRole.UserRole + 2
    ORIGIN = Qt.ItemDataRole.UserRole + 3
    PROBLEM = Qt.ItemDataRole.UserRole + 4


def facts(clip: ClipItem) -> str:
    """ "Recording, 0:07": what is said of a clip under its title."""
    if clip.problem:
        return "Cannot be used"
    return f"{ORIGINS[clip.origin]}, {duration(clip.seconds)}" if clip.seconds else ORIGINS[clip.origin]


class ClipRows(Rows[ClipItem]):
    """One row a clip, in the shelf's order."""

    def __init__(self) -> None:
        super().__init__(lambda clip: clip.path)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        clip: ClipItem | None = self.item(index)
        if clip is None:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return clip.title
            case Role.PATH:
                return clip.path
            case Role.FACTS:
                return facts(clip)
            case Role.ORIGIN:
                return clip.origin
            case Role.PROBLEM:
                return clip.problem
            case Qt.ItemDataRole.ToolTipRole:
                return clip.problem or (f"“{clip.text}”" if clip.text else clip.path)
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{clip.title}, {facts(clip)}"
            case Qt.ItemDataRole.AccessibleDescriptionRole:
                return clip.problem or clip.text
        return None
