"""How the adapter's energy lies in its projections and ranks, with the live rank's cut through it."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.presenters.rank_spectrum import RankSpectrum

__all__ = ["SpectrumView"]


class SpectrumView(QWidget):
    """Of ``RankCurves.spectrum``."""

    def __init__(self, spectrum: RankSpectrum, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._spectrum = spectrum
        self.setObjectName("ranks.spectrum")
