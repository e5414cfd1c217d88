"""Widgets alone: dressed by the theme, off-screen, in each scheme."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QWidget

from widgets.theme import theme


@pytest.fixture(params=["light", "dark", "contrast"])
def scheme(request: pytest.FixtureRequest, qapp: QApplication) -> Iterator[str]:
    """Every scheme in turn; the system's afterwards."""
    theme.start(qapp)
    theme.choose(request.param)
    yield request.param
    theme.choose("system")


@pytest.fixture
def colours():
    """How often each colour occurs in a widget's picture: {"#rrggbb": pixels}."""

    def count(widget: QWidget) -> dict[str, int]:
        picture = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        found: dict[str, int] = {}
        for y in range(picture.height()):
            for x in range(picture.width()):
                name = picture.pixelColor(x, y).name()
                found[name] = found.get(name, 0) + 1
        return found

    return count
