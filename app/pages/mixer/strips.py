"""The channel strips in a row: one per expert, the null strip, and a place for the next adapter."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDrag
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.models.shelf import adapter_mime
from app.presenters.desk import Strip
from app.presenters.mixer import Mixer
from app.presenters.playing import NULL
from app.words import few
from widgets.channel_strip import ChannelStrip
from widgets.drop_slot import DropSlot
from widgets.painting import NULL_HUE

__all__ = ["GAP", "Strips"]

GAP = 5


class Strips(QWidget):
    """``lifted(adapter)``: a strip was picked up with the space bar and its slot is to be chosen.
    ``ranks_wanted(adapter)``: its ranks are to be seen side by side.
    """

    lifted = Signal(str)
    ranks_wanted = Signal(str)

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self.strips: dict[str, ChannelStrip] = {}
        self._null: ChannelStrip | None = None
        self.drop_slot = DropSlot()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(GAP)
        self._row.addWidget(self.drop_slot, 1)
        self._row.addStretch(0)
        mixer.desk_changed.connect(self.show_desk)
        mixer.usage_changed.connect(self._show_usage)
        self.show_desk()

    # showing what the presenter says

    def show_desk(self) -> None:
        desk = self._mixer.desk
        for name in [name for name in self.strips if desk.strip(name) is None]:
            self._take_away(name)
        for place, strip in enumerate(desk.strips):
            widget = self.strips.get(strip.adapter)
            if widget is None or widget.hue != strip.hue:
                if widget is not None:
                    self._take_away(strip.adapter)
                widget = self._add(strip.adapter, strip.hue)
            if self._row.indexOf(widget) != place:
                self._row.removeWidget(widget)
                self._row.insertWidget(place, widget)
            widget.set_data(self._data_of(strip))
            low, highest = self._mixer.ranks(strip.adapter)
            instead = "new" if strip.blank else f"rank {highest}" if highest else ""
            widget.set_rank(strip.rank, (low, highest), instead=instead)
            widget.setAcceptDrops(desk.lesson == "joint")
            widget.set_state(
                fader=strip.fader,
                muted=strip.muted,
                soloed=strip.soloed,
                locked=strip.locked,
                heard=self._mixer.playing.is_heard(strip.adapter),
            )
        self._show_null()
        on_shelf = [card for card in self._mixer.stock.adapters.values() if not desk.strip(card.name)]
        self.drop_slot.setVisible(any(self._mixer.why_not(card) == ("", "") for card in on_shelf))
        self._show_usage()

    def _data_of(self, strip: Strip) -> str:
        """What an expert learns from, where it is about to."""
        if self._mixer.desk.lesson == "router":
            return ""
        data = self._mixer.lesson.data_of(strip)
        return f"{few(data.rows)} rows" if data else "no data"

    def _show_null(self) -> None:
        if self._mixer.playing.has_null and self._null is None:
            self._null = ChannelStrip(NULL, NULL_HUE)
            _call(self._null)
            self._row.insertWidget(len(self._mixer.desk.strips), self._null)
        elif not self._mixer.playing.has_null and self._null is not None:
            self._row.removeWidget(self._null)
            self._null.deleteLater()
            self._null = None

    @property
    def shows_usage(self) -> bool:
        """Whether a router is heard or learns, so that there are shares to show."""
        has_router = self._mixer.playing.has_router or self._mixer.training.is_open
        return has_router and bool(self._mixer.usage)

    def _show_usage(self) -> None:
        usage = self._mixer.usage if self.shows_usage else {}
        for name, strip in self.strips.items():
            strip.set_usage(usage.get(name), self._mixer.usage_of)
        if self._null is not None:
            self._null.set_usage(usage.get(NULL), self._mixer.usage_of)

    def _add(self, name: str, hue: int) -> ChannelStrip:
        strip = ChannelStrip(name, hue)
        _call(strip)
        mixer = self._mixer
        strip.fader_moved.connect(lambda level: mixer.set_fader(name, level))
        strip.rank_moved.connect(lambda rank: mixer.set_rank(name, rank))
        strip.released.connect(mixer.release)
        strip.mute_toggled.connect(lambda on: mixer.mute(name, on))
        strip.solo_toggled.connect(lambda on: mixer.solo(name, on))
        strip.lock_toggled.connect(lambda on: mixer.lock(name, on))
        strip.gate_wanted.connect(lambda: mixer.train_gate(name))
        strip.ranks_wanted.connect(lambda: self._show_ranks(name))
        strip.file_dropped.connect(lambda path: mixer.choose_data_for(name, path))
        strip.remove_wanted.connect(lambda: mixer.remove(name))
        strip.move_wanted.connect(lambda steps: mixer.nudge(name, steps))
        strip.drag_wanted.connect(lambda: self._drag(name))
        strip.lift_wanted.connect(lambda: self.lifted.emit(name))
        self.strips[name] = strip
        return strip

    def _show_ranks(self, name: str) -> None:
        if name in self._mixer.stock.adapters:
            self.ranks_wanted.emit(name)
        else:
            self._mixer.refuse(
                f"{name} lives in its mix alone, so it is not among the adapters.",
                "Slide its rank here, on its strip.",
            )

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

    def _drag(self, name: str) -> None:
        drag = QDrag(self)
        drag.setMimeData(adapter_mime(name))
        drag.setPixmap(
            self.strips[name].grab().scaledToHeight(160, Qt.TransformationMode.SmoothTransformation)
        )
        drag.exec(Qt.DropAction.CopyAction)


def _call(strip: ChannelStrip) -> None:
    """Give a strip and its parts their object names."""
    strip.setObjectName(f"mixer.desk.strip.{strip.name}")
    for part in ("fader", "rank", "mute", "solo", "lock"):
        getattr(strip, part).setObjectName(f"{strip.objectName()}.{part}")
