"""The right side of the speech page: what was understood, above the clip that it was understood of."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QStackedLayout, QVBoxLayout, QWidget

from app.pages.speech.captions import CaptionsButton
from app.pages.speech.columns import SpeechColumns
from app.pages.speech.export import ExportBar
from app.pages.speech.noise import NoiseFader
from app.pages.speech.picture import NoisePicture
from app.pages.speech.player import Player
from app.pages.speech.rates import RatesBar
from app.presenters.captions import Captions
from app.presenters.clips import Clips
from app.presenters.playback import Playback
from app.presenters.transcripts import Transcripts
from widgets.empty import Empty

__all__ = ["SpeechDesk"]

WHAT_FOR = (
    "Record yourself, drop a video, or open an example: a model transcribes it by ear, by reading lips, and "
    "by both, side by side. Put noise under it and see who still understands."
)


class SpeechDesk(QWidget):
    """``example_wanted``: nothing is chosen, and a person wants to see how this works."""

    example_wanted = Signal()

    def __init__(
        self,
        clips: Clips,
        transcripts: Transcripts,
        playback: Playback,
        captions: Captions,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._clips = clips
        self.setObjectName("speech.desk")
        self.empty = Empty("speech", "Hear, and read lips", WHAT_FOR, "Open an example", "speech.empty")
        self.columns = SpeechColumns(transcripts)
        self.rates = RatesBar(transcripts)
        self.export = ExportBar(transcripts)
        self.live = CaptionsButton(captions)  # stands in the title row: captions need no clip
        self.noise = NoiseFader(transcripts, clips)
        self.picture = NoisePicture(transcripts)
        self.player = Player(playback, clips, self.noise)
        self._compose()
        self.empty.pressed.connect(self.example_wanted)
        self.columns.sought.connect(playback.seek)
        playback.moved.connect(self.columns.show_position)
        clips.changed.connect(self._show)
        self._show()

    def _compose(self) -> None:
        bars = QHBoxLayout()
        bars.setSpacing(16)
        bars.addWidget(self.rates, 1)
        bars.addWidget(self.export, 0, Qt.AlignmentFlag.AlignRight)
        upper = QWidget()
        column = QVBoxLayout(upper)
        column.setContentsMargins(16, 12, 16, 8)
        column.setSpacing(8)
        column.addLayout(bars)
        column.addWidget(self.columns, 1)
        lower = QWidget()
        row = QHBoxLayout(lower)
        row.setContentsMargins(16, 12, 16, 12)
        row.setSpacing(16)
        row.addWidget(self.player, 2)
        row.addWidget(self.picture, 1)
        split = QSplitter(Qt.Orientation.Vertical, objectName="speech.desk.split")
        split.addWidget(upper)
        split.addWidget(lower)
        split.setChildrenCollapsible(False)
        split.setStretchFactor(0, 1)
        split.setStretchFactor(1, 0)
        split.setSizes([440, 232])
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(split)

    def regions(self) -> list[QWidget]:
        """What F6 goes through here."""
        if self._clips.state.item is None:
            return [self.empty]
        return [self.columns, self.rates, self.export, self.player, self.picture]

    def _show(self) -> None:
        has_examples = any(clip.origin == "example" for clip in self._clips.state.clips)
        assert self.empty.button is not None
        words = "Open an example" if has_examples else "Open a file"
        self.empty.button.setText(words)
        self.empty.button.setAccessibleName(words)
        self._stack.setCurrentIndex(0 if self._clips.state.item is None else 1)
