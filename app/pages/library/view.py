"""What the library's views of adapters, base models and mixes have in common."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QSplitter, QVBoxLayout, QWidget

from app.pages.library.provenance import ProvenanceDialog
from app.pages.library.removal import RemovalDialog
from app.presenters.keeping import Keeping, Removal
from engine.messages import Provenance
from widgets.name_field import NameField

__all__ = ["Act", "View", "beside"]

Act = tuple[str, str, Callable[[], object]]


class View(QWidget):
    """Shows a Keeping; what it asks of the person it asks here.

    Signals: ``noticed`` with a Notice.
    """

    noticed = Signal(object)

    def __init__(self, keeping: Keeping, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.keeping = keeping
        keeping.noticed.connect(self.noticed)
        keeping.doubted.connect(self._ask_before_removing)
        keeping.traced.connect(self._show_provenance)

    def regions(self) -> list[QWidget]:
        """The widgets that F6 goes through."""
        raise NotImplementedError

    @property
    def name(self) -> NameField:
        """Where the chosen one is called otherwise."""
        raise NotImplementedError

    def acts(self) -> list[Act]:
        """(words, keys, act) of what can be done here."""
        raise NotImplementedError

    def take_in(self, path: str) -> None:
        """A folder or file was dropped."""
        raise NotImplementedError

    def _ask_before_removing(self, removal: Removal) -> None:
        RemovalDialog(self.keeping.remove_now, removal, self).open()

    def _show_provenance(self, provenance: Provenance) -> None:
        ProvenanceDialog(provenance, self).open()


def beside(view: QWidget, splitter: QSplitter, left: QWidget, details: QWidget) -> None:
    """Fill ``view`` with a list and, beside it, never over it, the details."""
    splitter.setChildrenCollapsible(False)
    splitter.addWidget(left)
    splitter.addWidget(details)
    splitter.setStretchFactor(0, 1)
    splitter.setSizes([836, 388])
    left.setMinimumWidth(480)
    details.setMinimumWidth(372)
    column = QVBoxLayout(view)
    column.setContentsMargins(0, 0, 0, 0)
    column.addWidget(splitter)
