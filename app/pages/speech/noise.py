"""A fader that puts babble under the sound: off at its left end, louder to the right."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from app.presenters.clips import Clips
from app.presenters.noise_curve import SNRS
from app.presenters.transcripts import Transcripts
from app.words import decibels
from widgets.stop_slider import StopSlider

__all__ = ["NoiseFader"]

LEVELS: tuple[float | None, ...] = (
    None,
    *(float(snr) for snr in range(round(SNRS[0]), round(SNRS[-1]) - 1, -1)),
)
NAMED = {None, 10.0, 0.0, -10.0}
TIP = (
    "Babble of other voices under the sound. At 10 dB the speech is 10 dB louder than the babble, below 0 "
    "it is softer. It is heard when the clip is played, and all columns hear the same."
)


class NoiseFader(QWidget):
    """In steps of 1 dB; Page Up and Page Down go by 5. Off for a clip without sound."""

    def __init__(self, transcripts: Transcripts, clips: Clips, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transcripts = transcripts
        self.setObjectName("speech.noise")
        stops = [(_words(snr), snr in NAMED) for snr in LEVELS]
        self.slider = StopSlider("speech.noise.fader", "Noise", stops, page=5)
        label = QLabel("Noise")
        label.setBuddy(self.slider)
        label.setToolTip(TIP)
        self._value = QLabel(objectName="speech.noise.value")
        self._value.setFixedWidth(48)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(label)
        row.addWidget(self.slider, 1)
        row.addWidget(self._value)
        self.setMaximumWidth(360)
        self.slider.moved.connect(lambda stop: transcripts.set_noise(LEVELS[stop]))
        transcripts.changed.connect(self._show)
        clips.changed.connect(self._show)
        self._show()

    def step(self, louder: int) -> None:
        """Go to the next noise that curves are measured at; ``louder`` is 1 or -1."""
        steps = (None, *SNRS)
        snr = self._transcripts.state.snr
        here = steps.index(None if snr is None else min(SNRS, key=lambda level: abs(level - snr)))
        self._transcripts.set_noise(steps[max(0, min(here + louder, len(steps) - 1))])

    def _show(self) -> None:
        snr = self._transcripts.state.snr
        nearest = None if snr is None else min(LEVELS[1:], key=lambda level: abs((level or 0.0) - snr))
        self.slider.show_stop(LEVELS.index(nearest))
        self.slider.setEnabled(self._transcripts.has_sound)
        self.slider.setToolTip(TIP if self._transcripts.has_sound else "This clip has no sound.")
        self._value.setText(_words(snr))


def _words(snr: float | None) -> str:
    return "off" if snr is None else f"{decibels(snr)} dB"
