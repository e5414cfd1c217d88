"""One data set per expert, for training them together; and the place where a new expert is named."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.pages.data_box import CHOOSE, DATA_FILES
from app.pages.fields import fill, narrow
from app.presenters.desk import Strip
from app.presenters.lesson import OWN_SET
from app.presenters.mixer import Mixer
from app.words import count

__all__ = ["Domains"]

BOX = 116


class Domains(QWidget):
    """A row per strip: its name and what it learns from."""

    def __init__(self, mixer: Mixer) -> None:
        super().__init__()
        self._mixer = mixer
        self._boxes: dict[str, tuple[QLabel, QComboBox]] = {}
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(4)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(0, 1)
        self.name = QLineEdit(objectName="mixer.router.expert", accessibleName="Name of a new expert")
        self.name.setPlaceholderText("New expert")
        self.name.setToolTip("An expert that begins with nothing and learns from its own data; Enter adds it")
        self.add = QPushButton("Add", objectName="mixer.router.add-expert", accessibleName="Add new expert")
        line = QHBoxLayout()
        line.setSpacing(4)
        line.addWidget(self.name, 1)
        line.addWidget(self.add)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(self._grid)
        column.addLayout(line)
        self.name.returnPressed.connect(self._add)
        self.add.clicked.connect(self._add)
        mixer.desk_changed.connect(self._show)
        self._show()

    def _add(self) -> None:
        if self._mixer.lay_blank(self.name.text().strip()):
            self.name.clear()

    def _show(self) -> None:
        strips = self._mixer.desk.strips
        if list(self._boxes) != [strip.adapter for strip in strips]:
            self._rebuild(strips)
        for strip in strips:
            self._show_data(strip, self._boxes[strip.adapter][1])

    def _rebuild(self, strips: tuple[Strip, ...]) -> None:
        """Rows in the order of the strips; those that stay are moved, with the keyboard in them."""
        kept = self._boxes
        for parts in kept.values():
            for part in parts:
                self._grid.removeWidget(part)
        self._boxes = {
            strip.adapter: kept.pop(strip.adapter, None) or self._row(strip.adapter) for strip in strips
        }
        for row, (label, box) in enumerate(self._boxes.values()):
            self._grid.addWidget(label, row, 0)
            self._grid.addWidget(box, row, 1)
        for parts in kept.values():
            for part in parts:
                part.hide()
                part.deleteLater()

    def _row(self, name: str) -> tuple[QLabel, QComboBox]:
        label = QLabel(name)
        label.setProperty("role", "dim")
        label.setMinimumWidth(1)
        box = narrow(QComboBox(objectName=f"mixer.data.{name}", accessibleName=f"Data of {name}"))
        box.setFixedWidth(BOX)
        box.activated.connect(lambda _: self._choose(name, str(box.currentData())))
        label.setBuddy(box)
        return label, box

    def _show_data(self, strip: Strip, box: QComboBox) -> None:
        chosen = self._mixer.lesson.data_of(strip)
        sets = [data for data in self._mixer.stock.sets if not self._mixer.stock.is_held_out(data)]
        if chosen is not None and chosen not in sets:
            sets.append(chosen)
        # What bears the expert's name comes first.
        sets.sort(key=lambda data: not data.name.startswith(strip.adapter))
        items = [(data.name.removesuffix(OWN_SET), data.path) for data in sets]
        fill(box, [*items, (CHOOSE, CHOOSE)], chosen.path if chosen else "")
        words = f"Choose what {strip.adapter} learns from, or drop a file on its strip"
        if chosen is not None:
            words = f"{chosen.name}, {count(chosen.rows, 'example')}. {chosen.description}".strip()
        box.setToolTip(words)
        box.setAccessibleDescription(words)

    def _choose(self, name: str, path: str) -> None:
        if path == CHOOSE:
            self._show()
            path, _ = QFileDialog.getOpenFileName(self, f"Choose what {name} learns from", "", DATA_FILES)
        if path:
            self._mixer.choose_data_for(name, path)
