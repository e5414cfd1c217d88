"""One download in words, bars and a line of its speed, with what can be done about it."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from widgets.file_bars import PARTS, FileBars, FileFace, plain_bar
from widgets.icon_button import IconButton, WordButton
from widgets.spark import Spark
from widgets.theme import pixmap, theme

__all__ = ["DownloadFace", "DownloadRow"]

# verb -> drawing, words
VERBS = {
    "pause": ("pause", "Pause"),
    "resume": ("play", "Resume"),
    "retry": ("retry", "Try again"),
    "cancel": ("stop", "Cancel"),
    "desk": ("mixer", "Put on the desk"),
    "use": ("check", "Use this base"),
    "library": ("library", "Show in library"),
    "dismiss": ("close", "Dismiss"),
}


@dataclass(frozen=True)
class DownloadFace:
    """``mark`` is a drawing and ``token`` its colour; ``share`` 0..1, None without a bar; ``files`` are
    (name, share, figures); ``verbs`` of VERBS in order."""

    title: str
    mark: str
    token: str
    words: str
    figures: str
    share: float | None
    speeds: tuple[float, ...] = ()
    speed: str = ""
    files: tuple[FileFace, ...] = ()
    verbs: tuple[str, ...] = ()


class DownloadRow(QFrame):
    """Signals: ``pressed(verb)``."""

    pressed = Signal(str)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.face: DownloadFace | None = None
        self._mark = QLabel(self)
        self._title = _plain(self)
        self._title.setProperty("role", "heading")
        self._words = _plain(self)
        self._words.setProperty("role", "tiny")
        self._figures = _plain(self)
        self._figures.setProperty("role", "dim")
        self._bar = plain_bar(f"{name}-progress", self)
        self._spark = Spark("Speed of this download", self)
        self.fold = IconButton("right", "Show the files of this download", f"{name}-files", self)
        self.fold.setCheckable(True)
        self.fold.toggled.connect(self._fold)
        self._buttons = {verb: self._button(verb) for verb in VERBS}
        self._files = FileBars(self)
        self._compose()
        theme.changed.connect(self._tint)

    def show_face(self, face: DownloadFace) -> None:
        before, self.face = self.face, face
        if face == before:
            return
        self.setAccessibleName(f"Download of {face.title}")
        self.setAccessibleDescription(f"{face.words}. {face.figures}")
        for label, text in (
            (self._title, face.title),
            (self._words, face.words),
            (self._figures, face.figures),
        ):
            label.setText(text)
            label.setToolTip(text if label is self._words else "")
        self._bar.setVisible(face.share is not None)
        self._bar.setValue(round(PARTS * (face.share or 0.0)))
        self._bar.setAccessibleName(f"Progress of {face.title}")
        self._spark.setVisible(len(face.speeds) > 1)
        self._spark.show_values(face.speeds, face.speed)
        self._offer(face.verbs)
        self._show_files(face.files)
        self._tint()

    def _offer(self, verbs: tuple[str, ...]) -> None:
        had_focus = any(button.hasFocus() for button in self._buttons.values())
        for verb in (*verbs, *self._buttons):
            self._buttons[verb].setVisible(verb in verbs)
        # A verb that has gone leaves the keyboard on the first that remains, never by chance on Cancel.
        if had_focus and verbs and not any(self._buttons[verb].hasFocus() for verb in verbs):
            self._buttons[verbs[0]].setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_files(self, files: tuple[FileFace, ...]) -> None:
        self.fold.setVisible(bool(files))
        self._files.show_files(files)
        self._files.setVisible(bool(files) and self.fold.isChecked())

    def _fold(self, is_open: bool) -> None:
        self.fold.draw("down" if is_open else "right")
        self._files.setVisible(is_open and self.face is not None and bool(self.face.files))

    def _button(self, verb: str) -> WordButton:
        drawing, words = VERBS[verb]
        button = WordButton(drawing, words, f"{self.objectName()}-{verb}", self)
        button.clicked.connect(lambda _=False: self.pressed.emit(verb))
        button.hide()
        return button

    def _compose(self) -> None:
        self._files.layout().setContentsMargins(32, 0, 0, 0)
        self._figures.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        text = QVBoxLayout()
        text.setSpacing(2)
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(self._title, 1)
        head.addWidget(self._figures)
        for part in (head, self._bar, self._words):
            text.addWidget(part) if isinstance(part, QWidget) else text.addLayout(part)
        row = QHBoxLayout()
        row.setSpacing(12)
        row.addWidget(self.fold)
        row.addWidget(self._mark)
        row.addLayout(text, 1)
        row.addWidget(self._spark)
        for button in self._buttons.values():
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 6, 16, 6)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self._files)
        self._files.hide()

    def _tint(self) -> None:
        if self.face is not None:
            colour = getattr(theme.tokens, self.face.token)
            self._mark.setPixmap(pixmap(self.face.mark, 20, colour, self.devicePixelRatioF()))


def _plain(parent: QWidget) -> QLabel:
    label = QLabel(parent, textFormat=Qt.TextFormat.PlainText)
    label.setMinimumWidth(1)  # a long name gives way rather than widen the window
    return label
