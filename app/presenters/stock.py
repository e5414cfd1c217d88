"""What the engine has for the desk: adapters and whether they fit, mixes, starter sets, data read so far."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from app.client import Client
from engine.messages import (
    AdapterCard,
    Adapters,
    Body,
    CheckData,
    DataSet,
    DataSets,
    Fit,
    Fits,
    JudgeAdapters,
    LibraryChanged,
    ListAdapters,
    ListData,
    ListMixes,
    MixCard,
    Mixes,
)

__all__ = ["Stock"]

HELD_OUT = ".heldout"


class Stock(QObject):
    """``changed``: something came, went or changed. ``failed(error)``: a list or a file could not be read."""

    changed = Signal()
    failed = Signal(object)

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._files: dict[str, DataSet] = {}
        self._base = ""
        self.adapters: dict[str, AdapterCard] = {}
        self.fits: dict[str, Fit] = {}
        self.mixes: dict[str, MixCard] = {}
        self.knows_mixes = False
        self.sets: list[DataSet] = []
        client.happened.connect(self._on_event)

    def refresh(self) -> None:
        """Ask for everything anew, as after every connection."""
        self.list_adapters()
        self.list_mixes()
        self._client.ask(ListData(), self._sets_listed, self.failed.emit)

    def list_adapters(self, then: Callable[[], object] | None = None) -> None:
        """Ask which adapters there are; ``then`` is called once they are known."""

        def listed(body: Body) -> None:
            if isinstance(body, Adapters):
                self.adapters = {card.name: card for card in body.adapters}
                self._judge()
                self.changed.emit()
                if then is not None:
                    then()

        self._client.ask(ListAdapters(), listed, self.failed.emit)

    def judge(self, base: str) -> None:
        """Keep ``fits`` those of ``base``; until they are known there are none."""
        if base != self._base:
            self._base, self.fits = base, {}
            self._judge()

    def _judge(self) -> None:
        base = self._base

        def judged(body: Body) -> None:
            if isinstance(body, Fits) and base == self._base:
                self.fits = body.fits
                self.changed.emit()

        if base and self.adapters:
            # Without an answer the names of the bases are compared, and the engine has the last word.
            self._client.ask(JudgeAdapters(base=base), judged, lambda error: None)

    def list_mixes(self, then: Callable[[], None] | None = None) -> None:
        """Ask which mixes there are; ``then`` is called once they are known."""

        def listed(body: Body) -> None:
            if isinstance(body, Mixes):
                self.mixes = {card.name: card for card in body.mixes if not card.missing}
                self.knows_mixes = True
                self.changed.emit()
                if then is not None:
                    then()

        self._client.ask(ListMixes(), listed, self.failed.emit)

    def data(self, path: str) -> DataSet | None:
        """The data at ``path``, None until it has been read to its end and found whole."""
        return self._files.get(path)

    def read(self, path: str, then: Callable[[DataSet], None]) -> None:
        """Read a file to its end, unless that was done before; its first bad line is a failure."""

        def checked(body: Body) -> None:
            if isinstance(body, DataSet):
                self._files[path] = body
                then(body)
                self.changed.emit()

        known = self._files.get(path)
        if known is not None:
            then(known)
        else:
            self._client.ask(CheckData(path=path), checked, self.failed.emit)

    def known(self, adapter: str, mix: str) -> tuple[tuple[int, int], str]:
        """An expert's lowest and highest rank and its kind: of its own copy in ``mix``, else of the library's
        adapter; ((0, 0), "") where neither is known."""
        playing, card = self.mixes.get(mix), self.adapters.get(adapter)
        if playing is not None and adapter in playing.ranks:
            return playing.ranks[adapter], playing.kinds.get(adapter, "")
        return ((card.low, card.rank), card.kind) if card is not None else ((0, 0), "")

    def unseen(self, adapter: str) -> tuple[str, str] | None:
        """(prompt, completion) that an adapter of the starter pack has never met; None for others."""
        rows = [row for data in self.sets if data.name == adapter + HELD_OUT for row in data.sample]
        # A short word leaves room for the other examples beside it.
        return min(rows, key=lambda row: len(row[0]), default=None)

    def is_held_out(self, data: DataSet) -> bool:
        """Whether a starter set is there to be measured on, and not to be learned from."""
        return data.name.endswith(HELD_OUT)

    def _sets_listed(self, body: Body) -> None:
        if isinstance(body, DataSets):
            self.sets = body.sets
            self._files |= {data.path: data for data in body.sets}
            self.changed.emit()

    def _on_event(self, body: object) -> None:
        match body:
            case LibraryChanged(what="adapters"):
                self.list_adapters()
            case LibraryChanged(what="mixes"):
                self.list_mixes()
