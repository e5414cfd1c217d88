"""What is said in a file, from its first second to its last: piece by piece, with bounded memory.

A file of any length is parted in its pauses; of each part the gate says whether somebody speaks, and only
then a listener is asked. What could not be read is said in sentences and never guessed.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path

from engine.formats.errors import DataError, StudioError
from engine.messages import Heard, MouthPlace, Transcript
from engine.speech.ahead import read_ahead
from engine.speech.config import Mode, Rates
from engine.speech.faces import Place
from engine.speech.listener import Listener
from engine.speech.media import Facts, pictures, probe
from engine.speech.missing import Missing
from engine.speech.noisy import background
from engine.speech.splitting import LONGEST
from engine.speech.understood import Understood
from engine.speech.windows import windows

__all__ = ["listen", "place_in"]

SENTENCES = 8.0
"""Seconds read at once for a listener that takes single sentences."""


def listen(
    listener: Listener,
    path: str | Path,
    mode: Mode = "both",
    *,
    rates: Rates | None = None,
    snr: float | None = None,
    babble: str | Path | None = None,
    seed: int = 0,
    shift: float = 0.0,
    start: float = 0.0,
    end: float | None = None,
    place: MouthPlace | None = None,
    reference: str = "",
    beams: int = 1,
) -> Generator[Heard | None, None, Transcript]:
    """What ``listener`` understands of the file at ``path``; all else as in messages.Transcribe.

    Yields Heard after each part, and None while a part is being read, so that others may work meanwhile; may
    be closed at any time. ``babble`` is the sound file of the noise that ``snr`` mixes in: under the whole
    clip, the same wherever one begins. Whether somebody speaks is asked of the sound without it.

    DataError for a file that cannot be read or has nothing that ``mode`` could read; StudioError("usage") for
    what the listener cannot do.
    """
    began, path = time.monotonic(), Path(path)
    facts = probe(path)
    end = min(facts.seconds, facts.seconds if end is None else end)
    heard, seen = _senses(listener, facts, mode, path.name)
    if not 0 <= start < end:
        raise DataError(
            f"There is nothing from {start:g} s on in {path.name}.", f"It is {facts.seconds:.1f} s long."
        )
    noise = None if snr is None or not heard else background(path, babble, snr, seed)
    missing = Missing()
    told = Understood(listener, mode, heard, seen, rates, noise, beams, missing)
    parts = windows(
        path,
        start,
        end,
        heard=heard,
        seen=seen,
        shift=shift,
        place=place_in(path, place),
        longest=SENTENCES if listener.pause < SENTENCES else LONGEST,
        missing=missing,
    )
    for window in read_ahead(parts):
        if window is None:
            yield None
            continue
        yield Heard(words=list(told.words), until=window.start, seconds=end)
        told.hear(window)
        yield Heard(words=list(told.words), until=window.end, seconds=end)
    if missing.everything(start, end, heard=heard, seen=seen):
        raise DataError(
            f"{path.name} is damaged: no sound and no picture of it can be read.",
            "Check that it plays elsewhere, or copy it again from where it came from.",
        )
    told.notes |= dict.fromkeys(missing.sentences(start, end))
    return told.transcript(reference, snr=snr, seconds=end - start, took=time.monotonic() - began)


def place_in(path: Path, place: MouthPlace | None) -> Place | None:
    """``place`` in pixels of the pictures of the file at ``path``."""
    first = None if place is None else next(pictures(path), None)
    if place is None or first is None:
        return None
    width = first[1].shape[1]
    return Place(place.x * width, place.y * width, place.side * width)


def _senses(listener: Listener, facts: Facts, mode: Mode, name: str) -> tuple[bool, bool]:
    """Whether the file is heard, and whether it is seen."""
    able = {sense for one in listener.modes for sense in (("audio", "video") if one == "both" else (one,))}
    asked = {"audio", "video"} if mode == "both" else {mode}
    there = {sense for sense, is_there in (("audio", facts.rate), ("video", facts.width)) if is_there}
    if not asked & able:
        what = "read lips" if mode == "video" else "hear"
        raise StudioError(
            "usage", f"{listener.name} cannot {what}.", "Choose another model, or another mode."
        )
    if not asked & able & there:
        missing = "sound" if "audio" in asked & able else "video"
        raise DataError(f"There is no {missing} in {name}.", "Choose another clip, or another mode.")
    use = asked & able & there
    return "audio" in use, "video" in use
