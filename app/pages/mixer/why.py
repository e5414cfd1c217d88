"""The pane that says why: one token's gates through the depth of the model, who won where, and in words."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from app.pages.fields import fill, narrow
from app.presenters.mixer import Mixer
from app.presenters.why import Why, read_by
from engine.messages import Routing
from widgets.gate_grid import EACH, MEAN, GateGrid, visible
from widgets.icon_button import IconButton
from widgets.share_rows import ShareRows

__all__ = ["WhyPane"]


class WhyPane(QWidget):
    """``closed``: a person has put the pane away."""

    closed = Signal()

    def __init__(self, name: str, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self._why: Why | None = None
        self._token = 0
        self.setObjectName(name)
        self.setAccessibleName("Why this expert")
        self._title = QLabel(textFormat=Qt.TextFormat.PlainText)
        self._title.setProperty("role", "heading")
        self._words = QLabel(objectName=f"{name}.words", wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._reads = QLabel(wordWrap=True)
        self._reads.setProperty("role", "tiny")
        self._row = QLabel(objectName=f"{name}.row", wordWrap=True)
        self._row.setProperty("role", "tiny")
        self.view = narrow(QComboBox(objectName=f"{name}.view", accessibleName="Projections by layer"))
        self.close_button = IconButton("close", "Close (Escape)", f"{name}.close")
        self.close_button.setIconSize(QSize(16, 16))
        self.bands = ShareRows("Gates of this token by layer")
        self.bands.setObjectName(f"{name}.bands")
        self._compose()
        self.view.activated.connect(lambda _: self._draw())
        self.close_button.clicked.connect(self.closed)
        self.bands.read.connect(self._row.setText)

    def _compose(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._title, 1)
        head.addWidget(self.close_button)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(8)
        column.addWidget(self._words)
        column.addWidget(self.view)
        column.addWidget(self.bands, 100)
        column.addWidget(self._row)
        column.addWidget(self._reads)
        column.addStretch(1)
        area = QScrollArea(widgetResizable=True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(16, 8, 8, 8)
        whole.setSpacing(8)
        whole.addLayout(head)
        whole.addWidget(area, 1)
        self.setMinimumSize(240, 150)

    def show_token(self, routing: Routing, token: int, of: str = "") -> None:
        """Explain one token of a text (``of`` says of which); nothing changes where it has no such token."""
        why = Why.of(routing, token)
        if why is None:
            return
        self._why, self._token = why, token
        self._title.setText(f"Why at '{visible(why.token)}'{of}")
        self._words.setText("\n".join(why.sentences))
        mixer = self._mixer
        is_learning = mixer.playing.router is not None and bool(mixer.playing.router.job)
        self._reads.setText(read_by(mixer.training.spec if is_learning else mixer.mix))
        projections = dict.fromkeys(projection for _, projection in why.rows)
        views = [("Mean of each layer", MEAN), ("Each projection", EACH), *((p, p) for p in projections)]
        chosen = str(self.view.currentData() or MEAN)
        fill(self.view, views, chosen if chosen in (MEAN, EACH, *projections) else MEAN)
        self._draw()

    def is_of(self, routing: Routing) -> bool:
        """Whether the explained token is still where it was in ``routing``."""
        return self._why is not None and Why.of(routing, self._token) == self._why

    def _draw(self) -> None:
        why = self._why
        if why is None:
            return
        layers, projections = zip(*why.rows, strict=True)
        grid = GateGrid([why.token], layers, projections, why.experts, np.asarray([why.gates], np.float32))
        grid.look(str(self.view.currentData()))
        winners = [grid.ranking(0, row)[0] for row in range(len(grid.rows))]
        self.bands.set_shares(
            grid.rows,
            [""],
            why.experts,
            [self._mixer.hue(name) for name in why.experts],
            grid.shown.transpose(1, 0, 2),
            notes=[f"{name} {share:.2f}" for name, share in winners],
        )

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)
