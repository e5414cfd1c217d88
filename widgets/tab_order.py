"""Where Tab goes: through a widget's parts as they lie, and in a group of buttons to the pressed one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QButtonGroup, QLayout, QScrollArea, QSplitter, QWidget

__all__ = ["first_stop", "order", "stop_at_pressed", "stops"]


def order(widget: QWidget) -> None:
    """Let Tab go through the parts of ``widget`` in reading order.

    Qt's own order is the one in which parts came to be, which is wrong once some have come and gone.
    """
    for one, other in pairwise(stops(widget)):
        QWidget.setTabOrder(one, other)


def stops(widget: QWidget) -> Iterator[QWidget]:
    """The parts that take the keyboard, as layouts, splitters and scroll areas have them."""
    if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
        yield widget
    for part in _inside(widget):
        yield from stops(part)


def _inside(widget: QWidget) -> Iterator[QWidget]:
    layout = widget.layout()
    if isinstance(widget, QSplitter):
        yield from (widget.widget(index) for index in range(widget.count()))
    elif isinstance(widget, QScrollArea):
        yield widget.widget()
    elif layout is not None:
        yield from _laid(layout)


def _laid(layout: QLayout) -> Iterator[QWidget]:
    for index in range(layout.count()):
        item = layout.itemAt(index)
        if item.widget() is not None:
            yield item.widget()
        elif item.layout() is not None:
            yield from _laid(item.layout())


def first_stop(region: QWidget) -> QWidget | None:
    """The first widget in ``region`` that the keyboard may enter now: its focus proxy, else in reading
    order."""
    proxy = [region.focusProxy()] if region.focusProxy() is not None else []
    for widget in [*proxy, *stops(region), *region.findChildren(QWidget)]:
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible() and widget.isEnabled():
            return widget
    return None


def stop_at_pressed(group: QButtonGroup) -> None:
    """Let Tab stop at the pressed button of an exclusive group; Qt does so only once a hand pressed it."""

    def turn() -> None:
        for button in group.buttons():
            is_stop = button.isChecked()
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus if is_stop else Qt.FocusPolicy.ClickFocus)

    group.buttonToggled.connect(turn)
    turn()
