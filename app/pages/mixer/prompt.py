"""The question side of the score: the prompt, examples to try, and whose answers to compare."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.presenters.mixer import Mixer
from widgets.flow import Flow
from widgets.painting import fill_hue
from widgets.theme import theme

__all__ = ["Prompt"]

CHIP = (
    "QPushButton { padding: 2px 8px; min-height: 18px }"
    "QPushButton:focus, QPushButton:checked { padding: 1px 7px }"
)


class Prompt(QWidget):
    """Asks the mixer's questions; chips offer an unseen word per expert, and the experts to hear alone."""

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self._tried: list[str] = []
        self._chips: dict[str, tuple[int, QPushButton]] = {}
        self.field = QLineEdit(objectName="mixer.prompt", accessibleName="Prompt")
        self.field.setPlaceholderText("Ask the base, an expert and the mix")
        self.ask = QPushButton("Ask", objectName="mixer.ask")
        self.ask.setProperty("role", "primary")
        self._examples, self._compare = Flow(), Flow()
        self._compose()
        self.ask.clicked.connect(self._ask)
        self.field.returnPressed.connect(self._ask)
        mixer.desk_changed.connect(self.show_desk)
        mixer.questions.changed.connect(self.show_desk)
        theme.changed.connect(self._tint)
        self.show_desk()

    def _compose(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.field, 1)
        line.addWidget(self.ask)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(line)
        column.addLayout(self._examples)
        column.addLayout(self._compare)

    def show_desk(self) -> None:
        mixer = self._mixer
        is_laid = bool(mixer.desk.strips)
        self.ask.setEnabled(is_laid)
        self._offer(mixer.examples if is_laid else [])
        hues = {name: mixer.hue(name) for name in mixer.desk.trained}
        if hues != {name: hue for name, (hue, _) in self._chips.items()}:
            self._chips = {name: (hue, self._chip(name)) for name, hue in hues.items()}
            self._compare.fill(_led_by("Compare", [chip for _, chip in self._chips.values()]))
            self._tint()
        for name, (_, chip) in self._chips.items():
            chip.blockSignals(True)
            chip.setChecked(name in mixer.questions.compared)
            chip.blockSignals(False)

    def _offer(self, prompts: list[str]) -> None:
        if prompts == self._tried:
            return
        self._tried = prompts
        chips = []
        for place, prompt in enumerate(prompts):
            chip = QPushButton(prompt, objectName=f"mixer.try.{place}")
            chip.setStyleSheet(CHIP)
            chip.setAccessibleName(f"Ask: {prompt}")
            chip.clicked.connect(lambda _=False, prompt=prompt: self._try(prompt))
            chips.append(chip)
        self._examples.fill(_led_by("Try", chips))

    def hasHeightForWidth(self) -> bool:
        return False  # boxes around this one squeeze what only hints at its height; see _make_room

    def _make_room(self) -> None:
        """Take the height that the chips need at this width, no more and no less."""
        self.setFixedHeight(self.layout().heightForWidth(self.width()))

    def event(self, event: QEvent) -> bool:
        is_done = super().event(event)
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            self._make_room()
        return is_done

    def _chip(self, name: str) -> QPushButton:
        chip = QPushButton(name, checkable=True, objectName=f"mixer.compare.{name}")
        chip.setStyleSheet(CHIP)
        chip.setAccessibleName(f"Show the answer of {name} alone")
        chip.toggled.connect(lambda on: self._mixer.questions.compare(name, on))
        return chip

    def _tint(self) -> None:
        for hue, chip in self._chips.values():
            chip.setIcon(_dot(hue))

    def _try(self, prompt: str) -> None:
        self.field.setText(prompt)
        self._ask()

    def _ask(self) -> None:
        if self.field.text().strip() and self._mixer.desk.strips:
            self._mixer.questions.ask(self.field.text())


def _led_by(words: str, chips: list[QPushButton]) -> list[QWidget]:
    """The chips with a word before them; nothing where there are none."""
    label = QLabel(words)
    label.setProperty("role", "tiny")
    label.setFixedHeight(24)
    return [label, *chips] if chips else []


def _dot(hue: int) -> QIcon:
    """A small disc in an expert's colour, hatched where its strip is."""
    picture = QPixmap(24, 24)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    fill_hue(painter, QRectF(2, 2, 20, 20), hue, 1.0, 10.0)
    painter.end()
    return QIcon(picture)
