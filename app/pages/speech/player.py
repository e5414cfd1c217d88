"""The player: play and pause, where it is, the waveform with its speech, the mouths below it."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.presenters.clips import Clips
from app.presenters.playback import Playback
from engine.messages import ClipCard
from widgets.icon_button import IconButton
from widgets.mouth_strip import MouthStrip
from widgets.waveform import Waveform

__all__ = ["Player"]

BESIDE = 216
NO_FACE = "No face was found in this clip: it can be heard, not lip-read."
SILENT = "There is no loudspeaker, so the clip is shown without its sound. Plug one in to hear it."
NO_PICTURES = "This clip has no pictures: it can be heard, not lip-read."


class Player(QWidget):
    """``beside`` stands next to the play button: what changes what is heard."""

    def __init__(
        self, playback: Playback, clips: Clips, beside: QWidget, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._playback = playback
        self._clips = clips
        self._shown: tuple[ClipCard | None, str] = (None, "nothing yet")
        self._known: list[str] = []
        self.setObjectName("speech.player")
        self.button = IconButton("play", "Play  Ctrl+P", "speech.play", self)
        self.wave = Waveform("speech.position", self)
        self.strip = MouthStrip("speech.strip", self)
        self._time = QLabel(self, objectName="speech.time")
        self._notes = QLabel(self, objectName="speech.notes")
        self._notes.setProperty("role", "tiny")
        self._notes.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        beside.setMinimumWidth(BESIDE)
        self._compose(beside)
        self.setFocusProxy(self.wave)
        self.button.clicked.connect(playback.toggle)
        self.wave.sought.connect(playback.seek)
        playback.changed.connect(self._show)
        playback.moved.connect(self._show_position)
        clips.changed.connect(self._show_clip)
        self._show_clip()

    def _compose(self, beside: QWidget) -> None:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.button)
        head.addWidget(self._time, 1)
        head.addWidget(beside, 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self.wave, 1)
        column.addWidget(self.strip)
        column.addWidget(self._notes)

    def _show_clip(self) -> None:
        state = self._clips.state
        card, item = state.card, state.item
        problem = item.problem if item is not None else ""
        words = card.path if card is not None else problem or state.busy
        if (card, words) == self._shown:
            return
        self._shown = (card, words)
        notes: list[str] = []
        if card is None:
            self.wave.show_sound(0.0, ())
            self.strip.show_strip(b"", 1, 1.0, 0.0, words)
        else:
            why = NO_FACE if card.pictures else NO_PICTURES
            notes = card.notes if card.strip else []  # else they stand in the place of the strip
            self.wave.show_sound(card.seconds, card.peaks, card.speech)
            self.strip.show_strip(
                card.strip, card.side, card.every, card.seconds, " ".join(card.notes) or why
            )
        self._known = notes
        self._show()
        self._show_position(self._playback.state.seconds)

    def _show(self) -> None:
        state = self._playback.state
        words = "Pause  Ctrl+P" if state.playing else "Play  Ctrl+P"
        self.button.draw("pause" if state.playing else "play")
        self.button.setToolTip(words)
        self.button.setAccessibleName(words.partition("  ")[0])
        self.button.setEnabled(state.length > 0)
        notes = [SILENT, *self._known] if state.silent and state.playing else self._known
        self._notes.setText(" ".join(notes))
        self._notes.setToolTip("\n".join(notes))
        self._notes.setVisible(bool(notes))
        self._show_time()

    def _show_position(self, seconds: float) -> None:
        self.wave.show_position(seconds)
        self.strip.show_position(seconds)
        self._show_time()

    def _show_time(self) -> None:
        state = self._playback.state
        self._time.setText(f"{state.seconds:.1f} of {state.length:.1f} s" if state.length else "")
