"""What a search on the Hub found, as rows: faces, verdicts as they come, ranges, and what a drag carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QMimeData, QModelIndex, QObject, QSortFilterProxyModel, Qt, Signal

from app.models.adapters import FITS, MIME
from app.models.rows import Index, Rows
from app.words import count, few, many, megabytes, ranks
from engine.messages import Error, HubRepo, HubVerdict
from widgets.card import CardFace

__all__ = ["ABSENT_MIME", "ANY", "BASE_FITS", "Hub", "HubFilter", "HubRoles", "Range", "known_as", "measures"]

ABSENT_MIME = "application/x-adapter-studio-hub-adapter"
GHOSTS = 8
GHOST = CardFace(title="", about=None, lines=(), verdict="", token="line", is_ghost=True)
LOOKING = ("Looking", "text_dim")
CONVERTED = ("Fits after conversion", "warn")
UNJUDGED = ("Not looked at", "text_dim")
BASE_FITS = {"green": ("Fits", "good"), "amber": ("Tight", "warn"), "red": ("Too large", "bad")}

Range = tuple[float, float]
ANY: Range = (0, float("inf"))


class HubRoles(IntEnum):
    REPO = Qt.ItemDataRole.UserRole + 1
    FACE = Qt.ItemDataRole.UserRole + 2
    HAVE = Qt.ItemDataRole.UserRole + 3


class Hub(Rows[HubRepo]):
    """The list, and below it, while more may come, ghosts of cards that nobody can choose.

    ``verdicts`` is read and never changed here: ``judged`` says that one of it is new. A row can be dragged:
    under MIME goes the name of what is in the library, under ABSENT_MIME the repository of what is not.
    ``wanted``: the end is in sight.
    """

    wanted = Signal()

    def __init__(self, verdicts: Mapping[str, HubVerdict | Error], parent: QObject | None = None) -> None:
        super().__init__(lambda repo: repo.repo, parent)
        self.room = "adapters"
        self._verdicts = verdicts
        self._ghosts = 0

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.items) + self._ghosts

    def await_more(self, awaited: bool) -> None:
        """Have ghosts at the end, or none."""
        end = len(self.items)
        if awaited and not self._ghosts:
            self.beginInsertRows(QModelIndex(), end, end + GHOSTS - 1)
            self._ghosts = GHOSTS
            self.endInsertRows()
        elif not awaited and self._ghosts:
            self.beginRemoveRows(QModelIndex(), end, end + self._ghosts - 1)
            self._ghosts = 0
            self.endRemoveRows()

    def canFetchMore(self, parent: Index) -> bool:
        return not parent.isValid() and self._ghosts > 0

    def fetchMore(self, parent: Index) -> None:
        self.wanted.emit()

    def judged(self, repo: str) -> None:
        row = self.row_of(repo)
        if row >= 0:
            self.dataChanged.emit(self.index(row), self.index(row))

    def judge_by(self, verdicts: Mapping[str, HubVerdict | Error]) -> None:
        """All verdicts are others now."""
        self._verdicts = verdicts
        if self.items:
            self.dataChanged.emit(self.index(0), self.index(len(self.items) - 1))

    def verdict(self, repo: str) -> HubVerdict | Error | None:
        return self._verdicts.get(repo)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        repo = self.item(index)
        if repo is None:
            return GHOST if role == HubRoles.FACE else None
        match role:
            case HubRoles.FACE:
                return self._face(repo)
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.AccessibleTextRole:
                return repo.repo
            case Qt.ItemDataRole.AccessibleDescriptionRole:
                return self._spoken(repo)
            case Qt.ItemDataRole.ToolTipRole:
                known = self.verdict(repo.repo)
                return _why(known) or repo.hidden or None
            case HubRoles.REPO:
                return repo
            case HubRoles.HAVE:
                return repo.have
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        repo = self.item(index)
        if repo is None:
            return Qt.ItemFlag.NoItemFlags
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemNeverHasChildren
        return flags | Qt.ItemFlag.ItemIsDragEnabled if self.room == "adapters" else flags

    def mimeTypes(self) -> list[str]:
        return [MIME, ABSENT_MIME]

    def mimeData(self, indexes: Iterable[QModelIndex]) -> QMimeData:
        carried = QMimeData()
        repo = next((repo for index in indexes if (repo := self.item(index)) is not None), None)
        if repo is not None:
            kind, text = (MIME, repo.have) if repo.have else (ABSENT_MIME, repo.repo)
            carried.setData(kind, text.encode())
            carried.setText(text)
        return carried

    def _face(self, repo: HubRepo) -> CardFace:
        owner, _, name = repo.repo.rpartition("/")
        known = self.verdict(repo.repo)
        word, token = known_as(known, self.room)
        return CardFace(
            title=name,
            about=None,
            lines=(owner, *self._facts(repo, known)),
            verdict=word,
            token=token,
            marks=_marks(repo),
        )

    def _facts(self, repo: HubRepo, known: HubVerdict | Error | None) -> tuple[str, str, str]:
        rank, size = measures(repo, known)
        terms = f"Hidden: {repo.hidden}" if repo.hidden else repo.license or "Licence not stated"
        if self.room == "adapters":
            return repo.base or "Base not named", _joined(_ranks(known, rank), size), terms
        parameters = f"{many(repo.parameters)} parameters" if repo.parameters else ""
        return repo.task or "Task not named", _joined(parameters, 0), _joined(terms, size)

    def _spoken(self, repo: HubRepo) -> str:
        known = self.verdict(repo.repo)
        rank, size = measures(repo, known)
        parts = [
            known_as(known, self.room)[0],
            _why(known),
            f"In the library as {repo.have}" if repo.have else "",
            "Gated" if repo.gated else "",
            f"Base {repo.base}" if repo.base else "",
            _ranks(known, rank),
            megabytes(size) if size else "",
            f"Licence {repo.license}" if repo.license else "",
            f"{count(repo.downloads, 'download')}, {count(repo.likes, 'like')}",
        ]
        return ". ".join(part.rstrip(".") for part in parts if part)


def _ranks(known: HubVerdict | Error | None, rank: int) -> str:
    """At which ranks an adapter can be played, as far as that is known."""
    if not rank or not isinstance(known, HubVerdict):
        return f"Rank {rank}" if rank else ""
    return ranks(known.kind, known.low, rank)


class HubFilter(QSortFilterProxyModel):
    """Which of the list are shown: those whose rank and size lie in a range, once they are known.

    A card that is in sight when its rank becomes known stays where it is until the ranges are chosen anew:
    nothing moves under a reader's eyes. ``hidden`` counts what is not shown.
    """

    def __init__(self, source: Hub, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._hub = source
        self._rank = self._size = ANY
        self._stay: set[str] = set()
        self.setSourceModel(source)

    @property
    def hidden(self) -> int:
        return self._hub.rowCount() - self.rowCount()

    def narrow(self, rank: Range, size: Range) -> None:
        """Keep what has no more and no less than these; bounds belong to the range."""
        if (rank, size) != (self._rank, self._size):
            self.beginFilterChange()
            self._rank, self._size = rank, size
            self._stay.clear()
            self.endFilterChange()

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:
        if (self._rank is ANY and self._size is ANY) or row >= len(self._hub.items):
            return True
        repo = self._hub.items[row]
        rank, size = measures(repo, self._hub.verdict(repo.repo))
        if repo.repo in self._stay:
            return True
        rank_fits = not rank or self._rank[0] <= rank <= self._rank[1]
        is_shown = rank_fits and (not size or self._size[0] <= size <= self._size[1])
        if is_shown and not ((rank or self._rank is ANY) and (size or self._size is ANY)):
            self._stay.add(repo.repo)
        return is_shown


def measures(repo: HubRepo, known: HubVerdict | Error | None) -> tuple[int, int]:
    """(rank, bytes), each 0 until it is known; a look into the file knows better than the list."""
    if isinstance(known, HubVerdict):
        return known.rank or repo.rank or 0, known.size or repo.size or 0
    return repo.rank or 0, repo.size or 0


def known_as(known: HubVerdict | Error | None, room: str) -> tuple[str, str]:
    """A verdict's word and its colour token."""
    if known is None:
        return LOOKING
    if isinstance(known, Error):
        return UNJUDGED
    if known.converted:
        return CONVERTED
    return (FITS if room == "adapters" else BASE_FITS)[known.fit.verdict]


def _why(known: HubVerdict | Error | None) -> str:
    if known is None:
        return ""
    return known.message if isinstance(known, Error) else known.fit.reason


def _joined(words: str, size: int) -> str:
    return "   ".join(part for part in (words, megabytes(size) if size else "") if part)


def _marks(repo: HubRepo) -> tuple[tuple[str, str], ...]:
    marks = [("lock", "")] if repo.gated else []
    if repo.have:
        marks.append(("library", ""))
    if repo.downloads or repo.likes:
        marks += [("download", few(repo.downloads)), ("heart", few(repo.likes))]
    return tuple(marks)
