"""One prompt of a comparison: its words, typed or from the data, who spoke how much, and where."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QMenu, QStackedLayout, QVBoxLayout, QWidget

from app.presenters.prompts import Slot
from app.presenters.why import places
from engine.messages import DataSet
from widgets.icon_button import IconButton
from widgets.routing_map import RoutingMap
from widgets.usage_bars import UsageBars

__all__ = ["PromptColumn"]

NO_WORDS = "Write a prompt, or take one from the data."


class PromptColumn(QWidget):
    """``place`` counts from 0. ``written(text)``: other words; ``removed``: a person took it away."""

    written = Signal(str)
    removed = Signal()

    def __init__(
        self,
        place: int,
        hue: Callable[[str], int],
        sets: Callable[[], list[DataSet]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._hue, self._sets = hue, sets
        name, number = f"mixer.prompts.{place}", place + 1
        self.setObjectName(name)
        self.setAccessibleName(f"Prompt {number}")
        self.field = QLineEdit(objectName=f"{name}.text", accessibleName=f"Prompt {number}")
        self.field.setPlaceholderText(f"Prompt {number}")
        self.rows = IconButton("folder", f"Take prompt {number} from the data", f"{name}.rows")
        self.remove = IconButton("close", f"Take prompt {number} away", f"{name}.remove")
        self.usage = UsageBars(f"Usage in prompt {number}")
        self.usage.setObjectName(f"{name}.usage")
        self.map = RoutingMap()
        self.map.setObjectName(f"{name}.map")
        self.map.setAccessibleName(f"Routing map of prompt {number}")
        self._note = QLabel(wordWrap=True, alignment=Qt.AlignmentFlag.AlignCenter)
        self._note.setProperty("role", "dim")
        self._compose()
        self.field.editingFinished.connect(self._write)
        self.rows.clicked.connect(self._offer_rows)
        self.remove.clicked.connect(self.removed)

    def _compose(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(4)
        line.addWidget(self.field, 1)
        for button in (self.rows, self.remove):
            button.setIconSize(QSize(16, 16))
            line.addWidget(button)
        holder = QWidget()
        self._stack = QStackedLayout(holder)
        self._stack.addWidget(self._note)
        self._stack.addWidget(self.map)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(line)
        column.addWidget(self.usage)
        column.addWidget(holder, 1)

    # values in

    def show_slot(self, slot: Slot) -> None:
        """What there is of a prompt; where there is no map yet, what is missing."""
        if not self.field.hasFocus():
            self.field.setText(slot.text)
        usage = slot.usage
        self.usage.set_shares(usage, {name: self._hue(name) for name in usage})
        routing = slot.routing
        self._note.setText(f"{slot.error.message} {slot.error.hint}" if slot.error is not None else NO_WORDS)
        self._stack.setCurrentIndex(0 if routing is None else 1)
        if routing is not None:
            layers, projections = zip(*places(routing.modules), strict=True)
            hues = [self._hue(name) for name in routing.experts]
            gates = np.asarray(routing.gates, np.float32)
            self.map.set_routing(routing.tokens, layers, projections, routing.experts, hues, gates)
        for part in (self.map, self.usage):
            part.set_faded(slot.is_stale)

    # what a hand does

    def _write(self) -> None:
        self.written.emit(self.field.text())

    def _offer_rows(self) -> None:
        """A menu of the data sets, with the first rows of each."""
        menu = QMenu(self)
        for data in self._sets():
            rows = menu.addMenu(data.name)
            for prompt, _ in data.sample:
                rows.addAction(prompt, lambda prompt=prompt: self._take(prompt))
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.rows.mapToGlobal(self.rows.rect().bottomLeft()))

    def _take(self, prompt: str) -> None:
        self.field.setText(prompt)
        self._write()
