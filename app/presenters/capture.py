"""Camera and microphone on the speech page: which, whether they are open, what is being recorded."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QObject, QSettings, Signal

from app.capture.messages import (
    LARGEST_OFFSET,
    CloseDevices,
    Device,
    Devices,
    Level,
    Light,
    LookForDevices,
    OpenDevices,
    Opened,
    Preview,
    Recorded,
    Recording,
    Report,
    Segment,
    SetOffset,
    SetPlace,
    Speaking,
    StartCaptions,
    StartRecording,
    StopCaptions,
    StopRecording,
    Trouble,
)
from app.presenters.capture_process import CaptureProcess
from app.presenters.capture_state import NONE, CaptureState, Part, chosen, with_file
from app.presenters.clip_files import new_recording
from app.presenters.notice import Notice, from_error
from app.presenters.presenter import Presenter
from engine.messages import Error, MouthPlace

__all__ = ["Capture", "CaptureState", "Device"]

NOTHING = "Choose one, plug one in, or take a video file for the camera."
CAMERA, MICROPHONE, OFFSET = "speech/camera", "speech/microphone", "speech/offset"


class Capture(Presenter[CaptureState]):
    """``process`` plays as well. Devices are shut until ``open``, ``record`` or ``listen``.

    ``changed``: another state; ``previewed(Preview)`` and ``levelled(Level)``: many a second;
    ``recorded(path)``: a recording is whole on the disk; ``speaking(bool)``; ``segment(path, start, end)``: a
    clip of what was said from ``start`` to ``end`` seconds since live captions began, whoever reads it
    deletes it; ``noticed(Notice)``; ``announced(sentence)``.
    """

    previewed = Signal(object)
    levelled = Signal(object)
    recorded = Signal(str)
    speaking = Signal(bool)
    segment = Signal(str, float, float)
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(
        self, settings: QSettings, parent: QObject | None = None, process: CaptureProcess | None = None
    ) -> None:
        offset = float(settings.value(OFFSET, 0.0, float))  # type: ignore[arg-type]
        super().__init__(CaptureState(offset=offset), parent)
        self._settings = settings
        self._folder = ""
        self._wants_recording = False
        self._path = ""
        self._captions = ""
        self.process = process or CaptureProcess(parent=self)
        self.process.reported.connect(self._hear)
        self.process.left.connect(lambda: self._set(light=Light()))
        self.process.ended.connect(self._lost)

    @property
    def records(self) -> bool:
        """Whether a recording runs or is about to."""
        return bool(self._path) or self._wants_recording

    # --- verbs ---

    def keep_in(self, folder: str) -> None:
        """Where recordings go: the clips of the home."""
        self._folder = folder

    def look(self) -> None:
        """Ask which devices there are; nothing is opened."""
        self.process.send(LookForDevices())

    def choose_camera(self, camera: str) -> None:
        """Another camera, a file's path behind "file:", or "" for none."""
        self._settings.setValue(CAMERA, camera or NONE)
        self._set(camera=camera, place=None, cameras=with_file(self.state.cameras, camera))
        self.process.send(SetPlace(place=None))
        self._reopen()

    def choose_microphone(self, microphone: str) -> None:
        """Another microphone, or "" for none."""
        self._settings.setValue(MICROPHONE, microphone or NONE)
        self._set(microphone=microphone)
        self._reopen()

    def open(self) -> None:
        """Open what was chosen, as soon as it is known what there is."""
        self._set(opening=True, troubles=())
        if not self.state.known:
            self.look()
            return
        if not (self.state.camera or self.state.microphone):
            for_captions, self._wants_recording = self.state.live, False
            self._set(opening=False, live=False)
            if not for_captions:  # they say themselves what they lack
                self._say("warn", "There is neither a camera nor a microphone to open.", NOTHING)
            return
        self.process.send(SetOffset(milliseconds=self.state.offset))
        self.process.send(OpenDevices(camera=self.state.camera, microphone=self.state.microphone))

    def close(self) -> None:
        """Shut camera and microphone; what is recorded is kept."""
        self._wants_recording, self._captions = False, ""
        self._set(opening=False, live=False)
        self.process.send(CloseDevices())

    def leave(self) -> None:
        """Shut everything and let the process end. The light is on until it has; what it still tells of a
        recording is heard."""
        self._wants_recording, self._captions = False, ""
        self._set(opening=False, live=False, place=None)
        self.process.end()

    def record(self) -> None:
        """Begin a recording, opening the devices first where they are shut."""
        if self.records:
            return
        if not self._folder:
            hint = "It is starting; try again in a moment."
            self._say("warn", "The engine has not said yet where recordings go.", hint)
            return
        self._wants_recording = True
        self._soon(is_open=self.state.open)

    def stop(self) -> None:
        """End the recording; ``recorded`` says where it is."""
        self._wants_recording = False
        if self._path:
            self.process.send(StopRecording())

    def listen(self, *, live: bool) -> None:
        """Tell of ``segment``s, for live captions, or no longer."""
        if live == self.state.live:
            return
        self._set(live=live)
        if not live:
            self._captions = ""
            self.process.send(StopCaptions())
        else:
            # Opening ends a recording, so while one runs what is open has to do.
            self._soon(is_open=self.state.light.microphone or self.records)

    def set_offset(self, milliseconds: float) -> None:
        """Move the sound of recordings against their pictures; later where positive."""
        offset = min(LARGEST_OFFSET, max(-LARGEST_OFFSET, round(milliseconds)))
        if offset != self.state.offset:
            self._settings.setValue(OFFSET, offset)
            self._set(offset=offset)
            self.process.send(SetOffset(milliseconds=offset))

    def set_place(self, place: MouthPlace | None) -> None:
        """Where the mouth is in the camera's picture; None lets a face be searched."""
        self._set(place=place)
        self.process.send(SetPlace(place=place))

    # --- what the process says ---

    def _hear(self, report: Report) -> None:
        if report.light != self.state.light:
            self._set(light=report.light)
        if self._captions and not report.light.microphone:
            self._captions = ""
            self._set(live=False)
        match report:
            case Preview():
                self.previewed.emit(report)
            case Level():
                self.levelled.emit(report)
            case Devices():
                self._learn(report)
            case Opened():
                self._set(opening=False)
                if self.state.place is not None:
                    self.process.send(SetPlace(place=self.state.place))
                self._start_what_waits()
            case Recording(seconds=seconds, gaps=gaps):
                self._set(seconds=seconds, gaps=gaps)
            case Recorded():
                self._keep(report)
            case Speaking(speaking=speaking):
                self.speaking.emit(speaking)
            case Segment(path=path, start=start, end=end):
                self.segment.emit(path, start, end)
            case Trouble(about=about, error=error):
                self._suffer(about, error)

    def _learn(self, devices: Devices) -> None:
        microphone = self.state.trouble("microphone")
        if devices.sound_problem:
            hint = "Pictures alone and files work without it."
            self._trouble("microphone", Error(code="missing", message=devices.sound_problem, hint=hint))
        elif microphone is not None and microphone.code == "missing":
            self._trouble("microphone", None)
        wanted, is_first = str(self._settings.value(CAMERA, "")), not self.state.known
        cameras = with_file(tuple(devices.cameras), wanted)
        microphones = tuple(devices.microphones)
        self._set(
            cameras=cameras,
            microphones=microphones,
            known=True,
            camera=chosen(cameras, wanted),
            microphone=chosen(microphones, str(self._settings.value(MICROPHONE, ""))),
        )
        if is_first and self.state.opening:
            self.open()

    def _soon(self, *, is_open: bool) -> None:
        """Begin what a person wants as soon as all that it needs is open; a camera may take seconds."""
        if self.state.opening:
            return
        if is_open:
            self._start_what_waits()
        else:
            self.open()

    def _start_what_waits(self) -> None:
        """Devices are open, or none could be: begin what a person wanted them for."""
        if not self.state.open:
            self._wants_recording = False
            self._set(live=False)
            return
        if self._wants_recording and not self._path:
            self._wants_recording = False
            self._path = str(new_recording(Path(self._folder)))
            self._set(seconds=0.0, gaps=0, measured=None)
            self.process.send(StartRecording(path=self._path))
            self.announced.emit("Recording")
        if not self.state.light.microphone:
            self._set(live=False)
        elif self.state.live and not self._captions:
            self._captions = str(Path(self._folder).parent / "tmp" / f"captions-{time.time_ns()}")
            self.process.send(StartCaptions(folder=self._captions))

    def _keep(self, made: Recorded) -> None:
        self._path = ""
        self._set(measured=made.offset_ms if made.measured else None)
        self.recorded.emit(made.path)
        self.announced.emit(f"Recorded {made.seconds:.0f} seconds")
        if made.notes:
            self._say("warn", made.notes[0], " ".join(made.notes[1:]))

    def _suffer(self, about: Part, error: Error) -> None:
        if about == "recording":
            self._path, self._wants_recording = "", False
        if about == "captions":
            self._captions = ""
            self._set(live=False)
        if about == "loudspeaker" and error.code == "missing":
            self.announced.emit(error.message)  # to be read at the player, which plays on in silence
            return
        if about not in ("camera", "microphone"):
            self.noticed.emit(from_error(error))
            return
        self._trouble(about, error)
        self.announced.emit(error.message)

    def _lost(self, error: Error) -> None:
        """The process is gone: nothing is open any more, and what it had recorded is on the disk."""
        cut_off, self._path = self._path, ""
        self._wants_recording, self._captions = False, ""
        self._set(light=Light(), opening=False, live=False, known=False)
        self._trouble("process", error)
        self.announced.emit(error.message)
        if cut_off and Path(cut_off).exists():
            self.recorded.emit(cut_off)
            self._say("warn", "The recording was cut off. What had been recorded is on the shelf.")

    # --- inside ---

    def _reopen(self) -> None:
        if self.state.open or self.state.opening:
            if self.state.camera or self.state.microphone:
                self.open()
            else:
                self.close()

    def _trouble(self, about: Part, error: Error | None) -> None:
        others = tuple((part, other) for part, other in self.state.troubles if part != about)
        self._set(troubles=others if error is None else (*others, (about, error)))

    def _say(self, level: Literal["info", "warn"], words: str, hint: str = "") -> None:
        self.noticed.emit(Notice(level, words, hint))
