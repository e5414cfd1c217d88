"""How coarsely sound and lips are read, and what that costs."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.pages.fields import tiny
from app.presenters.transcripts import Transcripts
from widgets.stop_slider import StopSlider

__all__ = ["RatesBar"]

TIP = (
    "So many {what} become one token for the language model. Only rates that were trained: at any other the "
    "model understands nothing."
)
WIDEST = 220


class RatesBar(QWidget):
    """Only rates that were trained. Hidden where a model has none to choose."""

    def __init__(self, transcripts: Transcripts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transcripts = transcripts
        self.setObjectName("speech.rates")
        self.sound = StopSlider("speech.rates.sound", "Compression of sound", [])
        self.lips = StopSlider("speech.rates.lips", "Compression of lips", [])
        self._cost = tiny("speech.rates.cost")
        row = QHBoxLayout()
        row.setSpacing(8)
        for words, slider, what in (("Sound", self.sound, "hearings"), ("Lips", self.lips, "pictures")):
            label = QLabel(words)
            label.setBuddy(slider)
            label.setProperty("role", "dim")
            slider.setToolTip(TIP.format(what=what))
            label.setToolTip(slider.toolTip())
            slider.setMaximumWidth(WIDEST)
            row.addWidget(label)
            row.addWidget(slider, 1)
            row.addSpacing(8)
        row.addStretch(0)  # only what the sliders leave at their widest
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row)
        column.addWidget(self._cost)
        self.sound.moved.connect(self._move)
        self.lips.moved.connect(self._move)
        transcripts.changed.connect(self._show)
        self._show()

    def _move(self, _stop: int) -> None:
        card = self._transcripts.card
        if card is not None:
            audio = card.audio_rates[self.sound.value()] if card.audio_rates else 0
            video = card.video_rates[self.lips.value()] if card.video_rates else 0
            self._transcripts.set_rates(audio, video)

    def _show(self) -> None:
        card, state = self._transcripts.card, self._transcripts.state
        rates = (card.audio_rates, card.video_rates) if card is not None else ([], [])
        self.setVisible(any(rates))
        for slider, known, rate in zip(
            (self.sound, self.lips), rates, (state.audio_rate, state.video_rate), strict=True
        ):
            slider.set_stops([(f"{each} to 1", True) for each in known])
            slider.show_stop(known.index(rate) if rate in known else 0)
        self._cost.setText(self._sentence())

    def _sentence(self) -> str:
        """What is read, and what the newest transcriptions at these rates took."""
        sound, lips = self._transcripts.tokens_per_second
        read = f"{_figure(sound + lips)} tokens a second (sound {_figure(sound)}, lips {_figure(lips)})."
        both = self._transcripts.state.column("both")
        said = both.transcript
        if said is None or both.stale or not said.seconds:
            return f"{read} Fewer are faster, and less is understood."
        return f"{read} This clip: {said.tokens:,}, in {said.took / said.seconds:.2f} of its length."


def _figure(tokens: float) -> str:
    return f"{tokens:.1f}".removesuffix(".0")
