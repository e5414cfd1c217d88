"""The adapters of the library as rows: roles, verdicts, search and order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QMimeData, QModelIndex, QObject, QSortFilterProxyModel, Qt

from app.models.rows import Index, Rows
from app.words import megabytes
from engine.messages import AdapterCard, Verification
from widgets.card import CardFace

__all__ = ["MIME", "AdapterFilter", "AdapterRoles", "Adapters", "Row", "verdict"]

MIME = "application/x-adapter-studio-adapter"


MEASURES: dict[str, Callable[[Row], Any]] = {
    "Rank": lambda row: -row.card.rank,
    "Size": lambda row: -row.card.bytes,
    "Source": lambda row: row.card.source,
}


class AdapterRoles(IntEnum):
    CARD = Qt.ItemDataRole.UserRole + 1
    NAME = Qt.ItemDataRole.UserRole + 2
    BASE = Qt.ItemDataRole.UserRole + 3
    FACE = Qt.ItemDataRole.UserRole + 4


@dataclass(frozen=True)
class Row:
    """A card with what is known of it here: the base at hand and the last look at its files."""

    card: AdapterCard
    base: str = ""
    checked: Verification | None = None


def verdict(row: Row) -> tuple[str, str]:
    """A word and its colour token: whether this adapter can be used with the base at hand."""
    if row.card.missing:
        return "Files missing", "bad"
    if row.checked is not None and not row.checked.ok:
        return "Files changed", "bad"
    if not row.base:
        return "Unchecked", "text_dim"
    if row.card.base != row.base:
        return "Another base", "warn"
    return "Fits", "good"


class Adapters(Rows[Row]):
    """All adapters, in order: sorted here, once, since a proxy asks again for every two that it compares.

    Rows can be dragged; the payload of ``MIME`` is the adapter's name in UTF-8.
    """

    ORDERS = ("Name", "Rank", "Size", "Source")

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(lambda row: row.card.name, parent)
        self._order = "Name"
        self._filled: tuple[object, ...] = ()

    def fill(self, cards: Sequence[AdapterCard], base: str, checked: Mapping[str, Verification]) -> None:
        """Show these cards as seen from ``base``."""
        if (cards, base, checked) != self._filled:
            self._filled = (cards, base, checked)
            self._sort([Row(card, base, checked.get(card.name)) for card in cards])

    def order(self, by: str) -> None:
        """Sort by one of ORDERS; numbers with the largest first."""
        self._order = by
        self._sort(self.items)

    def _sort(self, rows: list[Row]) -> None:
        rows = sorted(rows, key=lambda row: row.card.name.lower())
        measure = MEASURES.get(self._order)
        self.show(sorted(rows, key=measure) if measure else rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.item(index)
        if row is None:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.AccessibleTextRole | AdapterRoles.NAME:
                return row.card.name
            case Qt.ItemDataRole.AccessibleDescriptionRole:
                return _spoken(row)
            case Qt.ItemDataRole.ToolTipRole:
                return row.card.description or None
            case AdapterRoles.CARD:
                return row.card
            case AdapterRoles.BASE:
                return row.card.base
            case AdapterRoles.FACE:
                return _face(row)
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsDragEnabled if index.isValid() else flags

    def mimeTypes(self) -> list[str]:
        return [MIME]

    def mimeData(self, indexes: Iterable[QModelIndex]) -> QMimeData:
        carried = QMimeData()
        names = [self.items[index.row()].card.name for index in indexes]
        if names:
            carried.setData(MIME, names[0].encode())
            carried.setText(names[0])
        return carried


class AdapterFilter(QSortFilterProxyModel):
    """What of the library is shown. ``hidden`` counts what is not."""

    def __init__(self, source: Adapters, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._adapters = source
        self._words: tuple[str, ...] = ()
        self._base = ""
        self.setSourceModel(source)

    @property
    def hidden(self) -> int:
        return self._adapters.rowCount() - self.rowCount()

    def narrow(self, text: str, base: str) -> None:
        """Keep adapters that contain every word of ``text`` and, unless ``base`` is "", are made for it."""
        words = tuple(text.lower().split())
        if (words, base) != (self._words, self._base):
            self.beginFilterChange()
            self._words, self._base = words, base
            self.endFilterChange()

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:
        if not self._words and not self._base:
            return True
        card = self._adapters.items[row].card
        text = " ".join((card.name, card.base, card.description, card.source, card.license, *card.targets))
        return self._base in ("", card.base) and all(word in text.lower() for word in self._words)


def _face(row: Row) -> CardFace:
    card = row.card
    word, token = verdict(row)
    return CardFace(
        title=card.name,
        about=card.description,
        lines=(
            card.base or "Base unknown",
            f"Rank {card.rank}   {megabytes(card.bytes)}",
            "   ".join(part for part in (card.license, card.source) if part),
        ),
        verdict=word,
        token=token,
    )


def _spoken(row: Row) -> str:
    card = row.card
    license_ = f", licence {card.license}" if card.license else ""
    return (
        f"{verdict(row)[0]}. Base {card.base or 'unknown'}, rank {card.rank}, {megabytes(card.bytes)}"
        f"{license_}, from {card.source}"
    )
