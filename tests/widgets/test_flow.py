"""Chips in lines: they wrap where the width ends, and say how high that makes them."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QWidget

from widgets.flow import Flow


def test_a_new_line_begins_where_the_width_ends(qtbot):
    box = QWidget()
    qtbot.addWidget(box)
    flow = Flow(4, box)
    flow.setContentsMargins(0, 0, 0, 0)
    chips = [QWidget() for _ in range(4)]
    for chip in chips:
        chip.sizeHint = lambda: QSize(40, 20)
        chip.setFixedSize(40, 20)
    flow.fill(chips)
    assert flow.heightForWidth(300) == 20
    assert flow.heightForWidth(100) == 44
    assert flow.heightForWidth(10) == 4 * 20 + 3 * 4
    box.resize(100, 100)
    with qtbot.waitExposed(box):
        box.show()
    assert [chip.pos().toTuple() for chip in chips] == [(0, 0), (44, 0), (0, 24), (44, 24)]
    flow.fill([])
    assert flow.count() == 0
