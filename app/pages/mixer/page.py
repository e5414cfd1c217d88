"""The mixer page: one mixer, seen from several sides, with a switch between them beside the title."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSettings, Signal
from PySide6.QtWidgets import QStackedLayout, QWidget

from app.client import Client
from app.pages.mixer.desk_view import DeskView
from app.pages.mixer.prompts import PromptsView
from app.pages.mixer.scores import ScoresView
from app.pages.mixer.view import View
from app.pages.page import Page
from app.presenters.mixer import Mixer
from widgets.choice import Choice

__all__ = ["VIEWS", "MixerPage"]

VIEWS: dict[str, tuple[str, str, Callable[[Mixer], View]]] = {
    "desk": ("Desk", "Lay adapters on the desk, train their router, hear it", DeskView),
    "prompts": ("Prompts", "See who speaks where in several prompts, and where they part", PromptsView),
    "scores": ("Scores", "Set the mix beside the base, its experts and every alternative", ScoresView),
}


class MixerPage(Page):
    """``VIEWS`` are (title, tip, view) by name, from left to right; a view is built on its first visit.

    Signals: ``added(adapter)`` when one that ``add`` was asked for lies on the desk;
    ``ranks_wanted(adapter)`` when its ranks are to be seen side by side.
    """

    added = Signal(str)
    ranks_wanted = Signal(str)

    def __init__(self, client: Client, settings: QSettings, parent: QWidget | None = None) -> None:
        super().__init__("mixer", "Mixer", parent)
        self.mixer = Mixer(client, settings, self)
        self.views: dict[str, View] = {}
        self._stack = QStackedLayout(self)
        self.head = Choice(
            "mixer.view",
            "View of the mixer",
            {name: (title, tip) for name, (title, tip, _) in VIEWS.items()},
            role="view",
        )
        self.head.chosen.connect(self.show_view)
        self.mixer.noticed.connect(self.noticed)
        self.mixer.announced.connect(self.announce)
        for place, (name, (title, _, _)) in enumerate(VIEWS.items(), start=1):
            self.offer(f"Mixer: {title}", f"Alt+{place}", lambda name=name: self.show_view(name))
        self.show_view(next(iter(VIEWS)))

    @property
    def view(self) -> View:
        """The view in front."""
        return self._stack.currentWidget()

    def show_view(self, name: str) -> View:
        """Bring a view to the front, building it if it has not been visited yet."""
        if name not in self.views:
            view = self.views[name] = VIEWS[name][2](self.mixer)
            view.desk_wanted.connect(lambda: self.show_view("desk"))
            view.ranks_wanted.connect(self.ranks_wanted)
            self._stack.addWidget(view)
            for words, keys, act in view.acts():
                self.offer(words, keys, lambda act=act: (self.show_view(name), act()))
            self.built.emit(view)
        self._stack.setCurrentWidget(self.views[name])
        self.head.choose(name)
        return self.views[name]

    def add(self, adapter: str) -> None:
        """Put an adapter at the end of the desk, as soon as the library says that it is there."""
        self.show_view("desk")
        stock = self.mixer.stock
        if adapter in stock.adapters:
            self._drop(adapter)
        else:
            stock.list_adapters(lambda: self._drop(adapter))

    def _drop(self, adapter: str) -> None:
        if self.mixer.drop(adapter):
            self.added.emit(adapter)

    def open_mix(self, name: str) -> None:
        """Lay a mix on the desk, as soon as the library says that it is there."""
        self.show_view("desk")
        self.mixer.stock.list_mixes(lambda: self.mixer.open_mix(name))

    def regions(self) -> list[QWidget]:
        return [*self.view.regions(), self.head]

    def use_base(self, base: str) -> None:
        self.mixer.use_base(base)

    def undo(self) -> None:
        self.mixer.undo()

    def redo(self) -> None:
        self.mixer.redo()
