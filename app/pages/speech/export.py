"""Copy the words, or keep them as a file: text, subtitles, JSON."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QWidget

from app.pages.fields import fill
from app.presenters.notice import Notice
from app.presenters.transcript_columns import SENSES
from app.presenters.transcript_files import KINDS, Kind, content, write
from app.presenters.transcripts import Transcripts
from engine.messages import SpeechMode, Transcript
from widgets.icon_button import IconButton
from widgets.menu_button import MenuButton
from widgets.still import still

__all__ = ["ExportBar"]

FOREMOST: tuple[SpeechMode, ...] = ("both", "audio", "video")


class ExportBar(QWidget):
    """``noticed(Notice)``: what was copied or written. The box says whose words; only columns that answer the
    question as it stands are offered."""

    noticed = Signal(object)

    def __init__(self, transcripts: Transcripts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transcripts = transcripts
        self._chosen: SpeechMode | None = None
        self.setObjectName("speech.export")
        self.whose = still(QComboBox(objectName="speech.export.whose", accessibleName="Whose words to keep"))
        self.copy = IconButton("copy", "Copy the words", "speech.export.copy")
        self.save = MenuButton("export", "Save", "speech.export.save")
        self.save.setAccessibleName("Save the words as a file")
        for kind, words in KINDS.items():
            self.save.offer(words, lambda kind=kind: self.save_as(kind))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for widget in (self.whose, self.copy, self.save):
            row.addWidget(widget)
        self.whose.activated.connect(self._choose)
        self.copy.clicked.connect(self.copy_words)
        transcripts.changed.connect(self._show)
        self._show()

    @property
    def said(self) -> Transcript | None:
        """What would be copied or written."""
        mode = self.whose.currentData()
        return self._transcripts.state.column(mode).transcript if mode else None

    def copy_words(self) -> None:
        if self.said is not None:
            QGuiApplication.clipboard().setText(self.said.text)
            self.noticed.emit(Notice("info", f"{len(self.said.words)} words are copied."))

    def save_as(self, kind: Kind) -> None:
        """Ask where, and write; the dialog asks before it lets a file be replaced."""
        said = self.said
        if said is None:
            return
        clip = Path(self._transcripts.state.clip)
        wanted, _ = QFileDialog.getSaveFileName(
            self, f"Save as {KINDS[kind]}", str(clip.with_suffix(f".{kind}")), f"{KINDS[kind]} (*.{kind})"
        )
        if not wanted:
            return
        path = Path(wanted)
        if not path.suffix:
            path = path.with_suffix(f".{kind}")
            if path.exists():
                # The dialog has asked about the name as it was typed, not about this one.
                words = f"{path.name} is there already and was left as it is."
                self.noticed.emit(Notice("warn", words, "Choose another name, or type it in full."))
                return
        self._write(path, content(said, kind))

    def _write(self, path: Path, text: str) -> None:
        try:
            write(path, text)
        except OSError as error:
            words = f"{path.name} could not be written: {error.strerror or error}."
            self.noticed.emit(Notice("bad", words, "Choose another folder.", str(error)))
            return
        self.noticed.emit(Notice("good", f"Saved as {path}."))

    def _choose(self) -> None:
        self._chosen = self.whose.currentData()

    def _show(self) -> None:
        columns = [self._transcripts.state.column(mode) for mode in FOREMOST]
        there = [each.mode for each in columns if each.transcript and each.words and not each.stale]
        chosen = self._chosen if self._chosen in there else next(iter(there), None)
        fill(self.whose, [(SENSES[mode], mode) for mode in there], chosen or "")
        for widget in (self.whose, self.copy, self.save):
            widget.setEnabled(bool(there))
