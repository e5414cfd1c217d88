"""What the shell expects of every page: a name, a title, regions to step through, undo."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

__all__ = ["Page"]


class Page(QWidget):
    """One page of the window.

    ``objectName`` is the page's command name. The page's own QActions (``addAction``) appear in the command
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

    def regions(self) -> list[QWidget]:
        """The widgets that F6 goes through, in reading order."""
        return [self]

    def use_base(self, base: str) -> None:
        """Another base model was chosen in the title row."""

    def undo(self) -> None:
        """Take back the last act on this page, if it has such acts."""

    def redo(self) -> None:
        """Do again what was taken back."""
