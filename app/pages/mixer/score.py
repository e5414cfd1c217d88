"""The score side: one prompt, its answers side by side, and under them who spoke where."""

from __future__ import annotations

import re

import numpy as np
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from app.presenters.answers import BASE, MIX, Answer, Spoken
from app.presenters.mixer import Mixer
from engine.messages import Routing
from widgets.painting import fill_hue
from widgets.routing_map import EACH, MEAN, RoutingMap, certainty
from widgets.theme import theme
from widgets.token_view import PLAIN, TokenView

__all__ = ["Score"]

EXAMPLES = 3
CHIP = "QPushButton { padding: 2px 8px; min-height: 18px } QPushButton:focus { padding: 1px 7px }"
LAYER = re.compile(r"\.(\d+)\.")


class Score(QWidget):
    """The prompt line, the answers, the routing map."""

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self.setObjectName("mixer.score")
        self.prompt = QLineEdit(objectName="mixer.prompt", accessibleName="Prompt")
        self.prompt.setPlaceholderText("Ask the base, an expert and the mix")
        self.ask = QPushButton("Ask", objectName="mixer.ask")
        self.ask.setProperty("role", "primary")
        self._examples = QHBoxLayout()
        self._compare = QHBoxLayout()
        self._columns = QHBoxLayout()
        self.answers: dict[str, AnswerColumn] = {}
        self._tried: list[str] = []
        self._chips: dict[str, tuple[int, QPushButton]] = {}
        self.map = RoutingMap()
        self.map.setObjectName("mixer.map")
        self._view = QComboBox(objectName="mixer.map.view", accessibleName="Projections shown")
        self._view.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self._view.hide()
        self._readout = QLabel(objectName="mixer.map.readout", wordWrap=True)
        self._compose()
        self._connect()
        self._show()

    def _compose(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.prompt, 1)
        line.addWidget(self.ask)
        for row in (self._examples, self._compare):
            row.setSpacing(4)
        self._columns.setSpacing(12)
        top = QWidget()
        column = QVBoxLayout(top)
        column.setContentsMargins(16, 16, 16, 8)
        column.setSpacing(8)
        column.addLayout(line)
        column.addLayout(self._examples)
        column.addLayout(self._compare)
        column.addLayout(self._columns, 1)
        split = QSplitter(Qt.Orientation.Vertical, objectName="mixer.split.score")
        split.setChildrenCollapsible(False)
        split.addWidget(top)
        split.addWidget(self._map_side())
        split.setSizes([290, 410])
        split.setStretchFactor(0, 1)
        split.setStretchFactor(1, 1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(split)
        self.setMinimumWidth(320)

    def _map_side(self) -> QWidget:
        side = QWidget()
        head = QHBoxLayout()
        heading = QLabel("Who spoke where")
        heading.setProperty("role", "heading")
        head.addWidget(heading, 1)
        head.addWidget(self._view)
        self._empty = QLabel(wordWrap=True, alignment=Qt.AlignmentFlag.AlignCenter)
        self._empty.setProperty("role", "dim")
        holder = QWidget()
        self._map_stack = QStackedLayout(holder)
        self._map_stack.addWidget(self._empty)
        self._map_stack.addWidget(self.map)
        self._readout.setMinimumHeight(20)
        column = QVBoxLayout(side)
        column.setContentsMargins(16, 8, 16, 16)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(holder, 1)
        column.addWidget(self._readout)
        return side

    def _connect(self) -> None:
        mixer = self._mixer
        self.ask.clicked.connect(self._ask)
        self.prompt.returnPressed.connect(self._ask)
        self.map.cell_changed.connect(self._readout.setText)
        self.map.token_selected.connect(self._map_chose)
        self._view.activated.connect(lambda _: self.map.set_view(str(self._view.currentData())))
        mixer.panes_changed.connect(self._show)
        mixer.desk_changed.connect(self._show_desk)
        mixer.answers.started.connect(self._started)
        mixer.answers.spoke.connect(self._spoke)
        mixer.answers.changed.connect(self._changed)
        theme.changed.connect(self._tint_compare)

    def _ask(self) -> None:
        text = self.prompt.text()
        if text.strip():
            self._mixer.ask(text)

    # which answers stand here

    def _show(self) -> None:
        self._show_columns()
        self._show_desk()

    def _show_columns(self) -> None:
        panes = self._mixer.panes
        if list(self.answers) == panes:
            return
        kept = self.answers
        for column in kept.values():
            self._columns.removeWidget(column)
        self.answers = {pane: kept.pop(pane, None) or self._column(pane) for pane in panes}
        for column in kept.values():
            column.hide()
            column.deleteLater()
        for column in self.answers.values():
            self._columns.addWidget(column, 1)

    def _column(self, pane: str) -> AnswerColumn:
        name = {BASE: "base", MIX: "mix"}.get(pane, pane.partition(":")[2])
        column = AnswerColumn(name)
        column.setObjectName(f"mixer.answer.{name}.column")
        column.text.setObjectName(f"mixer.answer.{name}")
        if pane == MIX:
            column.text.token_selected.connect(self._text_chose)
        for spoken in self._mixer.answers.answer(pane).tokens:
            column.text.append_token(spoken.text, *self._ink(pane, spoken))
        column.show_state(self._mixer.answers.answer(pane))
        return column

    def _show_desk(self) -> None:
        mixer = self._mixer
        self._show_examples()
        self._show_compare()
        for pane, column in self.answers.items():
            column.set_hue(None if pane in (BASE, MIX) else mixer.hue(pane.partition(":")[2]))
            if pane == MIX:
                column.set_title(
                    "mix" if mixer.plays_mix else "sum", mixer.desk.mix if mixer.plays_mix else ""
                )
        self.ask.setEnabled(bool(mixer.desk.strips))
        self.map.set_silent(mixer.silent)
        if MIX in self.answers:
            self.answers[MIX].text.set_silent({mixer.hue(name) for name in mixer.silent})
        self._empty.setText(
            "Each token and layer will show its expert here."
            if not mixer.desk.strips
            else "Ask something: every cell will show who spoke at that token and layer, and how sure it was."
            if mixer.plays_mix
            else "Static faders let everyone speak everywhere. Train the router to see who speaks where."
        )
        if mixer.routing is not None and not mixer.plays_mix:
            self._map_stack.setCurrentIndex(0)
            self._view.hide()

    def _show_examples(self) -> None:
        tasks: dict[str, str] = {}
        experts = self._mixer.desk.experts
        for prompt, _ in self._mixer.examples:
            task = prompt.partition(":")[0]
            if not experts or task in experts or not any(e in prompt for e in experts):
                tasks.setdefault(task, prompt)
        own = [prompt for task, prompt in tasks.items() if task in experts]
        wanted = self._fitting((own or list(tasks.values()))[:EXAMPLES])
        if self._tried == wanted:
            return
        self._tried = wanted
        _empty(self._examples)
        if wanted:
            self._examples.addWidget(_label("Try"))
        for prompt in wanted:
            chip = QPushButton(prompt)
            chip.setStyleSheet(CHIP)
            chip.setAccessibleName(f"Ask: {prompt}")
            chip.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
            chip.clicked.connect(lambda _=False, prompt=prompt: self._try(prompt))
            self._examples.addWidget(chip)
        self._examples.addStretch(1)

    def _fitting(self, prompts: list[str]) -> list[str]:
        """As many of ``prompts`` as stand side by side in the width there is."""
        room = self.width() - 2 * 16 - 60
        fitting = []
        for prompt in prompts:
            room -= self.fontMetrics().horizontalAdvance(prompt) + 22
            if room >= 0:
                fitting.append(prompt)
        return fitting

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_examples()

    def _try(self, prompt: str) -> None:
        self.prompt.setText(prompt)
        self._ask()

    def _show_compare(self) -> None:
        mixer = self._mixer
        hues = {name: mixer.hue(name) for name in mixer.desk.experts}
        if hues != {name: hue for name, (hue, _) in self._chips.items()}:
            _empty(self._compare)
            self._chips = {name: (hue, self._chip(name)) for name, hue in hues.items()}
            if hues:
                self._compare.addWidget(_label("Compare"))
            for _, chip in self._chips.values():
                self._compare.addWidget(chip)
            self._compare.addStretch(1)
            self._tint_compare()
        for name, (_, chip) in self._chips.items():
            chip.blockSignals(True)
            chip.setChecked(name in mixer.compared)
            chip.blockSignals(False)

    def _chip(self, name: str) -> QPushButton:
        chip = QPushButton(name, checkable=True, objectName=f"mixer.compare.{name}")
        chip.setStyleSheet(CHIP)
        chip.setAccessibleName(f"Show the answer of {name} alone")
        chip.toggled.connect(lambda on: self._mixer.compare(name, on))
        return chip

    def _tint_compare(self) -> None:
        for hue, chip in self._chips.values():
            chip.setIcon(_dot(hue))

    # what they say

    def _started(self, pane: str) -> None:
        if pane in self.answers:
            self.answers[pane].text.restart()
            self.answers[pane].show_state(self._mixer.answers.answer(pane))

    def _spoke(self, pane: str, spoken: Spoken) -> None:
        if pane in self.answers:
            self.answers[pane].text.append_token(spoken.text, *self._ink(pane, spoken))

    def _changed(self, pane: str) -> None:
        if pane not in self.answers:
            return
        answer = self._mixer.answers.answer(pane)
        column = self.answers[pane]
        if answer.state in ("idle", "failed"):
            column.text.restart()
        column.text.set_faded(answer.stale)
        column.show_state(answer)
        if pane == MIX and answer.state == "done":
            self._show_routing(answer.routing)

    def _ink(self, pane: str, spoken: Spoken) -> tuple[int, float]:
        voices = self._mixer.voices
        if pane != MIX or not 0 <= spoken.leader < len(voices):
            return PLAIN, 0.0
        sure = certainty(np.float32([spoken.certainty]), len(voices))
        return self._mixer.hue(voices[spoken.leader]), float(sure[0])

    def _show_routing(self, routing: Routing | None) -> None:
        self._map_stack.setCurrentIndex(1 if routing is not None else 0)
        self._view.setVisible(routing is not None)
        if routing is None:
            self.map.clear()
            return
        gates = np.asarray(routing.gates, np.float32)
        hues = [self._mixer.hue(name) for name in routing.experts]
        layers = [int(match.group(1)) if (match := LAYER.search(name)) else 0 for name in routing.modules]
        projections = [name.rpartition(".")[2] for name in routing.modules]
        start = self._mixer.answers.answer(MIX).prompt_tokens
        self.map.set_routing(routing.tokens, layers, projections, routing.experts, hues, gates, start)
        self.map.set_silent(self._mixer.silent)
        self._show_views()
        spoken = gates[start:].mean(axis=1)
        leaders = spoken.argmax(axis=1) if spoken.size else []
        sure = certainty(spoken.max(axis=1), len(hues)) if spoken.size else []
        self.answers[MIX].text.recolour([(hues[e], float(c)) for e, c in zip(leaders, sure, strict=True)])

    def _show_views(self) -> None:
        views = [("Each projection", EACH), ("Mean of projections", MEAN)]
        views += [(name, name) for name in self.map.projections]
        if self._view.count() != len(views):
            self._view.clear()
            for words, view in views:
                self._view.addItem(words, view)

    # one token, seen in both places

    def _map_chose(self, token: int) -> None:
        self.answers[MIX].text.mark(token - self._mixer.answers.answer(MIX).prompt_tokens)

    def _text_chose(self, token: int) -> None:
        self.map.set_token(token + self._mixer.answers.answer(MIX).prompt_tokens)


class AnswerColumn(QWidget):
    """One answer: who speaks, the text, and how it went."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._title = QLabel(name)
        self._title.setProperty("role", "heading")
        self._note = QLabel(wordWrap=True)
        self._note.setProperty("role", "tiny")
        self.text = TokenView()
        self.text.setAccessibleName(f"Answer of {name}")
        self._hue: int | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._title)
        column.addWidget(self._note)
        column.addWidget(self.text, 1)
        self._note.setMinimumHeight(16)
        self.setMinimumWidth(72)

    def set_hue(self, hue: int | None) -> None:
        """The colour of the line above: an expert's, or None for an answer that is nobody's own."""
        if hue != self._hue:
            self._hue = hue
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        line = QRectF(0, 0, self.width(), 2)
        if self._hue is None:
            painter.fillRect(line, theme.colour("line"))
        else:
            fill_hue(painter, line, self._hue)
        painter.end()

    def set_title(self, words: str, tip: str = "") -> None:
        self._title.setText(words)
        self._title.setToolTip(tip)

    def show_state(self, answer: Answer) -> None:
        match answer.state:
            case "waiting":
                self._note.setText("asking")
            case "streaming":
                self._note.setText("speaking")
            case "failed":
                self._note.setText(f"{answer.error.message} {answer.error.hint}".strip())
            case "done":
                self._note.setText(f"{answer.speed:.0f} tokens/s" if answer.speed else "")
            case _:
                self._note.setText("")


def _label(words: str) -> QLabel:
    label = QLabel(words)
    label.setProperty("role", "tiny")
    label.setFixedWidth(56)
    return label


def _dot(hue: int) -> QIcon:
    """A small disc in an expert's colour, hatched where its strip is."""
    picture = QPixmap(24, 24)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    fill_hue(painter, QRectF(2, 2, 20, 20), hue, 1.0, 10.0)
    painter.end()
    return QIcon(picture)


def _empty(row: QHBoxLayout) -> None:
    while row.count():
        item = row.takeAt(0)
        if item.widget():
            item.widget().hide()
            item.widget().deleteLater()
