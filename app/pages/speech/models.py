"""Which model listens, and the ways to another one: import, train, remove."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget

from app.pages.fields import fill
from app.pages.speech.import_dialog import SpeechImportDialog
from app.pages.speech.training_dialog import SpeechTrainingDialog
from app.presenters.speech_import import SpeechImport
from app.presenters.speech_models import SpeechLibrary
from app.presenters.speech_training import SpeechTraining
from app.words import many, megabytes
from engine.messages import SpeechCard
from widgets.menu_button import MenuButton
from widgets.still import still

__all__ = ["ModelBar"]

SENSES = {"audio": "ears", "video": "eyes", "both": "both"}


class ModelBar(QWidget):
    """A box, and a menu whose sheets are built when they are first wanted."""

    def __init__(self, models: SpeechLibrary, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._models = models
        self._importing: SpeechImportDialog | None = None
        self._training: SpeechTrainingDialog | None = None
        self.setObjectName("speech.models")
        self.box = still(QComboBox(objectName="speech.model", accessibleName="Model that listens"))
        self.box.setMinimumWidth(220)
        self.more = MenuButton("down", "Models", "speech.models.more")
        self.more.setAccessibleName("Import, train or remove a model")
        self.more.offer("Import a model", self.open_import)
        self.more.offer("Train a model", self.open_training)
        self._remove = self.more.offer("Remove", self._remove_chosen)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.box)
        row.addWidget(self.more)
        self.box.activated.connect(lambda _: models.choose(self.box.currentData()))
        models.changed.connect(self._show)
        self._show()

    def open_import(self) -> None:
        """Take a model in."""
        if self._importing is None:
            self._importing = SpeechImportDialog(SpeechImport(self._models.client, self._models, self), self)
        self._importing.present()

    def open_training(self) -> None:
        """Train a model, or see how its training goes."""
        if self._training is None:
            training = SpeechTraining(self._models.client, self._models, self)
            training.noticed.connect(self._models.noticed)
            training.announced.connect(self._models.announced)
            self._training = SpeechTrainingDialog(training, self)
        self._training.present()

    def _remove_chosen(self) -> None:
        if self._models.card is not None:
            self._models.remove(self._models.card.name)

    def _show(self) -> None:
        card = self._models.card
        usable = [each for each in self._models.cards.values() if each.modes]
        items = [(_title(each), each.name) for each in usable]
        fill(self.box, items or [("No model yet", "")], card.name if card is not None else "")
        self.box.setEnabled(bool(items))
        self.box.setToolTip(_about(card) if card is not None else "")
        is_own = card is not None and card.kind != "demo"
        self._remove.setEnabled(is_own)
        self._remove.setText(f"Remove {card.name}" if is_own and card is not None else "Remove")


def _title(card: SpeechCard) -> str:
    """What a person chooses between: a name, and by which senses it listens."""
    senses = "ears and eyes" if "both" in card.modes else " ".join(SENSES[mode] for mode in card.modes)
    return f"{card.name}  {'cannot be used' if card.problem else senses}"


def _about(card: SpeechCard) -> str:
    parts = [f"{what}: {which}" for what, which in card.parts.items()]
    size = f"{many(card.parameters)} parameters, {megabytes(card.bytes)}" if card.parameters else ""
    licence = f"Licence: {card.license}" if card.license else ""
    return "\n".join(line for line in (card.problem, card.note, *parts, size, licence) if line)
