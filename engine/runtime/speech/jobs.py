"""Training a speech model as a job: its clips read once and kept, its parts opened, the loop, a folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait

from engine.formats.errors import DataError, StudioError
from engine.messages import StartJob, TrainSpeech
from engine.runtime.jobs import JobRun
from engine.runtime.reports import Report
from engine.runtime.speech.aside import GLANCE
from engine.runtime.speech.lesson import Lesson, job_hash, open_model, senses_of, settings_of, takes_sentences
from engine.speech.data import Spoken, read_clip_list
from engine.speech.kept import KeptClips
from engine.speech.media import probe, read_sound
from engine.speech.video import Recording, read_recording

__all__ = ["SpeechJob"]

CLIPS = "clips"
"""Where a job keeps what it has read, in its folder."""

LONGEST = 60.0
"""Seconds that a clip to learn from may have: a batch of them is in memory at once."""

SAY_EVERY = 0.2


class SpeechJob(JobRun):
    """A TrainSpeech on ``device``. Its clips are read in a thread: people's requests go on meanwhile."""

    def __init__(self, device: str, order: StartJob, report: Callable[[Report], None]) -> None:
        super().__init__(order, report)
        self._device = device

    def work(self) -> Generator[None, None, None]:
        spec = self.order.spec
        if not isinstance(spec, TrainSpeech):
            raise StudioError("protocol", f"The speech runtime does no {type(spec).__name__}.")
        paths = self.order.paths
        spoken = read_clip_list(paths["data"], paths["clips"], there=False)
        clips = yield from self._read(spoken, *senses_of(spec, paths))
        if self.mailbox.action == "pause":
            self.reports.ended("paused")
        elif self.mailbox.action == "cancel":
            self.reports.ended("cancelled")
        else:
            self.reports.say("Loading the encoders and the language model.", 0)
            yield
            yield from self._train(spec, clips)

    def _train(self, spec: TrainSpeech, clips: KeptClips) -> Generator[None, None, None]:
        model, parts = open_model(spec, self.order.paths, self._device)
        sentences = takes_sentences(spec, self.order.paths)
        lesson = Lesson(model, clips, spec, parts, lambda text: self.reports.say(text, 0), sentences)
        try:
            self.reports.note = " ".join(model.bank.notes)
            yield
            yield from self.train(lesson, settings_of(spec), spec.out, job_hash(self.order))
        finally:
            lesson.close()

    def _read(self, spoken: list[Spoken], hears: bool, sees: bool) -> Generator[None, None, KeptClips]:
        """All clips as a model takes them, those of an earlier start too; less where the person has asked to
        pause or cancel. DataError names the line of one that cannot be used."""
        kept, said_at = KeptClips.whole(self.folder / CLIPS), -math.inf
        with ThreadPoolExecutor(1, "clips") as reader:
            while len(kept) < len(spoken) and self.mailbox.action not in ("pause", "cancel"):
                if time.monotonic() - said_at > SAY_EVERY:
                    said_at = time.monotonic()
                    self.reports.say(f"Reading clips: {len(kept)} of {len(spoken)}.", 0)
                one = spoken[len(kept)]
                reading = reader.submit(_recording, one, hears, sees)
                while not wait([reading], GLANCE).done:
                    yield
                kept.keep(reading.result(), one.text)
                yield
        return kept


def _recording(one: Spoken, hears: bool, sees: bool) -> Recording:
    """What a model that ``hears`` and ``sees`` takes of a clip."""
    try:
        facts = probe(one.clip)
        if facts.seconds > LONGEST:
            raise DataError(
                f"It has {facts.seconds:.0f} s; a clip to learn from has {LONGEST:.0f} at most.",
                "Cut it into sentences.",
            )
        found = read_recording(one.clip) if sees else Recording(read_sound(one.clip), None)
    except StudioError as error:
        raise _unusable(one, error.message, error.hint) from error
    sound = found.sound if hears and found.sound is not None and len(found.sound) else None
    mouth = found.mouth if found.mouth is not None and len(found.mouth) else None
    if sound is None and mouth is None:
        why = [*(["There is no sound in it."] if hears else []), *([found.note] if sees else [])]
        raise _unusable(one, " ".join(why), "Leave it out, or choose another.")
    return Recording(sound, mouth, found.gaps, found.note)


def _unusable(one: Spoken, reason: str, hint: str) -> DataError:
    return DataError(f"Line {one.line}, {one.clip.name}: {reason}", hint, str(one.clip))
