"""Bake the live rank, put an adapter in order, write it to a folder; and what came of it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.pages.data_box import DataBox
from app.pages.fields import heading, rows, tiny
from app.pages.ranks.outcome import Outcome
from app.presenters.measured import order_words
from app.presenters.rank_making import RankMaking

__all__ = ["RankMakingForm"]

WIDE = 148
ORDERED = (
    "A copy whose columns are ordered by energy, so that every rank of it is the best of that rank, in any "
    "program. With data, energy is that of what the projections say on its rows."
)
WEIGHTS = "The weights"


class RankMakingForm(QWidget):
    """Three things to make of the adapter that slides, one under the other, and the newest result."""

    def __init__(self, making: RankMaking, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._making = making
        self.setObjectName("ranks.making")
        self._bake_title = heading("")
        self._heard = tiny("ranks.making.heard")
        self.baked = QLineEdit(objectName="ranks.making.baked", accessibleName="Name of the baked adapter")
        self.bake = QPushButton("Bake", objectName="ranks.making.bake")
        self.bake.setProperty("role", "primary")
        self.by = DataBox("ranks.making.data", "Order by the energy of", WEIGHTS)
        self.ordered = QLineEdit(objectName="ranks.making.ordered", accessibleName="Name of the ordered one")
        self.order = QPushButton("Put in order", objectName="ranks.making.order")
        self._order_why = tiny("ranks.making.order-why")
        self.folder = QLineEdit(objectName="ranks.making.folder", accessibleName="New folder")
        self.folder.setPlaceholderText("New folder")
        self.choose = QPushButton("Choose…", objectName="ranks.making.choose")
        self.choose.setAccessibleName("Choose where the new folder lies")
        self.export = QPushButton("Write", objectName="ranks.making.export")
        self._export_why = tiny("ranks.making.export-why")
        self.outcome = Outcome(making)
        self._compose()
        self._connect()
        self._show()

    def _compose(self) -> None:
        for field in (self.baked, self.ordered):
            field.setMaxLength(64)
        what = tiny()
        what.setText(ORDERED)
        folder = QHBoxLayout()
        folder.setSpacing(8)
        folder.addWidget(self.folder, 1)
        folder.addWidget(self.choose)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 8, 8)
        column.setSpacing(8)
        column.addWidget(self.outcome)
        column.addWidget(self._bake_title)
        column.addWidget(self._heard)
        column.addLayout(rows({"Name": self.baked}, WIDE))
        column.addWidget(self.bake)
        column.addSpacing(16)
        column.addWidget(heading("Put in order"))
        column.addWidget(what)
        column.addLayout(rows({"Energy of": self.by, "Name": self.ordered}, WIDE))
        column.addWidget(self._order_why)
        column.addWidget(self.order)
        column.addSpacing(16)
        column.addWidget(heading("Write to a folder"))
        column.addLayout(folder)
        column.addWidget(self._export_why)
        column.addWidget(self.export)
        column.addStretch(1)

    def _connect(self) -> None:
        making = self._making
        self.baked.textEdited.connect(lambda name: making.set(baked=name))
        self.ordered.textEdited.connect(lambda name: making.set(ordered=name))
        self.folder.textEdited.connect(lambda folder: making.set(folder=folder))
        self.by.chosen.connect(making.choose_data)
        self.choose.clicked.connect(self._choose_folder)
        self.bake.clicked.connect(making.bake)
        self.baked.returnPressed.connect(making.bake)
        self.order.clicked.connect(making.put_in_order)
        self.ordered.returnPressed.connect(making.put_in_order)
        self.export.clicked.connect(making.export)
        self.folder.returnPressed.connect(making.export)
        making.changed.connect(self._show)

    def _show(self) -> None:
        making, plan, state = self._making, self._making.plan, self._making.ranks.state
        for field, text, proposed in (
            (self.baked, plan.baked, making.baked_name),
            (self.ordered, plan.ordered, making.ordered_name),
            (self.folder, plan.folder, "New folder"),
        ):
            if field.text() != text:
                field.setText(text)
            field.setPlaceholderText(proposed)
        self._bake_title.setText(f"Bake rank {state.rank}")
        self.bake.setText(f"Bake rank {state.rank}")
        self.export.setText(f"Write rank {state.rank}")
        self._heard.setText(self._words())
        stock = making.ranks.stock
        self.by.offer([data for data in stock.sets if not stock.is_held_out(data)], making.data)
        for label, why in (
            (self._order_why, making.why_not_order),
            (self._export_why, making.why_not_export),
        ):
            label.setText(why)
            # What is at work says so above.
            label.setVisible(bool(why) and not making.doing)
        self.bake.setEnabled(not making.why_not_bake)
        self.order.setEnabled(not making.why_not_order)
        self.export.setEnabled(not making.why_not_export and bool(plan.folder))
        for part in (self.baked, self.ordered, self.folder, self.by, self.choose):
            part.setEnabled(not making.why_not)

    def _words(self) -> str:
        making, state = self._making, self._making.ranks.state
        if state.adapter is None or (making.why_not_bake and not making.doing):
            return making.why_not_bake
        order = order_words(state.adapter, state.order).lower()
        sizes = f": {making.sizes}" if making.sizes else ""
        return f"An ordinary adapter of what is heard now, {order}{sizes}. Any program plays it."

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Write into which folder?")
        if folder:
            self._making.set(folder=str(Path(folder) / self._making.baked_name))
