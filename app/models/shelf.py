"""The shelf's adapters as an item model: what a row says, and what it carries when it is dragged."""

from __future__ import annotations

from collections.abc import Collection, Iterable
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


@dataclass(frozen=True)
class Slip:
    """An adapter as it lies on the shelf."""

    card: AdapterCard
    is_on_desk: bool

    @property
    def facts(self) -> str:
        rank = "files are gone" if self.card.missing else f"rank {self.card.rank}"
        return f"{rank} · on desk" if self.is_on_desk else rank


def adapter_mime(name: str) -> QMimeData:
    """What a dragged adapter is: its name, in UTF-8."""
    mime = QMimeData()
    mime.setData(MIME, name.encode())
    return mime


class Shelf(Rows[Slip]):
    """The adapters of one base in the library's order; those on the desk say so."""

    def __init__(self) -> None:
        super().__init__(lambda slip: slip.card.name)

    def fill(self, cards: Iterable[AdapterCard], on_desk: Collection[str]) -> None:
        self.show([Slip(card, card.name in on_desk) for card in cards])

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
            case Qt.ItemDataRole.ToolTipRole:
                return slip.card.description or None
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{slip.card.name}, {slip.facts}"
            case Qt.ItemDataRole.AccessibleDescriptionRole:
                return slip.card.description
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsDragEnabled if index.isValid() else flags

    def mimeTypes(self) -> list[str]:
        return [MIME]

    def mimeData(self, indexes: Iterable[QModelIndex]) -> QMimeData:
        return adapter_mime(next(str(index.data(Role.NAME)) for index in indexes))
