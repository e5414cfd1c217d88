"""One recording: when it begins and ends, and where in it each block and each picture falls."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy

from app.capture.camera import Camera, Shot
from app.capture.messages import Recorded, Recording
from app.capture.microphone import Microphone, Sound
from app.capture.recorder import Recorder
from app.capture.sidecar import sidecar, write_sidecar
from engine.formats.errors import StudioError

__all__ = ["Take"]

PATIENCE = 1.5
"""Seconds after its end for the last sound and pictures to arrive."""


@dataclass(frozen=True)
class Kept:
    """What became of a take: ``recorded`` if something was kept, ``trouble`` if something went wrong."""

    recorded: Recorded | None
    trouble: StudioError | None


class Take:
    """Records from ``first``, a sample number of the microphone (without one: from now), into ``path``.

    Time in the file is the microphone's sample count; pictures are fitted to it by its clock, so that they
    stay together however the two clocks differ. ``offset`` seconds are how much later the sound is moved.
    ``seconds`` ends it by itself. ``notes`` is said with the result.
    """

    def __init__(
        self,
        path: Path,
        microphone: Microphone | None,
        camera: Camera | None,
        *,
        first: int = 0,
        offset: float = 0.0,
        seconds: float = math.inf,
        with_sidecar: bool = True,
    ) -> None:
        for there in (path, sidecar(path)) if with_sidecar else (path,):
            if there.exists():
                raise StudioError(
                    "usage", f"{there.name} exists already.", "Choose another name, or remove the file first."
                )
        self.path = path
        self._microphone, self._camera = microphone, camera
        self._offset = offset if microphone else 0.0
        self._began = time.monotonic()
        self._wall = time.time()
        self._first = self._next = first
        self._silence = microphone.silence if microphone else 0
        self._ending: float | None = None
        self._last_shot = 0.0
        self._with_sidecar = with_sidecar
        size = None if camera is None else (camera.width, camera.height)
        self._recorder = Recorder(
            path, microphone.rate if microphone else None, size, camera.fps if camera else 0.0, seconds
        )
        if with_sidecar:
            self._write_sidecar(None, [])

    def hear(self, first: int, samples: Sound) -> None:
        """A block of the microphone. What lies before the beginning is cut off, a hole is filled."""
        if self._next - first > 0:
            samples, first = samples[self._next - first :], self._next
        if first > self._next:
            samples = numpy.concatenate([numpy.zeros(first - self._next, numpy.float32), samples])
        if len(samples):
            self._next += len(samples)
            self._recorder.hear(samples)

    def see(self, shot: Shot) -> None:
        """A picture of the camera."""
        self._last_shot = self.at(shot.time)
        self._recorder.see(self._last_shot, shot.picture)

    def at(self, now: float) -> float:
        """Where in the recording a picture taken at this monotonic time belongs, in seconds."""
        if self._microphone is None:
            return now - self._began
        clock = self._microphone.clock
        return (clock.sample_at(now) - self._first) / clock.rate - self._offset

    def end(self) -> None:
        """End it now, which takes a moment: see ``ready``."""
        now = self.at(time.monotonic()) + self._offset
        self._recorder.until = max(0.0, min(now, self._recorder.until))

    def ready(self) -> bool:
        """Whether everything up to the end has arrived, or will not."""
        if self._recorder.trouble is not None:
            return True
        now, until = time.monotonic(), self._recorder.until
        if self.at(now) + min(0.0, self._offset) < until:
            return False
        self._ending = self._ending or now
        heard = self._microphone is None or self._heard >= until
        seen = self._camera is None or self._last_shot >= until
        return (heard and seen) or now - self._ending > PATIENCE

    def progress(self) -> Recording:
        """How far it has come."""
        kept = self._recorder
        return Recording(
            path=str(self.path), seconds=kept.seconds, frames=kept.frames, gaps=kept.gaps, bytes=kept.bytes
        )

    def finish(self, notes: Sequence[str] = ()) -> Kept:
        """Write the rest and close the file. Removes it where nothing at all was recorded."""
        kept = self._recorder
        kept.close()
        kept.join()
        if not kept.frames and not kept.samples:
            trouble = kept.trouble or StudioError(
                "failed", "Nothing was recorded: no sound and no picture arrived.", "Check the devices."
            )
            self.discard()
            return Kept(None, trouble)
        offset = kept.clapper.offset() if self._microphone and self._camera else None
        recorded = Recorded(
            path=str(self.path),
            seconds=round(kept.seconds, 3),
            frames=kept.frames,
            gaps=kept.gaps,
            peak_dbfs=round(kept.peak_dbfs, 1),
            offset_ms=0.0 if offset is None else round(offset * 1000, 1),
            measured=offset is not None,
            notes=[*notes, *self._notes()],
        )
        try:
            if self._with_sidecar:
                self._write_sidecar(recorded, recorded.notes)
        except StudioError as error:
            return Kept(recorded, kept.trouble or error)
        return Kept(recorded, kept.trouble)

    def discard(self) -> None:
        """Leave no trace of it."""
        self.path.unlink(missing_ok=True)
        if self._with_sidecar:
            sidecar(self.path).unlink(missing_ok=True)

    @property
    def _heard(self) -> float:
        rate = self._microphone.rate if self._microphone else 1
        return (self._next - self._first) / rate

    def _notes(self) -> list[str]:
        kept, notes = self._recorder, []
        if kept.gaps:
            often = "once" if kept.gaps == 1 else f"{kept.gaps} times"
            notes.append(f"The camera stood still {often} for more than 80 ms.")
        if self._camera and not kept.frames:
            notes.append("The camera gave no picture.")
        if self._microphone:
            lost = (self._microphone.silence - self._silence) / self._microphone.rate
            if lost:
                notes.append(f"{1000 * lost:.0f} ms of sound never arrived; silence stands in their place.")
            if kept.samples and not kept.peak:
                notes.append("The sound is exact silence: was the microphone muted?")
        return notes

    def _write_sidecar(self, recorded: Recorded | None, notes: Sequence[str]) -> None:
        microphone, camera, kept = self._microphone, self._camera, self._recorder
        write_sidecar(
            self.path,
            {
                "complete": recorded is not None and kept.trouble is None,
                "recorded": self._wall,
                "camera": camera
                and {"name": camera.name, "width": camera.width, "height": camera.height, "fps": camera.fps},
                "microphone": microphone
                and {"name": microphone.name, "rate": microphone.rate, "channels": microphone.channels},
                "seconds": kept.seconds,
                "frames": kept.frames,
                "gaps": kept.gaps,
                "peak_dbfs": kept.peak_dbfs,
                "offset_ms": recorded.offset_ms if recorded else 0.0,
                "offset_measured": bool(recorded and recorded.measured),
                "applied_ms": self._offset * 1000,
                "clock": microphone
                and {
                    "began": microphone.clock.time_of(self._first),
                    "ppm": microphone.clock.ppm,
                    "jitter_ms": microphone.clock.jitter * 1000,
                    "lost_samples": microphone.silence - self._silence,
                },
                "notes": list(notes),
            },
        )
