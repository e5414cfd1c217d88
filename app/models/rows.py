"""A list model that follows a tuple of values row by row and never resets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex

__all__ = ["Rows"]

Item = TypeVar("Item")
Index = QModelIndex | QPersistentModelIndex


class Rows(QAbstractListModel, Generic[Item]):
    """Rows of frozen values, told apart by ``key``. Subclasses answer ``data`` from ``self.items[row]``."""

    def __init__(self, key: Callable[[Item], str], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.items: list[Item] = []
        self._key = key

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.items)

    def row_of(self, key: str) -> int:
        """The row of a value, -1 when it is not there."""
        return next((row for row, item in enumerate(self.items) if self._key(item) == key), -1)

    def show(self, items: Sequence[Item]) -> None:
        """Become ``items``: selection, scroll position and editors of rows that stay are left alone."""
        wanted = {self._key(item) for item in items}
        for row in range(len(self.items) - 1, -1, -1):
            if self._key(self.items[row]) not in wanted:
                self.beginRemoveRows(QModelIndex(), row, row)
                del self.items[row]
                self.endRemoveRows()
        for row, item in enumerate(items):
            there = self.row_of(self._key(item))
            if there < 0:
                self.beginInsertRows(QModelIndex(), row, row)
                self.items.insert(row, item)
                self.endInsertRows()
                continue
            if there != row:
                self.beginMoveRows(QModelIndex(), there, there, QModelIndex(), row)
                self.items.insert(row, self.items.pop(there))
                self.endMoveRows()
            if self.items[row] != item:
                self.items[row] = item
                self.dataChanged.emit(self.index(row), self.index(row))

    def item(self, index: Index) -> Any:
        """The value behind an index of this model, None when it is invalid."""
        return self.items[index.row()] if index.isValid() and index.row() < len(self.items) else None
