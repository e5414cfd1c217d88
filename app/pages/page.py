"""What the shell expects of every page, a name, a title, regions, undo, and what every page needs of it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QAction, QKeySequence
from PySide6.QtWidgets import QWidget

__all__ = ["Page"]


class Page(QWidget):
    """One page of the window.

    ``objectName`` is the page's command name. The page's own QActions (``offer``) appear in the command
    palette and, where they have one, answer to their shortcut. ``noticed`` carries an
    app.presenters.notice.Notice to the bar under the title. ``head`` stands beside the title while the page
    is shown; ``built(part)`` says that a part of the page was built after the page.
    """

    noticed = Signal(object)
    built = Signal(QWidget)

    def __init__(self, name: str, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self.head: QWidget | None = None
        self.setObjectName(name)
        self.setAccessibleName(title)

    def offer(self, words: str, keys: str, act: Callable[[], object]) -> QAction:
        """Let ``act`` be done from the palette and by ``keys`` ("" for none), on the page and in its head."""
        action = QAction(words, self, shortcut=QKeySequence(keys))
        action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        action.triggered.connect(lambda _=False: act())
        self.addAction(action)
        if self.head is not None:
            self.head.addAction(action)
        return action

    def announce(self, words: str) -> None:
        """Have screen readers say ``words``."""
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, words))

    def regions(self) -> list[QWidget]:
        """The widgets that F6 goes through, in reading order."""
        return [self]

    def use_base(self, base: str) -> None:
        """Another base model was chosen in the title row."""

    def undo(self) -> None:
        """Take back the last act on this page, if it has such acts."""

    def redo(self) -> None:
        """Do again what was taken back."""
