"""The one prompt of the ranks page, and rows to try: of the adapter's task, or those that ranks part on."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.presenters.rank_curve import RankCurves
from app.presenters.ranks import Ranks
from widgets.flow import Flow

__all__ = ["RankPrompt"]


class RankPrompt(QWidget):
    """Asks every pane the same."""

    def __init__(self, ranks: Ranks, curves: RankCurves, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ranks, self._curves = ranks, curves
        self._tried: list[str] | None = None
        self._shown = ""
        self.field = QLineEdit(objectName="ranks.prompt", accessibleName="Prompt")
        self.field.setPlaceholderText("Ask the base and every rank the same")
        self.button = QPushButton("Ask", objectName="ranks.ask")
        self.button.setProperty("role", "primary")
        self._examples = Flow(4)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.field, 1)
        row.addWidget(self.button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(row)
        column.addLayout(self._examples)
        self.field.returnPressed.connect(self.ask)
        self.button.clicked.connect(lambda: self.ask())
        ranks.changed.connect(self.show_state)
        ranks.stock.changed.connect(self.show_state)
        curves.changed.connect(self.show_state)
        self.show_state()

    def show_state(self) -> None:
        """The prompt that was asked last, and rows to try; once measured, those that ranks part on."""
        if self._ranks.state.prompt != self._shown:
            self._shown = self._ranks.state.prompt
            self.field.setText(self._shown)
        apart = self._curves.apart
        examples = apart or self._ranks.examples
        words = "Ranks part on" if apart else "Try"
        if [words, *examples] == self._tried:
            return
        self._tried = [words, *examples]
        label = QLabel(words)
        label.setProperty("role", "tiny")
        label.setFixedHeight(24)
        chips = []
        for place, prompt in enumerate(examples):
            chip = QPushButton(prompt, objectName=f"ranks.try.{place}", accessibleName=f"Ask: {prompt}")
            chip.setProperty("role", "chip")
            chip.clicked.connect(lambda _=False, prompt=prompt: self._try(prompt))
            chips.append(chip)
        self._examples.fill([label, *chips] if chips else [])

    def ask(self) -> None:
        """Put what is written to every pane."""
        if self.field.text().strip():
            self._ranks.ask(self.field.text())

    def _try(self, prompt: str) -> None:
        self.field.setText(prompt)
        self.ask()
