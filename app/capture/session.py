"""What is open, and where its sound and its pictures go: meter, preview, recording, captions."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from app.capture.camera import Shot
from app.capture.captions import Captions
from app.capture.messages import LARGEST_OFFSET, Device, Light, Opened, Recorded, Report, SetPlace, Trouble
from app.capture.meter import Meter
from app.capture.microphone import Microphone, Sound
from app.capture.portaudio import PortAudio
from app.capture.preview import Previewer
from app.capture.take import Take
from app.capture.watcher import Watcher
from engine.formats.errors import StudioError

__all__ = ["Session"]

LEVEL_EVERY, PROGRESS_EVERY = 0.05, 0.25
AHEAD = 0.05
"""Seconds from the order to record to its first sample: neither it nor its picture is here yet."""


class Session:
    """One camera and one microphone. All methods are for one thread, which calls ``tick`` often;
    ``tell`` is called from any."""

    def __init__(self, portaudio: PortAudio, tell: Callable[[Report], None]) -> None:
        self._portaudio, self._tell = portaudio, tell
        self._later: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._watcher: Watcher | None = None
        self._leaving: list[Watcher] = []  # told to close, but their driver hangs
        self._previewer: Previewer | None = None
        self._microphone: Microphone | None = None
        self._microphone_id = ""
        self._meter: Meter | None = None
        self._metering = threading.Lock()
        self._take: Take | None = None
        self._captions: Captions | None = None
        self._offset = 0.0
        self._levelled = self._progressed = 0.0

    @property
    def light(self) -> Light:
        """What is open. A camera counts from before it is opened until its driver has let go of it."""
        watchers = [self._watcher, *self._leaving]
        return Light(
            camera=any(watcher is not None and watcher.is_alive() for watcher in watchers),
            microphone=self._microphone is not None,
            recording=self._take is not None,
        )

    @property
    def settled(self) -> bool:
        """Whether the clocks of what is open have found each other."""
        return self._microphone is None or self._microphone.clock.settled

    @property
    def opened(self) -> Opened:
        """What is open and works."""
        watcher, microphone = self._watcher, self._microphone
        camera = watcher.camera if watcher else None
        return Opened(
            camera=watcher.id if watcher and camera else "",
            width=camera.width if camera else 0,
            height=camera.height if camera else 0,
            fps=camera.fps if camera else 0.0,
            began=watcher.began if watcher else 0.0,
            microphone=self._microphone_id if microphone else "",
            rate=microphone.rate if microphone else 0,
            channels=microphone.channels if microphone else 0,
        )

    def open(self, camera: Device | None, microphone: Device | None) -> None:
        """Open these, and close what is open and is not among them. A recording is ended first. Opened
        follows when all is open; a camera may take seconds."""
        self._finish_take()
        if self._watcher is not None and (camera is None or self._watcher.id != camera.id):
            self._close_camera()
        if self._microphone is not None and (microphone is None or self._microphone_id != microphone.id):
            self._close_microphone()
        if microphone is not None and self._microphone is None:
            self._open_microphone(microphone)
        if camera is not None and self._watcher is None:
            self._previewer = Previewer(self._tell)
            self._watcher = Watcher(
                camera.id,
                camera.name,
                lambda watcher: self._later.put(lambda: self._camera_opened(watcher)),
                self._seen,
                lambda watcher, error: self._later.put(lambda: self._camera_gone(watcher, error)),
            )
        elif self._watcher is None or self._watcher.camera is not None:
            self._tell(self.opened)

    def close(self) -> None:
        """End the recording and close everything. Returns when the devices are off."""
        self._finish_take()
        self.stop_captions()
        self._close_camera()
        self._close_microphone()

    def set_offset(self, milliseconds: float) -> None:
        """Of recordings that begin from now on."""
        self._offset = max(-LARGEST_OFFSET, min(LARGEST_OFFSET, milliseconds)) / 1000

    def set_place(self, order: SetPlace) -> None:
        """Where the mouth is in the preview."""
        if self._previewer is not None:
            self._previewer.set_place(order.place)

    def record(self, path: Path, seconds: float = math.inf) -> None:
        """Record what is open until ``stop``, or for so many seconds. StudioError when it cannot begin."""
        camera = self._watcher.camera if self._watcher else None
        microphone = self._microphone
        if self._take is not None:
            raise StudioError("busy", "A recording is running already.", "End it first.")
        if camera is None and microphone is None:
            raise StudioError("usage", "Nothing is open to record.", "Open a camera or a microphone first.")
        if path.suffix.lower() != ".mkv":
            raise StudioError(
                "usage", f"{path.name} is no name for a recording.", "Choose a name that ends in .mkv."
            )
        first = 0
        if microphone is not None:
            now = math.ceil(microphone.clock.sample_at(time.monotonic()))
            first = max(microphone.count, now) + round(AHEAD * microphone.rate)
        self._take = Take(path, microphone, camera, first=first, offset=self._offset, seconds=seconds)
        self._tell(self._take.progress())

    def stop(self) -> None:
        """End the recording; Recorded follows."""
        if self._take is not None:
            self._take.end()

    def start_captions(self, folder: Path) -> None:
        """Cut what is said into clips. StudioError without a microphone."""
        self.stop_captions()
        if self._microphone is None:
            raise StudioError(
                "usage", "Captions need a microphone, and none is open.", "Open a microphone first."
            )
        self._captions = Captions(folder, self._microphone, self._offset, self._tell)
        self._captions.camera = self._watcher.camera if self._watcher else None

    def stop_captions(self) -> None:
        """What is being said is cut here."""
        captions, self._captions = self._captions, None
        if captions is not None:
            captions.close()

    def tick(self) -> None:
        """Levels, progress, the end of a recording, and what the devices' threads have left to be done."""
        while not self._later.empty():
            self._later.get()()
        now = time.monotonic()
        if self._meter is not None and now - self._levelled >= LEVEL_EVERY:
            self._levelled = now
            with self._metering:
                level = self._meter.read(now)
            self._tell(level)
        if self._take is not None:
            if self._take.ready():
                self._finish_take()
            elif now - self._progressed >= PROGRESS_EVERY:
                self._progressed = now
                self._tell(self._take.progress())

    def _heard(self, first: int, samples: Sound) -> None:
        if self._meter is not None:
            with self._metering:
                self._meter.add(samples, time.monotonic())
        for listener in (self._take, self._captions):
            if listener is not None:
                listener.hear(first, samples)

    def _seen(self, shot: Shot) -> None:
        for viewer in (self._take, self._captions, self._previewer):
            if viewer is not None:
                viewer.see(shot)

    def _open_microphone(self, device: Device) -> None:
        try:
            self._microphone = Microphone(
                self._portaudio,
                device.id,
                device.name,
                self._heard,
                lambda one, error: self._later.put(lambda: self._microphone_gone(one, error)),
            )
        except StudioError as error:
            self._tell(Trouble(about="microphone", error=error.as_message()))
            return
        self._microphone_id = device.id
        self._meter = Meter(self._microphone.rate, time.monotonic())

    def _camera_opened(self, watcher: Watcher) -> None:
        if watcher is self._watcher:
            if self._captions is not None:
                self._captions.camera = watcher.camera
            self._tell(self.opened)

    def _camera_gone(self, watcher: Watcher, error: StudioError) -> None:
        if watcher is not self._watcher:
            return
        self._tell(Trouble(about="camera", error=error.as_message()))
        self._finish_take([error.message])
        self._close_camera()
        self._tell(self.opened)

    def _microphone_gone(self, microphone: Microphone, error: StudioError) -> None:
        if microphone is not self._microphone:
            return
        self._tell(Trouble(about="microphone", error=error.as_message()))
        self._finish_take([error.message])
        self._close_microphone()
        self._tell(self.opened)

    def _close_camera(self) -> None:
        if self._captions is not None:
            self._captions.camera = None
        if self._watcher is not None:
            self._watcher.close()
            self._leaving = [one for one in [*self._leaving, self._watcher] if one.is_alive()]
        if self._previewer is not None:
            self._previewer.close()
        self._watcher = self._previewer = None

    def _close_microphone(self) -> None:
        self.stop_captions()
        microphone, self._microphone, self._meter = self._microphone, None, None
        if microphone is not None:
            microphone.close()

    def _finish_take(self, notes: list[str] | None = None) -> None:
        """Close the file with what has arrived."""
        take, self._take = self._take, None
        if take is None:
            return
        kept = take.finish(notes or [])
        if kept.trouble is not None:
            self._tell(Trouble(about="recording", error=kept.trouble.as_message()))
        if kept.recorded is not None:
            recorded: Recorded = kept.recorded
            self._tell(recorded)
