"""A list model that follows a sequence of frozen values in whole ranges, in linear time, and never resets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
        self._places: dict[str, int] | None = None

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.items)

    def row_of(self, key: str) -> int:
        """The row of a value, -1 when it is not there."""
        if self._places is None:
            self._places = {self._key(item): row for row, item in enumerate(self.items)}
        return self._places.get(key, -1)

    def show(self, items: Sequence[Item]) -> None:
        """Become ``items``: selection, scroll position and editors of rows that stay are left alone."""
        known = len(self.items)
        # A list that only grew at its end is told by identity, without a look at any key.
        if list(items[:known]) != self.items:
            self._remove_all_but({self._key(item) for item in items})
            self._arrange(items)
            self._insert_before_stayers(items)
            self._replace(items)
        elif len(items) > known:
            self._insert(known, items[known:])

    def item(self, index: Index) -> Any:
        """The value behind an index of this model, None when it is invalid."""
        return self.items[index.row()] if index.isValid() and index.row() < len(self.items) else None

    def _remove_all_but(self, wanted: set[str]) -> None:
        gone = [row for row, item in enumerate(self.items) if self._key(item) not in wanted]
        for first, last in reversed(list(_ranges(gone))):
            self.beginRemoveRows(QModelIndex(), first, last)
            del self.items[first : last + 1]
            self._places = None
            self.endRemoveRows()

    def _arrange(self, items: Sequence[Item]) -> None:
        """Bring the rows that stay into the order that they have in ``items``."""
        keys = [self._key(item) for item in self.items]
        here = {key: row for row, key in enumerate(keys)}
        order = [key for item in items if (key := self._key(item)) in here]
        if order == keys:
            return
        self.layoutAboutToBeChanged.emit()
        held = self.persistentIndexList()
        rows = {key: row for row, key in enumerate(order)}
        self.items = [self.items[here[key]] for key in order]
        self._places = None
        self.changePersistentIndexList(held, [self.index(rows[keys[index.row()]]) for index in held])
        self.layoutChanged.emit()

    def _insert_before_stayers(self, items: Sequence[Item]) -> None:
        here = {self._key(item) for item in self.items}
        fresh = [row for row, item in enumerate(items) if self._key(item) not in here]
        for first, last in _ranges(fresh):
            self._insert(first, items[first : last + 1])

    def _insert(self, row: int, items: Sequence[Item]) -> None:
        self.beginInsertRows(QModelIndex(), row, row + len(items) - 1)
        self.items[row:row] = items
        self._places = None
        self.endInsertRows()

    def _replace(self, items: Sequence[Item]) -> None:
        changed = [row for row, (old, new) in enumerate(zip(self.items, items, strict=True)) if old != new]
        for first, last in _ranges(changed):
            self.items[first : last + 1] = items[first : last + 1]
            self.dataChanged.emit(self.index(first), self.index(last))


def _ranges(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ascending rows as (first, last) of each run without a gap: 1 2 3 7 -> (1, 3), (7, 7)."""
    first = 0
    for place, row in enumerate(rows):
        if place + 1 == len(rows) or rows[place + 1] != row + 1:
            yield rows[first], row
            first = place + 1
