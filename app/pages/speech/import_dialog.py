"""The sheet through which a model of speech comes in: what it is, its licence, the parts that it needs."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.pages.fields import quietly, rows, tiny
from app.pages.speech.part_box import PartBox
from app.presenters.speech_import import PARTS, SpeechImport, part_choices
from app.presenters.speech_training import rates_of
from widgets.facts import Facts
from widgets.icon_button import WordButton
from widgets.verdict import Verdict

__all__ = ["SpeechImportDialog"]

SIZE = QSize(600, 680)
LICENSE = 160
WIDE = 300
WHAT_FOR = (
    "A checkpoint of AV-HuBERT or Llama-AVSR, the folder of a Whisper, or one of this studio. A checkpoint "
    "is converted to safetensors in a process without network; nothing in it is run."
)
KINDS = "Checkpoints (*.pt *.pth *.safetensors *.json);;All files (*)"


class SpeechImportDialog(QDialog):
    """``present()`` begins another import; it closes once the model is in the library."""

    def __init__(self, importing: SpeechImport, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._import = importing
        self.setObjectName("speech.import")
        self.setWindowTitle("Import a model of speech")
        self.resize(SIZE)
        self.file = WordButton("file", "Choose a checkpoint", "speech.import.file")
        self.folder = WordButton("folder", "Choose a folder", "speech.import.folder")
        self._what = tiny("speech.import.what")
        self._facts = Facts()
        self.license = QPlainTextEdit(objectName="speech.import.license", accessibleName="Its licence")
        self.license.setReadOnly(True)
        self.license.setTabChangesFocus(True)
        self.license.setMinimumHeight(LICENSE)
        self.accepts = QCheckBox("I accept its licence", objectName="speech.import.accept")
        self.name = QLineEdit(objectName="speech.import.name", accessibleName="Name in the library")
        self.name.setMaxLength(64)
        self.parts = {part: PartBox(f"speech.import.{part}", words) for part, words in PARTS.items()}
        self.rates = QLineEdit(objectName="speech.import.rates", accessibleName="Rates of sound and lips")
        self.rates.setPlaceholderText("as it says")
        self.rates.setToolTip("Only for a checkpoint that does not say its own: sound and lips, such as 4 2")
        self._trouble = Verdict()
        self._trouble.setObjectName("speech.import.trouble")
        self.take = QPushButton("Import", objectName="speech.import.take")
        self.take.setProperty("role", "primary")
        self.stop = QPushButton("Stop", objectName="speech.import.stop")
        self.leave = QPushButton("Close", objectName="speech.import.close")
        self._compose()
        self._connect()
        self._show()

    def present(self) -> None:
        self._import.begin()
        self.show()
        self.activateWindow()
        self.file.setFocus(Qt.FocusReason.PopupFocusReason)

    def _compose(self) -> None:
        what_for = tiny()
        what_for.setText(WHAT_FOR)
        choose = QHBoxLayout()
        choose.setSpacing(8)
        choose.addWidget(self.file)
        choose.addWidget(self.folder)
        choose.addStretch(1)
        self._form = QWidget()
        labelled = {PARTS[part]: box for part, box in self.parts.items()}
        fields = rows({"Name": self.name, **labelled, "Rates": self.rates}, WIDE)
        self._form.setLayout(fields)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        for button in (self.stop, self.leave, self.take):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        for part in (what_for, choose, self._what, self._facts, self.license, self.accepts, self._form):
            column.addWidget(part) if isinstance(part, QWidget) else column.addLayout(part)
        column.setStretchFactor(self.license, 1)
        column.addStretch(0)
        column.addWidget(self._trouble)
        column.addLayout(buttons)

    def _connect(self) -> None:
        importing = self._import
        self.file.clicked.connect(self._choose_file)
        self.folder.clicked.connect(self._choose_folder)
        self.name.textEdited.connect(lambda name: importing.set(name=name))
        self.accepts.toggled.connect(lambda on: importing.set(accepted=on))
        self.rates.textEdited.connect(self._set_rates)
        for part, box in self.parts.items():
            box.chosen.connect(lambda choice, part=part: importing.set_part(part, choice))
        self.take.clicked.connect(importing.take)
        self.stop.clicked.connect(importing.cancel)
        self.leave.clicked.connect(self.close)
        importing.changed.connect(self._show)
        importing.imported.connect(lambda _name: self.close())

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Choose a checkpoint", "", KINDS)
        if path:
            self._import.look(path)

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Choose the folder of a model")
        if path:
            self._import.look(path)

    def _set_rates(self, words: str) -> None:
        found = [int(part) for part in words.replace(",", " ").split() if rates_of(part)]
        self._import.set(rates=(found[0], found[1]) if len(found) == 2 else None)

    def _show(self) -> None:
        importing, state = self._import, self._import.state
        found = state.found
        is_known = found is not None and not found.problem
        self._what.setText(f"{found.kind}: {state.path}" if found is not None else state.path)
        self._what.setVisible(bool(state.path))
        self._facts.setVisible(is_known)
        self._facts.fill(dict(found.facts) if found is not None else {})
        self._show_license()
        self._form.setVisible(is_known)
        self._show_fields()
        self.take.setEnabled(not importing.why_not)
        self.stop.setVisible(bool(state.doing))
        self._tell()

    def _show_license(self) -> None:
        found, state = self._import.state.found, self._import.state
        has_license = found is not None and bool(found.license) and not found.problem
        self.license.setVisible(has_license)
        self.accepts.setVisible(has_license)
        if found is not None and self.license.toPlainText() != found.license:
            self.license.setPlainText(found.license)
            self.accepts.setText(f"I have read {found.license_name or 'the licence'} and accept it")
            self.accepts.setAccessibleName(self.accepts.text())
        with quietly(self.accepts):
            self.accepts.setChecked(state.accepted)

    def _show_fields(self) -> None:
        importing, state = self._import, self._import.state
        needs = state.found.needs if state.found is not None else []
        if self.name.text() != state.name:
            self.name.setText(state.name)
        grid = self._form.layout()
        for part, box in self.parts.items():
            box.setVisible(part in needs)
            label = grid.itemAt(grid.indexOf(box) - 1).widget()
            label.setVisible(part in needs)
            box.offer(part_choices(part, importing.models, importing.bases), state.parts.get(part, ""))

    def _tell(self) -> None:
        importing, state = self._import, self._import.state
        if state.error is not None:
            self._trouble.say("bad", f"{state.error.message} {state.error.hint}".strip())
        elif state.doing:
            self._trouble.say("accent", state.doing)
        elif state.found is not None and state.found.problem:
            self._trouble.say("bad", importing.why_not)
        elif importing.why_not:
            self._trouble.say("text_dim", importing.why_not)
        else:
            self._trouble.say("good", "It can be imported.")
