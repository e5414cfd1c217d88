"""The mixer page put together: shelf, desk, router, curves and score between draggable handles."""

from __future__ import annotations

from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QAction, QKeySequence
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from app.client import Client
from app.pages.mixer.curves import Curves
from app.pages.mixer.desk import Desk
from app.pages.mixer.router import RouterPanel
from app.pages.mixer.score import Score
from app.pages.mixer.shelf import Shelf
from app.pages.page import Page
from app.presenters.mixer import Mixer

__all__ = ["MixerPage"]


class MixerPage(Page):
    """Lay adapters on the desk, train the router, hear and see who speaks."""

    def __init__(self, client: Client, settings: QSettings, parent: QWidget | None = None) -> None:
        super().__init__("mixer", "Mixer", parent)
        self.mixer = Mixer(client, settings, self)
        self.shelf = Shelf(self.mixer)
        self.desk = Desk(self.mixer)
        self.router = RouterPanel(self.mixer)
        self.curves = Curves(self.mixer)
        self.score = Score(self.mixer)
        self._compose()
        self._connect()
        self._offer_actions()

    def add(self, adapter: str) -> None:
        """Put an adapter at the end of the desk."""
        self.mixer.drop(adapter)

    def regions(self) -> list[QWidget]:
        return [self.shelf, self.desk, self.router, self.score, self.score.speakers.map]

    def use_base(self, base: str) -> None:
        self.mixer.use_base(base)

    def undo(self) -> None:
        self.mixer.undo()

    def redo(self) -> None:
        self.mixer.redo()

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
        split = QSplitter(Qt.Orientation.Horizontal, objectName="mixer.split")
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

    def _connect(self) -> None:
        self.shelf.lifted.connect(self.desk.carry)
        self.desk.carry_ended.connect(lambda: self.shelf.list.setFocus(Qt.FocusReason.OtherFocusReason))
        self.desk.shelf_wanted.connect(lambda: self.shelf.list.setFocus(Qt.FocusReason.OtherFocusReason))
        self.mixer.noticed.connect(self.noticed)
        self.mixer.announced.connect(self._announce)

    def _offer_actions(self) -> None:
        for words, keys, act in (
            ("Train the router", "Ctrl+T", self.router.train),
            (
                "Write a prompt",
                "Ctrl+L",
                lambda: self.score.prompt.field.setFocus(Qt.FocusReason.ShortcutFocusReason),
            ),
            (
                "Go to the shelf",
                "Ctrl+E",
                lambda: self.shelf.list.setFocus(Qt.FocusReason.ShortcutFocusReason),
            ),
            ("Choose a data file", "", self.router.lesson.choose_file),
        ):
            action = QAction(words, self, shortcut=QKeySequence(keys))
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            action.triggered.connect(lambda _=False, act=act: act())
            self.addAction(action)

    def _announce(self, words: str) -> None:
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, words))
