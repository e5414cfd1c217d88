"""What the engine knows of the adapter that slides: how its energy lies in its ranks."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.client import Client
from engine.messages import AdapterCard, Body, Error, RankOrder, ReadSpectrum, Spectrum

__all__ = ["RankFacts"]


class RankFacts(QObject):
    """``spectrum`` is None until it has been read. ``changed``: it is here; ``failed(error)``: it cannot be
    read."""

    changed = Signal()
    failed = Signal(object)

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._of = ("", "")
        self.spectrum: Spectrum | None = None

    def read(self, card: AdapterCard | None) -> None:
        """Be about ``card``; the same files are read once."""
        of = (card.name, card.sha256) if card is not None else ("", "")
        if of == self._of:
            return
        self._of, self.spectrum = of, None
        if card is None:
            return

        def read(body: Body) -> None:
            if isinstance(body, Spectrum) and self._of == of:
                self.spectrum = body
                self.changed.emit()

        def refused(error: Error) -> None:
            if self._of == of:
                self.failed.emit(error)

        self._client.ask(ReadSpectrum(adapter=card.name), read, refused)

    def energy(self, order: RankOrder, rank: int) -> float | None:
        """The share of its squared norm that an adapter keeps at ``rank``; None where nobody knows, or where
        a rank is no part of the whole: a DyLoRA's is louder than what it is cut from."""
        if self.spectrum is None or self.spectrum.kind == "dylora":
            return None
        shares = {"energy": self.spectrum.energy, "spread": self.spectrum.spread, "": self.spectrum.kept}
        share = shares[order][rank - 1] if rank <= len(shares[order]) else -1.0
        return share if share >= 0.0 else None
