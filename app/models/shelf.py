"""The shelf's adapters as an item model: what a row says, and what it carries when it is dragged."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractListModel, QMimeData, QModelIndex, QPersistentModelIndex, Qt

from engine.messages import AdapterCard

__all__ = ["ADAPTER_MIME", "Role", "ShelfModel", "adapter_mime"]

ADAPTER_MIME = "application/x-adapter-studio-adapter"

Index = QModelIndex | QPersistentModelIndex
NOWHERE = QModelIndex()


class Role(IntEnum):
    NAME = Qt.ItemDataRole.UserRole + 1
    FACTS = Qt.ItemDataRole.UserRole + 2
    IS_ON_DESK = Qt.ItemDataRole.UserRole + 3
    SEARCH = Qt.ItemDataRole.UserRole + 4


def adapter_mime(name: str) -> QMimeData:
    """What a dragged adapter is: its name, in UTF-8."""
    mime = QMimeData()
    mime.setData(ADAPTER_MIME, name.encode())
    return mime


class ShelfModel(QAbstractListModel):
    """The adapters of one base in the library's order; those on the desk say so."""

    def __init__(self) -> None:
        super().__init__()
        self._cards: list[AdapterCard] = []
        self._on_desk: set[str] = set()

    def set_cards(self, cards: Sequence[AdapterCard]) -> None:
        if list(cards) != self._cards:
            self.beginResetModel()
            self._cards = list(cards)
            self.endResetModel()

    def set_on_desk(self, names: set[str]) -> None:
        changed = self._on_desk ^ names
        self._on_desk = set(names)
        for row, card in enumerate(self._cards):
            if card.name in changed:
                self.dataChanged.emit(self.index(row), self.index(row))

    def rowCount(self, parent: Index = NOWHERE) -> int:
        return 0 if parent.isValid() else len(self._cards)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        card = self._cards[index.row()]
        is_on_desk = card.name in self._on_desk
        facts = f"rank {card.rank}" if not card.missing else "files are gone"
        match role:
            case Qt.ItemDataRole.DisplayRole | Role.NAME:
                return card.name
            case Role.FACTS:
                return facts
            case Role.IS_ON_DESK:
                return is_on_desk
            case Role.SEARCH:
                return f"{card.name} {card.kind} {card.description}"
            case Qt.ItemDataRole.ToolTipRole | Qt.ItemDataRole.AccessibleDescriptionRole:
                return f"{card.description or card.kind}, {facts}{', on the desk' if is_on_desk else ''}"
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{card.name}, {facts}{', on the desk' if is_on_desk else ''}"
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        usual = super().flags(index)
        return usual | Qt.ItemFlag.ItemIsDragEnabled if index.isValid() else usual

    def mimeTypes(self) -> list[str]:
        return [ADAPTER_MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        return adapter_mime(str(indexes[0].data(Role.NAME)))

    def supportedDragActions(self) -> Qt.DropAction:
        return Qt.DropAction.CopyAction
