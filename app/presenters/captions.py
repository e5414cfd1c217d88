"""Live captions: what somebody says, written as soon as they pause."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.capture import Capture
from app.presenters.notice import Notice
from app.presenters.passing import delete
from app.presenters.presenter import Presenter
from app.presenters.speech_models import SpeechLibrary
from engine.messages import Error, Heard, SpeechCard, SpeechMode, Transcribe, Transcript, WarmUpSpeech

__all__ = ["Captions", "CaptionsState"]

# A stretch of speech older than this when its turn comes is one that the listener hears of late.
LATE_S = 4.0
KEPT = 500
AWAY = "The microphone is shut while the Speech page is not shown. Go back there to start captions again."
LEFT = "Live captions ended, since the Speech page was left."
LEFT_HINT = "What was written is kept. Start them again on the Speech page."


@dataclass(frozen=True)
class CaptionsState:
    """``lines`` so far, ``partial`` the one being written; ``speaking``: somebody is right now. ``delay`` is
    how long after its end the newest line came (0 before the first), ``waiting`` stretches are yet to be
    heard. ``is_opening``: the model is not ready yet. ``trouble`` is a sentence where something could not
    be."""

    is_on: bool = False
    is_opening: bool = False
    speaking: bool = False
    lines: tuple[str, ...] = ()
    partial: str = ""
    delay: float = 0.0
    waiting: int = 0
    trouble: str = ""


@dataclass(frozen=True)
class _Stretch:
    path: str
    arrived: float
    is_second: bool = False


class Captions(Presenter[CaptionsState]):
    """Reads each stretch of speech that the capture process tells of, in order, none left out, and deletes
    its clip. ``changed``; ``noticed(Notice)``; ``announced(line)``: for those who listen."""

    noticed = Signal(object)
    announced = Signal(str)

    def __init__(
        self,
        client: Client,
        capture: Capture,
        models: SpeechLibrary,
        parent: QObject | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(CaptionsState(), parent)
        self._client = client
        self._capture = capture
        self._models = models
        self._clock = clock
        self._waiting: deque[_Stretch] = deque()
        self._call = ""
        self._is_away = False
        self._opened: SpeechCard | None = None
        capture.segment.connect(self._queue)
        capture.speaking.connect(lambda speaking: self._set(speaking=speaking))
        capture.changed.connect(self._follow)
        models.changed.connect(self._follow_model)
        client.welcomed.connect(self._forget_opened)

    @property
    def card(self) -> SpeechCard | None:
        """The model that listens."""
        return self._models.card

    @property
    def why_not(self) -> str:
        """What stands in the way of captions; empty when nothing does."""
        if self.card is None:
            return "No model is there yet. Import one from the menu Models."
        return self.card.problem or (AWAY if self._is_away else self._capture.state.why_unheard)

    @property
    def problem(self) -> str:
        """What is wrong, and what to do; empty while nothing is."""
        state = self._capture.state
        broken = state.trouble("process") or (None if state.light.microphone else state.trouble("microphone"))
        shut = _sentence(broken) if broken and not state.opening else ""
        return self.why_not or self.state.trouble or shut

    @property
    def mode(self) -> SpeechMode:
        """By which senses: all that the model has and that are open."""
        modes = self.card.modes if self.card is not None else []
        wanted: tuple[SpeechMode, ...] = ("audio", "both", "video")
        if self._capture.state.light.camera:
            wanted = ("both", "audio", "video")
        return next((mode for mode in wanted if mode in modes), "audio")

    def start(self) -> None:
        """Listen, opening the devices where they are shut."""
        if not self.why_not:
            self._set(trouble="")
            self._open_model()
            self._capture.listen(live=True)

    def stop(self) -> None:
        """Listen no longer; what was said before is still written down."""
        self._capture.listen(live=False)

    def leave(self) -> None:
        """The page is left, which shuts the microphone: what was written stays, and that is told."""
        if self.state.is_on:
            self.noticed.emit(Notice("info", LEFT, LEFT_HINT))
            self.announced.emit(f"{LEFT} {LEFT_HINT}")
        self._is_away = True
        self.changed.emit()

    def come_back(self) -> None:
        """The page is shown again."""
        self._is_away = False
        self._follow_model()

    # --- the model ---

    def _follow_model(self) -> None:
        self._open_model()
        self.changed.emit()

    def _open_model(self) -> None:
        """Have the model opened while the page is shown: the first words are not to wait for it."""
        card = self.card
        if self._is_away or card is None or card.problem or card == self._opened:
            return
        self._opened = card

        def failed(error: Error) -> None:
            self._opened = None
            is_worth_saying = error.code not in ("cancelled", "crashed")
            self._set(is_opening=False, trouble=_sentence(error) if is_worth_saying else "")

        self._set(is_opening=True)
        self._client.ask(WarmUpSpeech(model=card.name), lambda _: self._set(is_opening=False), failed)

    def _forget_opened(self) -> None:
        """Another engine has opened nothing yet."""
        self._opened = None
        self._open_model()

    # --- stretches of speech ---

    def _follow(self) -> None:
        live = self._capture.state.live
        self._set(is_on=live, speaking=self.state.speaking and live)
        self.changed.emit()  # with another device open it listens by other senses

    def _queue(self, path: str, _start: float, _end: float) -> None:
        self._waiting.append(_Stretch(path, self._clock()))
        self._set(waiting=len(self._waiting))
        self._go_on()

    def _go_on(self) -> None:
        if self._call or not self._waiting:
            return
        if self.card is None:
            self._drop_all()
            return
        stretch = self._waiting[0]
        place = self._capture.state.place
        self._call = self._client.ask(
            Transcribe(model=self.card.name, clip=stretch.path, mode=self.mode, place=place),
            lambda said: self._heard(stretch, said),
            lambda error: self._failed(stretch, error),
            self._partly,
        )

    def _partly(self, body: object) -> None:
        if isinstance(body, Heard):
            self._set(partial=" ".join(word.text for word in body.words))

    def _heard(self, stretch: _Stretch, said: Transcript) -> None:
        if said.text:
            lines = (*self.state.lines, said.text)[-KEPT:]
            self._set(lines=lines, delay=self._clock() - stretch.arrived, trouble="")
            self.announced.emit(said.text)
        self._end()

    def _failed(self, stretch: _Stretch, error: Error) -> None:
        if error.code == "crashed" and not stretch.is_second:
            # What an engine died over is asked once more of the next one.
            self._call, self._waiting[0] = "", replace(stretch, is_second=True)
            self._go_on()
            return
        self._set(trouble=_sentence(error))
        self._end()

    def _end(self) -> None:
        """The foremost stretch is done with, so its clip may go."""
        self._call = ""
        delete(self._waiting.popleft().path)
        self._set(partial="", waiting=len(self._waiting))
        self._go_on()

    def _drop_all(self) -> None:
        for stretch in self._waiting:
            delete(stretch.path)
        self._waiting.clear()
        self._set(waiting=0, trouble=self.why_not)

    @property
    def late(self) -> float:
        """By how many seconds what is being heard lags behind; 0 where it keeps up."""
        late = self._clock() - self._waiting[0].arrived if self._waiting else 0.0
        return late if late > LATE_S else 0.0


def _sentence(error: Error) -> str:
    return f"{error.message} {error.hint}".strip()
