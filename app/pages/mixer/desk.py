"""The desk: takes what is dropped or carried by the keyboard, and shows where it would land."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QFocusEvent,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QLabel, QScrollArea, QVBoxLayout, QWidget

from app.models.adapters import MIME
from app.pages.mixer.strips import GAP, Strips
from app.presenters.mixer import Mixer
from widgets.empty import Empty
from widgets.painting import focus_ring
from widgets.theme import theme

__all__ = ["Desk"]


class Desk(QWidget):
    """The strips in a row that scrolls, or, while there are none, an invitation.

    ``carry_ended``: what was lifted with the keyboard has been put down or put back.
    ``shelf_wanted``: the empty place was pressed.
    """

    carry_ended = Signal()
    shelf_wanted = Signal()

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self._carried = ""
        self._slot: int | None = None
        self.setObjectName("mixer.desk")
        self.setAccessibleName("Mixing desk")
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.strips = Strips(mixer)
        self.strips.lifted.connect(self.carry)
        self.strips.drop_slot.clicked.connect(self.shelf_wanted)
        self._measured = QLabel(objectName="mixer.desk.measured")
        self._measured.setProperty("role", "tiny")
        self._empty = Empty(
            "mixer",
            "Put adapters on the desk",
            "Drag them here from the shelf: each becomes a channel with a fader of its own, "
            "and a router learns who speaks when.",
            "Lay out the starter mix",
            "mixer.desk.empty",
        )
        self._empty.pressed.connect(mixer.lay_out_starters)
        self._compose()
        mixer.desk_changed.connect(self._show)
        mixer.usage_changed.connect(self._show_measured)
        theme.changed.connect(self.update)
        self._show()

    def _compose(self) -> None:
        self._scroll = QScrollArea(widgetResizable=True)
        self._scroll.setWidget(self.strips)
        self._scroll.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 16, 4, 8)
        column.setSpacing(4)
        column.addWidget(self._scroll, 1)
        column.addWidget(self._measured)
        column.addWidget(self._empty, 1)
        self.setMinimumSize(200, 280)

    def _show(self) -> None:
        is_laid = bool(self._mixer.desk.strips)
        self._scroll.setVisible(is_laid)
        self._empty.setVisible(not is_laid)
        self._empty.button.setVisible(bool(self._mixer.starters))
        self._show_measured()

    def _show_measured(self) -> None:
        shows = bool(self._mixer.desk.strips) and self.strips.shows_usage
        self._measured.setText(f"Usage: mean gate over {self._mixer.usage_of}" if shows else "")
        self._measured.setVisible(shows)

    # the mouse carries

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasFormat(MIME):
            event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        if event.mimeData().hasFormat(MIME):
            self._point_at(self._slot_at(event.position().x()))
            event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._point_at(None)

    def dropEvent(self, event: QDropEvent) -> None:
        name = bytes(event.mimeData().data(MIME).data()).decode()
        slot = self._slot_at(event.position().x())
        self._point_at(None)
        event.acceptProposedAction()
        self._mixer.drop(name, slot)

    def _slot_at(self, x: float) -> int:
        strips = [self.strips.strips[name] for name in self._mixer.desk.experts]
        return sum(x > strip.mapTo(self, strip.rect().center()).x() for strip in strips)

    def _point_at(self, slot: int | None) -> None:
        if slot != self._slot:
            self._slot = slot
            self.update()
            self.strips.drop_slot.light(slot is not None and slot >= len(self._mixer.desk.strips))

    # the keyboard carries

    def carry(self, adapter: str) -> None:
        """Hold ``adapter``: arrows choose a slot, Enter or Space drops it, Escape puts it back."""
        experts = self._mixer.desk.experts
        self._carried = adapter
        self.setFocus(Qt.FocusReason.OtherFocusReason)
        self._point_at(experts.index(adapter) if adapter in experts else len(experts))
        self._say(f"{adapter} lifted. {self._place()} Left and right choose, Enter drops, Escape cancels.")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self._carried or self._slot is None:
            super().keyPressEvent(event)
            return
        last = len(self._mixer.desk.strips)
        key = Qt.Key(event.key())
        targets = {
            Qt.Key.Key_Left: max(0, self._slot - 1),
            Qt.Key.Key_Right: min(last, self._slot + 1),
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }
        if key in targets:
            self._point_at(targets[key])
            self._say(self._place())
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            adapter, slot = self._carried, self._slot
            self._put_down()
            self._mixer.drop(adapter, slot)
            self.carry_ended.emit()
        elif key == Qt.Key.Key_Escape:
            adapter = self._carried
            self._put_down()
            self._say(f"{adapter} put back")
            self.carry_ended.emit()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if self._carried:
            self._say(f"{self._carried} put back")
            self._put_down()

    def _put_down(self) -> None:
        self._carried = ""
        self._point_at(None)

    def _place(self) -> str:
        experts = self._mixer.desk.experts
        slot = self._slot or 0
        return f"Before {experts[slot]}." if slot < len(experts) else "At the end."

    def _say(self, words: str) -> None:
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, words))

    # painting: where the next drop would land

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._slot is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._mixer.desk.strips:
            x = self._seam(self._slot)
            painter.setPen(QPen(theme.colour("accent"), 3, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.drawLine(QPointF(x, 18), QPointF(x, self.height() - 12))
        else:
            focus_ring(painter, QRectF(self.rect()).adjusted(4, 4, -4, -4))
        painter.end()

    def _seam(self, slot: int) -> float:
        experts = self._mixer.desk.experts
        strip = self.strips.strips[experts[min(slot, len(experts) - 1)]]
        if slot < len(experts):
            return float(strip.mapTo(self, strip.rect().topLeft()).x()) - GAP / 2
        return float(strip.mapTo(self, strip.rect().topRight()).x()) + GAP / 2 + 1
