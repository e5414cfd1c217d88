"""The shelf's adapters as an item model: what a row says, and what it carries when it is dragged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QMimeData, QModelIndex, Qt

from app.models.adapters import MIME
from app.models.rows import Index, Rows
from engine.messages import AdapterCard

__all__ = ["Role", "Shelf", "Slip", "adapter_mime"]


class Role(IntEnum):
    NAME = Qt.ItemDataRole.UserRole + 1
    FACTS = Qt.ItemDataRole.UserRole + 2
    SEARCH = Qt.ItemDataRole.UserRole + 3
    REASON = Qt.ItemDataRole.UserRole + 4


@dataclass(frozen=True)
class Slip:
    """An adapter as it lies on the shelf; ``reason`` says why it cannot go onto this desk."""

    card: AdapterCard
    is_on_desk: bool
    reason: str = ""

    @property
    def facts(self) -> str:
        if self.card.missing:
            return "files are gone"
        if self.reason:
            return "does not fit"
        low, rank = self.card.low, f"rank {self.card.rank}"
        if self.card.kind == "dylora" and low < self.card.rank:
            rank = f"ranks {low}–{self.card.rank}"
        return f"{rank} · on desk" if self.is_on_desk else rank


def adapter_mime(name: str) -> QMimeData:
    """What a dragged adapter is: its name, in UTF-8."""
    mime = QMimeData()
    mime.setData(MIME, name.encode())
    return mime


class Shelf(Rows[Slip]):
    """The library's adapters; those on the desk, and those that cannot go there, say so."""

    def __init__(self) -> None:
        super().__init__(lambda slip: slip.card.name)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        slip = self.item(index)
        if slip is None:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole | Role.NAME:
                return slip.card.name
            case Role.FACTS:
                return slip.facts
            case Role.SEARCH:
                return f"{slip.card.name} {slip.card.kind} {slip.card.description}"
            case Role.REASON:
                return slip.reason
            case Qt.ItemDataRole.ToolTipRole:
                return slip.reason or slip.card.description or None
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{slip.card.name}, {slip.facts}"
            case Qt.ItemDataRole.AccessibleDescriptionRole:
                return slip.reason or slip.card.description
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        slip = self.item(index)
        return flags | Qt.ItemFlag.ItemIsDragEnabled if slip is not None and not slip.reason else flags

    def mimeTypes(self) -> list[str]:
        return [MIME]

    def mimeData(self, indexes: Iterable[QModelIndex]) -> QMimeData:
        return adapter_mime(next(str(index.data(Role.NAME)) for index in indexes))
