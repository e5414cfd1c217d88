"""The router panel put together: what plays, what to train on, and the training; takes a data file."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from app.pages.mixer.export_form import ExportForm
from app.pages.mixer.lesson import Lesson
from app.pages.mixer.playing_panel import PlayingPanel
from app.pages.mixer.training_box import TrainingBox
from app.presenters.mixer import Mixer
from widgets.reveal import reveal

__all__ = ["RouterPanel"]

WIDTH = 240


class RouterPanel(QFrame):
    """Settings scroll where they are higher than the desk; the button to train stays in sight."""

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self.setObjectName("mixer.router")
        self.setAccessibleName("Router")
        self.setAcceptDrops(True)
        self.setFixedWidth(WIDTH)
        self.playing = PlayingPanel(mixer)
        self.lesson = Lesson(mixer)
        self.box = TrainingBox(mixer)
        self.form = ExportForm(mixer, self)
        self.box.train.clicked.connect(self.train)
        self.playing.export_wanted.connect(self.form.present)
        mixer.export.reveal.connect(reveal)
        self._compose()

    def train(self) -> None:
        """Train a router under the name written here."""
        if self._mixer.train(self.lesson.name.text().strip()):
            self.lesson.name.clear()

    def _compose(self) -> None:
        settings = QWidget()
        upper = QVBoxLayout(settings)
        upper.setContentsMargins(16, 16, 16, 8)
        upper.setSpacing(16)
        upper.addWidget(self.playing)
        upper.addWidget(self.lesson)
        upper.addStretch(1)
        area = QScrollArea(widgetResizable=True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(settings)
        self.lesson.unfolded.connect(lambda: area.ensureWidgetVisible(self.lesson.fold.inside))
        foot = QVBoxLayout()
        foot.setContentsMargins(16, 8, 16, 16)
        foot.addWidget(self.box)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(area, 1)
        column.addLayout(foot)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = next(url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile())
        event.acceptProposedAction()
        self._mixer.choose_data(path)
