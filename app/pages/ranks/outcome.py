"""What was made of an adapter: the sentence, the path, the way back, and the energies of an order."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app.pages.fields import tiny
from app.presenters.rank_making import Made, RankMaking
from app.words import percent
from widgets.flow import Flow
from widgets.rank_chart import RankChart
from widgets.rank_series import RankSeries, RankValue
from widgets.reveal import reveal
from widgets.verdict import Verdict

__all__ = ["Outcome"]

LEFT, RIGHT = 48, 12
HUES = (1, 0)


class Outcome(QWidget):
    """Nothing while nothing was made; a busy bar while something is being made."""

    def __init__(self, making: RankMaking, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._making = making
        self.setObjectName("ranks.outcome")
        self._busy = QProgressBar(
            objectName="ranks.outcome.busy", accessibleName="At work on an adapter", textVisible=False
        )
        self._busy.setRange(0, 0)
        self.cancel = QPushButton("Cancel", objectName="ranks.outcome.cancel")
        self.cancel.setAccessibleName("Cancel what is being made")
        self._verdict = Verdict()
        self._verdict.setObjectName("ranks.outcome.verdict")
        self._path = QLabel(objectName="ranks.outcome.path", accessibleName="Where it lies", wordWrap=True)
        self._path.setProperty("role", "tiny")
        self._path.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._notes = tiny("ranks.outcome.notes")
        self.energies = RankChart("ranks.outcome.energies", "Energy", percent, 120, inset=0)
        self.play = QPushButton("Slide it", objectName="ranks.outcome.play")
        self.show_folder = QPushButton("Show folder", objectName="ranks.outcome.show")
        self.undo = QPushButton("Remove it again", objectName="ranks.outcome.undo")
        self._compose()
        self._connect()
        self._show()

    def _compose(self) -> None:
        buttons = Flow(8)
        for button in (self.play, self.show_folder, self.undo):
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 16)
        column.setSpacing(8)
        for part in (self._busy, self._verdict, self.cancel, self._path, self._notes, self.energies):
            column.addWidget(part)
        column.addLayout(buttons)

    def _connect(self) -> None:
        making = self._making
        self.cancel.clicked.connect(self._cancel)
        self.play.clicked.connect(making.play)
        self.undo.clicked.connect(making.undo)
        self.show_folder.clicked.connect(self._reveal)
        self.energies.picked.connect(making.ranks.slide)
        self.energies.pointed.connect(self.energies.set_pointed)
        making.changed.connect(self._show)

    def _show(self) -> None:
        making, made = self._making, self._making.made
        self.setVisible(bool(making.doing) or made is not None)
        for part in (self._busy, self.cancel):
            part.setVisible(bool(making.doing))
        if not making.doing:
            self.cancel.setEnabled(True)
        for part in (self._path, self._notes, self.energies, self.play, self.show_folder, self.undo):
            part.setVisible(made is not None and not making.doing)
        if making.doing:
            self._verdict.say("text_dim", making.doing)
        elif made is not None:
            self._show_made(made)

    def _show_made(self, made: Made) -> None:
        self._verdict.say("good", made.sentence)
        self._path.setText(made.path)
        self._notes.setText(" ".join(made.notes))
        self._notes.setVisible(bool(made.notes))
        self.play.setVisible(made.card is not None)
        self.undo.setVisible(made.card is not None)
        self.energies.setVisible(bool(made.energies))
        if made.energies:
            self.energies.set_series(
                [
                    RankSeries(
                        what,
                        tuple(RankValue(rank, share) for rank, share in enumerate(shares, 1)),
                        hue,
                        hue == HUES[0],
                    )
                    for (what, shares), hue in zip(made.energies, HUES, strict=False)
                ],
                (0.0, 1.0),
            )
            self.energies.set_rank(min(self._making.ranks.state.rank, len(made.energies[0][1])))
            self._align()

    def _align(self) -> None:
        made = self._making.made
        highest = len(made.energies[0][1]) if made is not None and made.energies else 1
        span = max(1, highest - 1)
        chart = self.energies
        chart.set_axis(lambda rank: LEFT + (rank - 1) / span * (chart.width() - LEFT - RIGHT), 1, highest)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.energies.update()

    def _cancel(self) -> None:
        self.cancel.setEnabled(False)
        self._making.cancel()

    def _reveal(self) -> None:
        if self._making.made is not None:
            reveal(self._making.made.path)
