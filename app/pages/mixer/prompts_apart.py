"""Where prompts are routed differently: mean gates of each side by side, layer by layer, how far apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QScrollArea, QVBoxLayout, QWidget

from app.presenters.prompts import Prompts
from widgets.gate_grid import GateGrid
from widgets.share_rows import ShareRows

__all__ = ["ApartPane"]

HOW_TO_READ = (
    "Bands: mean gates over a prompt's tokens. Bars at the right: half their summed difference, 0 where "
    "prompts are routed alike, 1 where altogether other experts speak; of several prompts the widest pair."
)


class ApartPane(QScrollArea):
    """``bands`` has a row to a layer or projection and a column to a prompt."""

    def __init__(self, prompts: Prompts, hue: Callable[[str], int], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._prompts, self._hue = prompts, hue
        self.bands = ShareRows("Mean gates of every prompt by layer")
        self.bands.setObjectName("mixer.prompts.bands")
        how = QLabel(HOW_TO_READ, wordWrap=True)
        how.setProperty("role", "tiny")
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(8)
        column.addWidget(self.bands, 100)
        column.addWidget(how)
        column.addStretch(1)
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(inner)

    def draw(self, view: str) -> None:
        """Show the prompts as they are routed now, projections averaged as ``view`` says; see GateGrid."""
        apart = self._prompts.apart
        if apart is None:
            return
        layers, projections = zip(*apart.rows, strict=True)
        slots = enumerate(self._prompts.slots, start=1)
        routed = [(number, slot) for number, slot in slots if slot.routing is not None]
        # Prompts stand where a grid has its tokens, so that projections are averaged as in the maps.
        titles = [f"{number}  {slot.text}" for number, slot in routed]
        shares = np.asarray([slot.shares for _, slot in routed], np.float32)
        grid = GateGrid(titles, layers, projections, apart.experts, shares)
        by_row = np.asarray(apart.by_row, np.float32)[None, :, None]
        gaps = GateGrid([""], layers, projections, [""], by_row)
        for each in (grid, gaps):
            each.look(view)
        amounts = [float(gap) for gap in gaps.shown[:, 0, 0]]
        self.bands.set_shares(
            grid.rows,
            titles,
            apart.experts,
            [self._hue(name) for name in apart.experts],
            grid.shown.transpose(1, 0, 2),
            notes=[f"{gap:.2f}" for gap in amounts],
            amounts=amounts,
        )
