"""Who can be asked what is said in a clip: a speech model or a Whisper, with one way to be asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.speech.clip import Clip
from engine.speech.config import Mode, Rates
from engine.speech.decoding import Transcript, transcribe
from engine.speech.model import SpeechModel

__all__ = ["Listener", "Reader"]


class Listener(Protocol):
    """``modes``, and the trained rates of each sense, the finest first; none where there is no choice.

    A pause of ``pause`` seconds always parts what it is given: it was made for single sentences, or for
    whatever fits (infinite).
    """

    name: str
    modes: tuple[Mode, ...]
    audio_rates: tuple[int, ...]
    video_rates: tuple[int, ...]
    pause: float

    def transcribe(
        self, clips: Sequence[Clip], mode: Mode, rates: Rates | None = None, beams: int = 1
    ) -> list[Transcript]:
        """What is said in each clip, of 30 s at most, with the times of its words in seconds of the clip.
        Whether somebody speaks is not asked."""

    def close(self) -> None:
        """Let go of what it holds."""


class Reader:
    """A speech model as a listener."""

    def __init__(self, model: SpeechModel, name: str, pause: float) -> None:
        self.model, self.name, self.pause = model, name, pause
        self.modes = model.modes
        self.audio_rates = tuple(sorted(model.config.audio_rates))
        self.video_rates = tuple(sorted(model.config.video_rates))

    def transcribe(
        self, clips: Sequence[Clip], mode: Mode, rates: Rates | None = None, beams: int = 1
    ) -> list[Transcript]:
        return transcribe(self.model, clips, mode, rates, beams=beams, gated=False, timed=True)

    def close(self) -> None:
        self.model.close()
