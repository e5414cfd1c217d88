"""What is trained next and on what: the router or all together, data, name, and under a fold the rest."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.pages.data_box import CHOOSE, DATA_FILES
from app.pages.fields import Fold, fill, heading, narrow, tiny
from app.pages.mixer.domains import Domains
from app.pages.mixer.settings import Settings
from app.presenters.mixer import Mixer
from app.words import count
from widgets.choice import Choice

__all__ = ["Lesson"]

LESSONS = {
    "router": ("Router only", "The experts stay frozen; a router learns who shall speak"),
    "joint": ("Together", "Experts and router learn together, each expert from data of its own"),
}
STAGES = "Each expert learns its own data, then all learn together."


class Lesson(QWidget):
    """The middle part of the router panel; disabled while a mix is being trained.

    ``unfolded``: the ``fold`` was opened and has its place.
    """

    unfolded = Signal()

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self.choice = Choice("mixer.router.lesson", "Train", LESSONS)
        self._stages = tiny()
        self._stages.setText(STAGES)
        self.data = narrow(QComboBox(objectName="mixer.router.data", accessibleName="Training data"))
        self.domains = Domains(mixer)
        self.name = QLineEdit(objectName="mixer.router.name", accessibleName="Name of the new mix")
        self.name.setToolTip("What is trained is saved under this name; empty takes the next free one")
        self.fold = Fold("mixer.router.more", "More", "More training settings", Settings(mixer))
        self._compose()
        self._connect()
        self._show()

    def _compose(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        head = QHBoxLayout()
        head.addWidget(heading("Training"), 1)
        head.addWidget(self.fold)
        column.addLayout(head)
        for part in (self.choice, self._stages, self.data, self.domains, self.name, self.fold.inside):
            column.addWidget(part)

    def _connect(self) -> None:
        mixer = self._mixer
        self.choice.chosen.connect(mixer.set_lesson)
        self.data.activated.connect(self._choose_data)
        self.fold.unfolded.connect(self.unfolded)
        mixer.desk_changed.connect(self._show)
        mixer.training.changed.connect(self._show)

    def _show(self) -> None:
        lesson = self._mixer.desk.lesson
        self.choice.choose(lesson)
        self._stages.setVisible(lesson == "joint")
        self.data.setVisible(lesson == "router")
        self.data.setEnabled(not self._mixer.lesson.is_untrained)
        self.domains.setVisible(lesson == "joint")
        self.name.setPlaceholderText(f"Name: {self._mixer.free_name}")
        self.setEnabled(not self._mixer.training.is_open)
        self._show_data()

    def _show_data(self) -> None:
        chosen = self._mixer.data
        sets = list(self._mixer.stock.sets)
        if chosen is not None and chosen not in sets:
            sets.append(chosen)
        items = [(f"{data.name}  ({data.rows:,})", data.path) for data in sets]
        fill(self.data, [*items, (CHOOSE, CHOOSE)], chosen.path if chosen else "")
        words = "Choose a set, or drop a file here: JSON lines, CSV or Parquet"
        if self._mixer.lesson.is_untrained:
            words = "The router is made without data"
        elif chosen is not None:
            words = f"{count(chosen.rows, 'example')}. {chosen.description}".strip()
        self.data.setToolTip(words)
        self.data.setAccessibleDescription(words)

    def _choose_data(self) -> None:
        path = str(self.data.currentData())
        if path == CHOOSE:
            self._show_data()
            self.choose_file()
        else:
            self._mixer.choose_data(path)

    def choose_file(self) -> None:
        """Ask for a data file; it is read to its end before it is taken."""
        path, _ = QFileDialog.getOpenFileName(self, "Choose training data", "", DATA_FILES)
        if path:
            self._mixer.choose_data(path)
