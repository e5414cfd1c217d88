"""Who spoke where: the routing map of the mix's answer, filled while it speaks, with what one cell says."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPixmap
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QStackedLayout, QVBoxLayout, QWidget

from app.presenters.answers import MIX
from app.presenters.mixer import Mixer
from app.presenters.why import places
from engine.messages import Routing
from widgets.gate_grid import EACH, MEAN
from widgets.painting import fill_hue
from widgets.routing_map import RoutingMap
from widgets.theme import theme

__all__ = ["Speakers"]

DOT = 12


class Speakers(QWidget):
    """``token_selected(index)``: a token of prompt and answer was chosen in the map; ``token_opened(index)``:
    a person wants to know more of it."""

    token_selected = Signal(int)
    token_opened = Signal(int)

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self._shown: Routing | None = None
        self.map = RoutingMap()
        self.map.setObjectName("mixer.map")
        self._view = QComboBox(objectName="mixer.map.view", accessibleName="Projections shown")
        self._view.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self._dot = QLabel()
        self._readout = QLabel(objectName="mixer.map.readout", wordWrap=True)
        self._empty = QLabel(wordWrap=True, alignment=Qt.AlignmentFlag.AlignCenter)
        self._empty.setProperty("role", "dim")
        self._compose()
        self.map.opened.connect(self.token_opened)
        self.map.cell_changed.connect(self._say)
        self.map.token_selected.connect(self.token_selected)
        self._view.activated.connect(lambda _: self.map.set_view(str(self._view.currentData())))
        mixer.desk_changed.connect(self.show_desk)
        theme.changed.connect(self._show_dot)
        mixer.answers.heard.connect(self._heard)
        for of_the_mix in (mixer.answers.changed, mixer.answers.started):
            of_the_mix.connect(lambda pane: pane == MIX and self._fade())
        self.show_desk()

    def _compose(self) -> None:
        head = QHBoxLayout()
        heading = QLabel("Who spoke where")
        heading.setProperty("role", "heading")
        heading.setMinimumHeight(32)
        head.addWidget(heading, 1)
        head.addWidget(self._view)
        holder = QWidget()
        self._stack = QStackedLayout(holder)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self.map)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        self._dot.setFixedSize(DOT, DOT)
        self._readout.setMinimumHeight(20)
        foot.addWidget(self._dot)
        foot.addWidget(self._readout, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 8, 16, 16)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(holder, 1)
        column.addLayout(foot)

    def show_desk(self) -> None:
        """Dim who is muted; without a router there is nothing to show, and it says so."""
        mixer = self._mixer
        self.map.set_silent(mixer.playing.silent)
        self._empty.setText(
            "Every token and layer will show here which expert spoke."
            if not mixer.desk.strips
            else "Ask something: every cell will show who spoke at that token and layer, and how sure it was."
            if mixer.playing.has_router
            else "Static faders let everyone speak everywhere. Train the router to see who speaks where."
        )
        has_map = self._shown is not None and mixer.playing.has_router
        self._stack.setCurrentIndex(1 if has_map else 0)
        for part in (self._view, self._dot, self._readout):
            part.setVisible(has_map)

    def _fade(self) -> None:
        """A map of an answer that is no longer the desk's is readable, and seen to be old."""
        self.map.set_faded(self._mixer.answers.answer(MIX).state == "waiting")

    def _heard(self, pane: str) -> None:
        routing = self._mixer.routing
        if pane != MIX or routing is None:
            return
        shown, self._shown = self._shown, routing
        if shown is not None and _has_grown_by_one(shown, routing):
            self.map.append_token(routing.tokens[-1], np.asarray(routing.gates[-1], np.float32))
            return
        gates = np.asarray(routing.gates, np.float32)
        hues = [self._mixer.hue(name) for name in routing.experts]
        layers, projections = zip(*places(routing.modules), strict=True)
        start = self._mixer.answers.answer(MIX).prompt_tokens
        self.map.set_routing(routing.tokens, layers, projections, routing.experts, hues, gates, start)
        self._offer_views()
        self.show_desk()

    def _offer_views(self) -> None:
        views = [("Each projection", EACH), ("Mean of projections", MEAN)]
        views += [(name, name) for name in self.map.projections]
        if self._view.count() != len(views):
            self._view.clear()
            for words, view in views:
                self._view.addItem(words, view)

    def _say(self, words: str) -> None:
        self._readout.setText(words)
        self._show_dot()

    def _show_dot(self) -> None:
        picture = QPixmap(DOT, DOT)
        picture.fill(Qt.GlobalColor.transparent)
        if self.map.cell_hue is not None:
            painter = QPainter(picture)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            fill_hue(painter, QRectF(0, 0, DOT, DOT), self.map.cell_hue, 1.0, DOT / 2)
            painter.end()
        self._dot.setPixmap(picture)


def _has_grown_by_one(before: Routing, now: Routing) -> bool:
    """Whether ``now`` is ``before`` with one more token; the rows that stay are the very same lists."""
    return len(now.gates) == len(before.gates) + 1 and now.gates[0] is before.gates[0]
