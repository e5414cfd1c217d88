"""What the mixer page expects of each of its views."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from widgets.tab_order import order

__all__ = ["View"]


class View(QWidget):
    """One view of the mixer. It is built on its first visit, with the Mixer as its only argument.

    ``desk_wanted``: what is missing here is made on the desk. ``ranks_wanted(adapter)``: its ranks are to be
    seen side by side.
    """

    desk_wanted = Signal()
    ranks_wanted = Signal(str)

    def focusNextPrevChild(self, is_next: bool) -> bool:
        order(self)
        return super().focusNextPrevChild(is_next)

    def regions(self) -> list[QWidget]:
        """The widgets that F6 goes through, in reading order."""
        return [self]

    def acts(self) -> list[tuple[str, str, Callable[[], object]]]:
        """(words, shortcut or "", act) for the command palette; the view is in front when one is called."""
        return []
