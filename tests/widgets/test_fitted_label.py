"""A name in as little room as a strip has: whole while it can be, and never beyond its edges."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QFontMetrics

from widgets.fitted_label import FittedLabel
from widgets.theme import theme


@pytest.mark.parametrize(("width", "whole"), [(80, True), (66, True), (40, False)])
def test_it_keeps_to_its_room(qtbot, scheme, width, whole):
    label = FittedLabel("consonants")
    qtbot.addWidget(label)
    label.resize(width, 20)
    label.show()
    label.ensurePolished()
    assert QFontMetrics(label.font()).horizontalAdvance(label.text()) <= width
    assert (label.text() == "consonants") is whole
    assert label.toolTip() == "consonants"


def test_all_names_are_as_high_as_the_largest(qtbot):
    short, long = FittedLabel("sort"), FittedLabel("llama-summarise-long-v2")
    for label in (short, long):
        qtbot.addWidget(label)
        label.resize(64, 20)
    assert short.height() == long.height()
    assert short.font().pixelSize() > theme.tokens.tiny
