"""Beside the page's title: which adapter slides, and in which order its columns are kept."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from app.pages.fields import fill
from app.presenters.rank_scene import ORDERS
from app.presenters.ranks import Ranks
from widgets.still import still

__all__ = ["RanksHead"]

NOBODY = "Choose an adapter"


class RanksHead(QWidget):
    """Two boxes; the second is there only where an adapter may have several orders."""

    def __init__(self, ranks: Ranks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ranks = ranks
        self.setObjectName("ranks.head")
        self.adapter = still(
            QComboBox(objectName="ranks.adapter", accessibleName="Adapter whose rank slides")
        )
        self.order = still(QComboBox(objectName="ranks.order", accessibleName="What a rank keeps"))
        self._order_label = QLabel("keeps")
        self._order_label.setProperty("role", "dim")
        self.adapter.setMinimumWidth(168)
        self.order.setMinimumWidth(168)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        for widget in (self.adapter, self._order_label, self.order):
            row.addWidget(widget)
        self.adapter.activated.connect(self._choose)
        self.order.activated.connect(lambda: ranks.set_order(self.order.currentData()))
        ranks.changed.connect(self.show_state)
        self.show_state()

    def show_state(self) -> None:
        state = self._ranks.state
        cards = [(f"{card.name}  rank {card.rank}", card.name) for card in state.adapters]
        chosen = state.adapter.name if state.adapter else ""
        fill(self.adapter, cards if chosen else [(NOBODY, ""), *cards], chosen)
        self.adapter.setEnabled(bool(cards))
        fill(self.order, [(ORDERS[order][0], order) for order in state.orders], state.order)
        for widget in (self._order_label, self.order):
            widget.setVisible(len(state.orders) > 1)
        if state.orders:
            self.order.setToolTip(ORDERS[state.order][1])

    def _choose(self) -> None:
        if self.adapter.currentData():
            self._ranks.choose(self.adapter.currentData())
