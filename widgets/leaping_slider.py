"""How every slider of ranks answers keys, wheel and hand: one by one, or in leaps by powers of two."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QInputEvent, QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QSlider, QWidget

from widgets.rank_stops import nearest_stop, next_stop

__all__ = ["LeapingSlider"]

PAGES = {Qt.Key.Key_PageUp: 1, Qt.Key.Key_PageDown: -1}
ARROWS = {Qt.Key.Key_Right: 1, Qt.Key.Key_Up: 1, Qt.Key.Key_Left: -1, Qt.Key.Key_Down: -1}


class LeapingSlider(QSlider):
    """Arrow keys and wheel go to the next rank; with Shift, and Page Up and Page Down, to the next power of
    two, where both ends are stops too. A subclass says where ranks lie: ``rank_at(x)``.

    ``moved(rank)``: a person moved it; what is set ``quietly`` says nothing. It is a QSlider underneath, so
    that keyboard, wheel and screen readers find what they know.
    """

    moved = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._is_quiet = False
        self.setRange(1, 1)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.valueChanged.connect(self._value_changed)

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """While range or rank are set by others than a person."""
        self._is_quiet = True
        yield
        self._is_quiet = False

    def rank_at(self, x: float) -> int:
        """The rank at ``x``, in this widget's pixels; beyond the ends the lowest and the highest."""
        raise NotImplementedError

    def step(self, ranks: int) -> None:
        """So many ranks up or, negative, down, as far as there are any."""
        self.setValue(self.value() + ranks)

    def leap(self, direction: int) -> None:
        """To the next power of two above (1) or below (-1)."""
        self.setValue(next_stop(self.value(), self.minimum(), self.maximum(), direction))

    def drag_to(self, x: float, event: QMouseEvent) -> None:
        """To the rank at ``x``, with Shift to the power of two that is nearest to it."""
        rank = self.rank_at(x)
        self.setValue(nearest_stop(rank, self.minimum(), self.maximum()) if _leaps(event) else rank)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        leaps = PAGES | ARROWS if _leaps(event) else PAGES
        direction = leaps.get(Qt.Key(event.key()))
        if direction is not None:
            self.leap(direction)
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        # With Shift some systems turn the wheel sideways.
        turn = event.angleDelta().y() or event.angleDelta().x()
        if _leaps(event):
            self.leap(1 if turn > 0 else -1)
        else:
            self.step(round(turn / 120))
        event.accept()

    def _value_changed(self, rank: int) -> None:
        if not self._is_quiet:
            self.moved.emit(rank)


def _leaps(event: QInputEvent) -> bool:
    return bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
