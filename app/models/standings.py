"""A scoring as a table: an arm to a row, a test set to a column, sorted by any of them."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
)

from app.presenters.standings import Standings, short
from engine.messages import ArmScore

__all__ = ["Sorted", "StandingsTable"]

Index = QModelIndex | QPersistentModelIndex
SORT = Qt.ItemDataRole.UserRole + 1
KEY = Qt.ItemDataRole.UserRole + 2
NOBODY = QModelIndex()


class StandingsTable(QAbstractTableModel):
    """Columns: the arm, its mean, its interval, how far it is from the mix, every test set, what it cost;
    instead of numbers the second column may say why there are none."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._standings: Standings | None = None
        self._heads: list[str] = []

    def show(self, standings: Standings | None) -> None:
        if standings == self._standings:
            return
        self.beginResetModel()
        self._standings = standings
        sets = [short(name) for name in standings.sets] if standings else []
        self._heads = [
            "Arm",
            "Mean",
            "95 % interval",
            "Beside the mix",
            *sets,
            "Trained on",
            "Parameters",
            "Seconds",
        ]
        self.endResetModel()

    def arm(self, row: int) -> ArmScore | None:
        arms = self._standings.arms if self._standings else ()
        return arms[row] if 0 <= row < len(arms) else None

    def rowCount(self, parent: Index = NOBODY) -> int:
        return 0 if parent.isValid() or self._standings is None else len(self._standings.arms)

    def columnCount(self, parent: Index = NOBODY) -> int:
        return 0 if parent.isValid() else len(self._heads)

    def headerData(self, section: int, side: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if side == Qt.Orientation.Horizontal and section < len(self._heads):
            match role:
                case Qt.ItemDataRole.DisplayRole:
                    return self._heads[section]
                case Qt.ItemDataRole.TextAlignmentRole:
                    return _side(section)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        arm = self.arm(index.row())
        if arm is None:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._cells(arm)[index.column()]
            case Qt.ItemDataRole.ToolTipRole:
                return arm.missing or None
            case Qt.ItemDataRole.TextAlignmentRole:
                return _side(0 if arm.missing else index.column())
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{arm.label}, {self._heads[index.column()]} {self._cells(arm)[index.column()]}"
            case _ if role == SORT:
                return self._figures(arm)[index.column()]
            case _ if role == KEY:
                return arm.name
        return None

    def _cells(self, arm: ArmScore) -> list[str]:
        standings = self._standings
        assert standings is not None
        if arm.missing:
            return [arm.label, arm.missing, *[""] * (len(self._heads) - 2)]
        low, high = arm.interval
        return [
            arm.label,
            standings.figure(arm.value),
            f"{standings.figure(low)} to {standings.figure(high)}",
            standings.beside(arm),
            *(standings.figure(arm.sets[name][0]) if name in arm.sets else "" for name in standings.sets),
            f"{arm.trained:,}" if arm.trained else "",
            f"{arm.parameters:,}" if arm.parameters else "",
            f"{arm.seconds:.1f}",
        ]

    def _figures(self, arm: ArmScore) -> list[Any]:
        standings = self._standings
        assert standings is not None
        if arm.missing:
            return [arm.label.lower(), *[None] * (len(self._heads) - 1)]
        sets = [arm.sets[name][0] if name in arm.sets else None for name in standings.sets]
        return [
            arm.label.lower(), arm.value, arm.interval[0], arm.beside_mix[0] if arm.beside_mix else None,
            *sets, arm.trained, arm.parameters, arm.seconds,
        ]  # fmt: skip


class Sorted(QSortFilterProxyModel):
    """The arms in the order of a column; those without a number come last either way."""

    def __init__(self, table: StandingsTable, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table = table
        self.setSourceModel(table)

    def lessThan(self, one: Index, other: Index) -> bool:
        left, right = one.data(SORT), other.data(SORT)
        if left is None or right is None:
            is_ascending = self.sortOrder() == Qt.SortOrder.AscendingOrder
            return (left is not None) == is_ascending and left is not right
        return bool(left < right)

    def arms(self) -> list[ArmScore]:
        """From above."""
        found = [
            self._table.arm(self.mapToSource(self.index(row, 0)).row()) for row in range(self.rowCount())
        ]
        return [arm for arm in found if arm is not None]

    def row_of(self, key: str) -> int:
        return next((row for row, arm in enumerate(self.arms()) if arm.name == key), -1)


def _side(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
