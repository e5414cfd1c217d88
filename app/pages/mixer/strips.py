"""The desk itself: channel strips in a row, reordered and filled by mouse or by keyboard."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QDrag,
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
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from app.models.adapters import MIME
from app.models.shelf import adapter_mime
from app.presenters.mixer import NULL, Mixer
from widgets.channel_strip import ChannelStrip
from widgets.empty import Empty
from widgets.painting import NULL_HUE, focus_ring
from widgets.theme import theme

__all__ = ["Strips"]

GAP = 8
FIRST = 3


class Strips(QWidget):
    """One strip per expert, the null strip when the mix has one, and a place to drop the next adapter.

    ``carry_ended``: what was lifted with the keyboard has been put down or put back.
    ``shelf_wanted``: the empty place was pressed.
    """

    carry_ended = Signal()
    shelf_wanted = Signal()

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self.strips: dict[str, ChannelStrip] = {}
        self._null: ChannelStrip | None = None
        self._carried = ""
        self._slot: int | None = None
        self.setObjectName("mixer.desk")
        self.setAccessibleName("Mixing desk")
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.drop_slot = _DropSlot()
        self.drop_slot.clicked.connect(self.shelf_wanted)
        self._row = QHBoxLayout()
        self._empty = Empty(
            "mixer",
            "Put adapters on the desk",
            "Drag them here from the shelf, or choose one there and press Enter. "
            "Each becomes a channel with a fader of its own.",
            "Add the first three",
            "mixer.desk.empty",
        )
        self._empty.pressed.connect(self._add_first)
        self._compose()
        mixer.desk_changed.connect(self.show_desk)
        mixer.usage_changed.connect(self._show_usage)
        theme.changed.connect(self.update)
        self.show_desk()

    def _compose(self) -> None:
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(GAP)
        self._row.addWidget(self.drop_slot, 1)
        self._row.addStretch(0)
        self._bank = QWidget()
        self._bank.setLayout(self._row)
        self._scroll = QScrollArea(widgetResizable=True)
        self._scroll.setWidget(self._bank)
        self._scroll.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 16, 8, 8)
        column.addWidget(self._scroll)
        column.addWidget(self._empty)
        self.setMinimumSize(2 * 92, 280)

    # showing what the presenter says

    def show_desk(self) -> None:
        desk = self._mixer.desk
        for name in [name for name in self.strips if desk.strip(name) is None]:
            self._take_away(name)
        weights = desk.weights()
        for place, strip in enumerate(desk.strips):
            widget = self.strips.get(strip.adapter)
            if widget is None or widget.hue != strip.hue:
                if widget is not None:
                    self._take_away(strip.adapter)
                widget = self._add(strip.adapter, strip.hue)
            if self._row.indexOf(widget) != place:
                self._row.removeWidget(widget)
                self._row.insertWidget(place, widget)
            widget.set_state(
                fader=strip.fader,
                muted=strip.muted,
                soloed=strip.soloed,
                heard=weights[strip.adapter] > 0 or (strip.fader == 0 and not strip.muted),
            )
        self._show_null()
        self._scroll.setVisible(bool(desk.strips))
        self._empty.setVisible(not desk.strips)
        self._show_usage()

    def _show_null(self) -> None:
        if self._mixer.has_null and self._null is None:
            self._null = ChannelStrip(NULL, NULL_HUE)
            self._null.setObjectName(f"mixer.desk.strip.{NULL}")
            self._row.insertWidget(len(self._mixer.desk.strips), self._null)
        elif not self._mixer.has_null and self._null is not None:
            self._row.removeWidget(self._null)
            self._null.deleteLater()
            self._null = None

    def _show_usage(self) -> None:
        usage = self._mixer.usage if self._mixer.plays_mix or self._mixer.training.is_open else {}
        for name, strip in self.strips.items():
            strip.set_usage(usage.get(name))
        if self._null is not None:
            self._null.set_usage(usage.get(NULL))

    def _add(self, name: str, hue: int) -> ChannelStrip:
        card = self._mixer.adapters.get(name)
        strip = ChannelStrip(name, hue, card.rank if card else None)
        strip.setObjectName(f"mixer.desk.strip.{name}")
        for part in ("fader", "mute", "solo"):
            getattr(strip, part).setObjectName(f"mixer.desk.strip.{name}.{part}")
        mixer = self._mixer
        strip.fader_moved.connect(lambda level: mixer.set_fader(name, level))
        strip.fader_released.connect(mixer.release_fader)
        strip.mute_toggled.connect(lambda on: mixer.mute(name, on))
        strip.solo_toggled.connect(lambda on: mixer.solo(name, on))
        strip.remove_wanted.connect(lambda: mixer.remove(name))
        strip.move_wanted.connect(lambda steps: mixer.nudge(name, steps))
        strip.drag_wanted.connect(lambda: self._drag(name))
        strip.lift_wanted.connect(lambda: self.carry(name))
        self.strips[name] = strip
        return strip

    def _take_away(self, name: str) -> None:
        strip = self.strips.pop(name)
        had_focus = strip.hasFocus() or strip.isAncestorOf(strip.window().focusWidget())
        place = self._row.indexOf(strip)
        self._row.removeWidget(strip)
        strip.hide()
        strip.deleteLater()
        if had_focus:
            neighbours = [self._row.itemAt(index).widget() for index in (place, place - 1) if index >= 0]
            after = next(
                (widget for widget in neighbours if isinstance(widget, ChannelStrip)), self.drop_slot
            )
            after.setFocus(Qt.FocusReason.OtherFocusReason)

    def _add_first(self) -> None:
        base = next(iter(self._mixer.adapters.values())).base if self._mixer.adapters else ""
        fitting = [
            card.name for card in self._mixer.adapters.values() if card.base == base and not card.missing
        ]
        for name in fitting[:FIRST]:
            self._mixer.drop(name)

    # the mouse carries

    def _drag(self, name: str) -> None:
        drag = QDrag(self)
        drag.setMimeData(adapter_mime(name))
        drag.setPixmap(
            self.strips[name].grab().scaledToHeight(160, Qt.TransformationMode.SmoothTransformation)
        )
        drag.exec(Qt.DropAction.CopyAction)

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
        middles = [
            strip.mapTo(self, strip.rect().center()).x()
            for strip in (self.strips[name] for name in self._mixer.desk.experts)
        ]
        return sum(x > middle for middle in middles)

    def _point_at(self, slot: int | None) -> None:
        if slot != self._slot:
            self._slot = slot
            self._bank.update()
            self.update()
            self.drop_slot.light(slot is not None and slot >= len(self._mixer.desk.strips))

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
        if slot < len(experts):
            strip = self.strips[experts[slot]]
            return float(strip.mapTo(self, strip.rect().topLeft()).x()) - GAP / 2
        strip = self.strips[experts[-1]]
        return float(strip.mapTo(self, strip.rect().topRight()).x()) + GAP / 2 + 1


class _DropSlot(QAbstractButton):
    """The empty place at the end of the desk; pressing it leads to the shelf."""

    def __init__(self) -> None:
        super().__init__()
        self._is_lit = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setObjectName("mixer.desk.drop")
        self.setAccessibleName("Empty channel: choose an adapter from the shelf")
        self.setToolTip("Drop an adapter here, or press to go to the shelf")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumWidth(56)
        self.setMaximumWidth(192)
        theme.changed.connect(self.update)

    def light(self, on: bool) -> None:
        if on != self._is_lit:
            self._is_lit = on
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(56, 300)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        is_bright = self._is_lit or self.underMouse()
        ink = "accent" if is_bright else "edge"
        painter.setPen(QPen(theme.colour(ink), 1, Qt.PenStyle.DashLine))
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(frame, theme.tokens.radius, theme.tokens.radius)
        painter.setPen(theme.colour("accent" if is_bright else "text_dim"))
        painter.setFont(theme.font(theme.tokens.heading))
        middle = self.rect().center().y()
        painter.drawText(QRectF(0, middle - 34, self.width(), 28), Qt.AlignmentFlag.AlignCenter, "+")
        painter.setFont(theme.font(theme.tokens.tiny))
        painter.drawText(QRectF(0, middle - 4, self.width(), 36), Qt.AlignmentFlag.AlignCenter, "drop\nhere")
        if self.hasFocus():
            focus_ring(painter, QRectF(self.rect()))
        painter.end()
