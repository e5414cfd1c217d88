"""How the adapter's energy lies in its projections and ranks, with the live rank's cut through it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QScrollArea, QStackedLayout, QVBoxLayout, QWidget

from app.pages.fields import tiny
from app.presenters.ranks import Ranks
from app.presenters.spectrum_cut import LAYER, SpectrumCut, as_read
from engine.messages import Spectrum
from widgets.choice import Choice
from widgets.heat import HeatKey
from widgets.spectrum import SpectrumMap

__all__ = ["SpectrumView", "named"]

SCALES = {
    "share": ("Share", "Colour by the share of the largest singular value"),
    "log": ("Log", "Colour by decades: a thousandth of the largest is the faintest"),
}
SCALE = 144
EMPTY = "Choose an adapter to see how strong each direction of its projections is."
READING = "Reading the adapter"
TRAINED = "The line is where the rank stands: its columns are as trained, not these directions."


class SpectrumView(QWidget):
    """The map, what is read in it, and its key; a click slides to that column's rank."""

    def __init__(self, ranks: Ranks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ranks = ranks
        self._shown: Spectrum | None = None
        self._cut: SpectrumCut | None = None
        self.setObjectName("ranks.spectrum")
        self.map = SpectrumMap("Singular values by projection and rank")
        self.map.setObjectName("ranks.spectrum.map")
        self.scale = Choice("ranks.spectrum.scale", "Colour by", SCALES)
        self._key = HeatKey()
        self._read = tiny("ranks.spectrum.read")
        self._notes = tiny("ranks.spectrum.notes")
        self._empty = QLabel(EMPTY, wordWrap=True, alignment=Qt.AlignmentFlag.AlignCenter)
        self._empty.setProperty("role", "dim")
        self._compose()
        self.map.cell_read.connect(self._read.setText)
        self.map.picked.connect(self._slide)
        self.scale.chosen.connect(self._rescale)
        ranks.changed.connect(self._show)
        ranks.slid.connect(self._show_rank)
        self._show()

    def _compose(self) -> None:
        area = QScrollArea(widgetResizable=True, objectName="ranks.spectrum.area")
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self.map)
        self._read.setMinimumHeight(32)
        self._read.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.scale.setMinimumWidth(SCALE)
        key = QHBoxLayout()
        key.setSpacing(8)
        key.addWidget(self._key, 1)
        key.addWidget(self.scale)
        full = QWidget()
        inside = QVBoxLayout(full)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(8)
        inside.addWidget(area, 1)
        inside.addWidget(self._read)
        inside.addLayout(key)
        inside.addWidget(self._notes)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(full)

    def _show(self) -> None:
        spectrum = self._ranks.facts.spectrum
        if spectrum is None:
            self._shown = None
            self._empty.setText(READING if self._ranks.state.adapter is not None else EMPTY)
            self._stack.setCurrentIndex(0)
            return
        if spectrum is not self._shown:
            rows = as_read(spectrum)
            self._shown, self._cut = spectrum, SpectrumCut(rows)
            self.map.set_values([named(module) for module in rows.modules], rows.values)
            self._key.show_most(max((max(row, default=0.0) for row in rows.values), default=0.0))
        notes = [TRAINED] if spectrum.kind == "dylora" else []
        self._notes.setText(" ".join([*notes, *spectrum.notes]))
        self._notes.setVisible(bool(self._notes.text()))
        self._stack.setCurrentIndex(1)
        self._show_rank(self._ranks.state.rank)

    def _show_rank(self, rank: int) -> None:
        if self._cut is not None and self._shown is not None:
            self.map.set_kept(self._cut.kept(self._ranks.state.order, rank))

    def _rescale(self, scale: str) -> None:
        self.map.set_log(scale == "log")
        self._key.set_log(scale == "log")

    def _slide(self, column: int) -> None:
        self._ranks.slide(column + 1)
        self._ranks.settle()


def named(module: str) -> tuple[str, str]:
    """Layer and projection of a module's path: "model.layers.3.self_attn.q_proj" -> ("3", "q_proj")."""
    layer = LAYER.search(module)
    return (layer[1] if layer else "", module.rpartition(".")[2])
