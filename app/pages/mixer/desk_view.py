"""The desk: shelf, strips, router, curves and score between draggable handles."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from app.pages.library.removal import RemovalDialog
from app.pages.mixer.curves import Curves
from app.pages.mixer.desk import Desk
from app.pages.mixer.router import RouterPanel
from app.pages.mixer.score import Score
from app.pages.mixer.shelf import Shelf
from app.pages.mixer.view import View
from app.presenters.mixer import Mixer

__all__ = ["DeskView"]


class DeskView(View):
    """Lay adapters on the desk, train the router, hear and see who speaks."""

    def __init__(self, mixer: Mixer) -> None:
        super().__init__()
        self.shelf = Shelf(mixer)
        self.desk = Desk(mixer)
        self.router = RouterPanel(mixer)
        self.curves = Curves(mixer)
        self.score = Score(mixer)
        self._split = QSplitter(Qt.Orientation.Horizontal, objectName="mixer.split")
        self._sizes: list[int] = []
        self._compose()
        self.shelf.lifted.connect(self.desk.carry)
        self.desk.carry_ended.connect(lambda: self._go_to_shelf(Qt.FocusReason.OtherFocusReason))
        self.desk.shelf_wanted.connect(lambda: self._go_to_shelf(Qt.FocusReason.OtherFocusReason))
        self.desk.strips.ranks_wanted.connect(self.ranks_wanted)
        self.score.explaining.connect(self._lend)
        mixer.doubted.connect(
            lambda removal: RemovalDialog(mixer.remove_mix_now, removal, self.window()).open()
        )

    def regions(self) -> list[QWidget]:
        return [self.shelf, self.desk, self.router, self.score, self.score.speakers.map]

    def acts(self) -> list[tuple[str, str, Callable[[], object]]]:
        by_key = Qt.FocusReason.ShortcutFocusReason
        return [
            ("Train the router", "Ctrl+T", self.router.train),
            ("Write a prompt", "Ctrl+L", lambda: self.score.prompt.field.setFocus(by_key)),
            ("Go to the shelf", "Ctrl+E", lambda: self._go_to_shelf(by_key)),
            ("Choose a data file", "", self.router.lesson.choose_file),
            ("Export the mix", "Ctrl+Shift+E", self.router.form.present),
            ("Rename the mix", "F2", self.router.playing.write_name),
            ("Remove the mix", "", self.router.playing.remove.click),
        ]

    def _go_to_shelf(self, reason: Qt.FocusReason) -> None:
        """Put the keyboard on the shelf, which comes back where it has lent its room."""
        self.score.close_why()
        self.shelf.list.setFocus(reason)

    def _lend(self, width: int) -> None:
        """Give the score ``width`` more while it explains: first of the shelf's room, then of the desk's."""
        if not width:
            self.shelf.show()
            self._split.setSizes(self._sizes)
            return
        self._sizes = self._split.sizes()
        shelf, desk, score = self._sizes
        self.shelf.hide()
        self._split.setSizes([0, desk + shelf - width, score + width])

    def _compose(self) -> None:
        upper = QWidget()
        row = QHBoxLayout(upper)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        line = QFrame()
        line.setProperty("role", "upright")
        row.addWidget(self.desk, 1)
        row.addWidget(line)
        row.addWidget(self.router)
        desk = QSplitter(Qt.Orientation.Vertical, objectName="mixer.split.desk")
        desk.addWidget(upper)
        desk.addWidget(self.curves)
        desk.setStretchFactor(0, 3)
        desk.setStretchFactor(1, 1)
        split = self._split
        for part in (self.shelf, desk, self.score):
            split.addWidget(part)
        split.setStretchFactor(0, 0)
        split.setStretchFactor(1, 1)
        split.setStretchFactor(2, 2)
        split.setSizes([144, 734, 344])
        desk.setSizes([520, 180])
        for splitter in (desk, split):
            splitter.setChildrenCollapsible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(split)
