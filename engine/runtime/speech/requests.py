"""What people ask of clips: what is in one, what is said in it, how it sounds in noise."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

from msgspec.structs import replace

from engine.formats.errors import StudioError
from engine.messages import (
    AddNoise,
    Body,
    ClipCard,
    Done,
    LookAtClip,
    MouthPlace,
    NoisySound,
    Said,
    Transcribe,
    WarmUpSpeech,
    Work,
)
from engine.runtime.speech.aside import Aside
from engine.runtime.speech.opened import Opened
from engine.speech.config import Rates
from engine.speech.listener import Listener
from engine.speech.listening import listen
from engine.speech.look import look
from engine.speech.noisy import write_noisy

__all__ = ["perform"]

Steps = Generator[Body | None, None, Body]


def perform(work: Work, opened: Opened, listening: Aside, looking: Aside) -> Steps:
    """Answer ``work``, whose paths are "clip", of what needs a model "speech:NAME", of an AddNoise "out".

    Models work in the thread of ``listening``, one at a time, and are opened outside of it, since that may
    draw random numbers; what needs no model works in the thread of ``looking``.
    """
    if isinstance(work.request, WarmUpSpeech):
        opened.model(work.paths[f"speech:{work.request.model}"])
        return Done()
    clip = Path(work.paths["clip"])
    match work.request:
        case LookAtClip(place=place):
            return (yield from looking.steps(_look(clip, place)))
        case Transcribe() as request:
            listener = opened.model(work.paths[f"speech:{request.model}"])
            return (yield from listening.steps(_transcribe(listener, clip, request)))
        case AddNoise(snr=snr, seed=seed, shift=shift):
            writing = write_noisy(clip, Path(work.paths["out"]), snr, seed=seed, shift=shift)
            return (yield from looking.steps(_noisy(Path(work.paths["out"]), writing)))
    raise StudioError("protocol", f"The speech runtime does not answer {type(work.request).__name__}.")


def _look(clip: Path, place: MouthPlace | None) -> Steps:
    looking = look(clip, place)
    while True:
        try:
            doing = next(looking)
        except StopIteration as end:
            card: ClipCard = end.value
            return card
        yield None if doing is None else Said(text=doing)


def _transcribe(listener: Listener, clip: Path, request: Transcribe) -> Steps:
    _check_rates(listener, request)
    rates = None
    if request.audio_rate or request.video_rate:
        finest = (min(listener.audio_rates, default=1), min(listener.video_rates, default=1))
        rates = Rates(request.audio_rate or finest[0], request.video_rate or finest[1])
    found = yield from listen(
        listener,
        clip,
        request.mode,
        rates=rates,
        snr=request.snr,
        seed=request.seed,
        shift=request.shift,
        start=request.start,
        end=request.end,
        place=request.place,
        reference=request.reference,
        beams=request.beams,
    )
    return replace(found, model=request.model)


def _noisy(path: Path, writing: Iterator[float]) -> Generator[None, None, NoisySound]:
    seconds = 0.0
    try:
        for written in writing:
            seconds = written
            yield None
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return NoisySound(path=str(path), seconds=seconds)


def _check_rates(listener: Listener, request: Transcribe) -> None:
    """StudioError("usage") for a rate that was not trained; where there is no choice, none may be named."""
    asked = ((request.audio_rate, listener.audio_rates), (request.video_rate, listener.video_rates))
    for rate, known in asked:
        if rate is not None and rate not in known:
            words = ", ".join(map(str, known))
            raise StudioError(
                "usage",
                f"{request.model} was not trained at rate {rate}.",
                f"Choose one of {words}." if known else "Name none: it has no choice.",
            )
