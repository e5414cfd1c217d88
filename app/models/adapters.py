"""The adapters of the library as rows: roles, verdicts, search and order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from PySide6.QtCore import QMimeData, QModelIndex, QObject, QSortFilterProxyModel, Qt

from app.models.rows import Index, Rows
from app.words import megabytes, ranks
from engine.messages import AdapterCard, Fit, Verification
from widgets.card import CardFace

__all__ = ["FITS", "MIME", "SOURCES", "AdapterFilter", "AdapterRoles", "Adapters", "Row", "verdict"]

MIME = "application/x-adapter-studio-adapter"
# A verdict on an adapter in words, and its colour token.
FITS = {"green": ("Fits", "good"), "amber": ("Not certain", "warn"), "red": ("Does not fit", "bad")}
SOURCES = {
    "starter": "starter pack",
    "import": "imported",
    "training": "made here",
    "hub": "from the Hub",
    "cache": "in the Hugging Face cache",
}

MEASURES: dict[str, Callable[[Row], Any]] = {
    "Rank": lambda row: -row.card.rank,
    "Size": lambda row: -row.card.bytes,
    "Source": lambda row: row.card.source,
    "Newest": lambda row: -row.card.added,
}


class AdapterRoles(IntEnum):
    CARD = Qt.ItemDataRole.UserRole + 1
    NAME = Qt.ItemDataRole.UserRole + 2
    BASE = Qt.ItemDataRole.UserRole + 3
    FACE = Qt.ItemDataRole.UserRole + 4


class Row(NamedTuple):
    """A card with what is known of it here: the base at hand, whether it plays on that one (None: not known
    yet), and the last look at its files."""

    card: AdapterCard
    base: str = ""
    fit: Fit | None = None
    checked: Verification | None = None


def verdict(row: Row) -> tuple[str, str]:
    """A word and its colour token: whether this adapter can be used with the base at hand."""
    if row.card.missing:
        return "Files missing", "bad"
    if row.checked is not None and not row.checked.ok:
        return "Not well", "bad"
    if not row.base:
        return "Unchecked", "text_dim"
    return FITS[row.fit.verdict] if row.fit else ("Looking", "text_dim")


class Adapters(Rows[Row]):
    """All adapters, favourites first, then in order: sorted here, once, since a proxy asks again for every
    two that it compares.

    Rows can be dragged; the payload of ``MIME`` is the adapter's name in UTF-8.
    """

    ORDERS = ("Name", *MEASURES)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(lambda row: row.card.name, parent)
        self._order = "Name"
        self._filled: tuple[object, ...] = ()

    def fill(
        self,
        cards: Sequence[AdapterCard],
        base: str,
        fits: Mapping[str, Fit],
        checked: Mapping[str, Verification],
    ) -> None:
        """Show these cards as seen from ``base``."""
        if (cards, base, fits, checked) != self._filled:
            self._filled = (cards, base, fits, checked)
            self._sort([Row(card, base, fits.get(card.name), checked.get(card.name)) for card in cards])

    def order(self, by: str) -> None:
        """Sort by one of ORDERS; numbers with the largest first."""
        self._order = by
        self._sort(self.items)

    def _sort(self, rows: list[Row]) -> None:
        rows = sorted(rows, key=lambda row: row.card.name.lower())
        measure = MEASURES.get(self._order)
        rows = sorted(rows, key=measure) if measure else rows
        self.show(sorted(rows, key=lambda row: not row.card.favourite))

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
                return _why(row) or row.card.description or None
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
        self._base = self._tag = ""
        self.setSourceModel(source)

    @property
    def hidden(self) -> int:
        return self._adapters.rowCount() - self.rowCount()

    def narrow(self, text: str, base: str, tag: str = "") -> None:
        """Keep adapters with every word of ``text``, made for ``base``, with this ``tag``; "" is any."""
        words = tuple(text.lower().split())
        if (words, base, tag) != (self._words, self._base, self._tag):
            self.beginFilterChange()
            self._words, self._base, self._tag = words, base, tag
            self.endFilterChange()

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:
        card = self._adapters.items[row].card
        if self._base not in ("", card.base) or (self._tag and self._tag not in card.tags):
            return False
        if not self._words:
            return True
        said = (card.name, card.base, card.repo, card.description, card.note, card.source, card.license)
        text = " ".join((*said, *card.tags, *card.targets)).lower()
        return all(word in text for word in self._words)


def _face(row: Row) -> CardFace:
    card = row.card
    word, token = verdict(row)
    return CardFace(
        title=card.name,
        about=card.note.partition("\n")[0] or card.description,
        lines=(
            card.base or "Base unknown",
            "   ".join(part for part in (_ranks(card), megabytes(card.bytes), card.license) if part),
        ),
        verdict=word,
        token=token,
        marks=_marks(card),
    )


def _ranks(card: AdapterCard) -> str:
    return ranks(card.kind, card.low, card.rank)


def _marks(card: AdapterCard) -> tuple[tuple[str, str], ...]:
    marks = [("starred", "")] if card.favourite else []
    if card.source in ("hub", "cache"):
        marks.append(("discover", "Hub") if card.source == "hub" else ("folder", "cache"))
    if card.newer:
        marks.append(("up", "newer"))
    if card.tags:
        marks.append(("tag", ", ".join(card.tags[:2])))
    return tuple(marks)


def _why(row: Row) -> str:
    """The sentence behind the verdict."""
    if row.checked is not None and not row.checked.ok:
        return row.checked.detail
    return row.fit.reason if row.fit and row.fit.verdict != "green" else ""


def _spoken(row: Row) -> str:
    card = row.card
    parts = [
        verdict(row)[0],
        _why(row),
        "Favourite" if card.favourite else "",
        "A newer revision is on the Hub" if card.newer else "",
        f"Base {card.base or 'unknown'}",
        f"{_ranks(card)}, {megabytes(card.bytes)}",
        f"Licence {card.license}" if card.license else "",
        SOURCES[card.source].capitalize(),
        f"Tags {', '.join(card.tags)}" if card.tags else "",
    ]
    return ". ".join(part.rstrip(".") for part in parts if part)
