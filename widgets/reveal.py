"""A folder in the system's own window."""

from __future__ import annotations

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

__all__ = ["reveal"]


def reveal(path: str) -> None:
    """Open the folder or file at ``path`` with whatever the system opens such with."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(path))
