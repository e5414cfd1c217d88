"""`record`: one clip of so many seconds, from a terminal."""

from __future__ import annotations

import json
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TypeVar

from app.capture import devices
from app.capture.messages import FILE_CAMERA, Device, Opened, Recorded, Report, Trouble
from app.capture.portaudio import PortAudio
from app.capture.session import Session
from engine.formats.errors import StudioError
from engine.messages import Error

__all__ = ["record"]

NONE = "none"
OPENING = 15.0
"""Seconds in which the devices have to be open."""
WARM = 2.5
"""Seconds at most before the recording begins, in which the clocks find each other."""
EXITS = {"usage": 2, "refused": 3, "cancelled": 130}
TICK = 0.02
_T = TypeVar("_T", Opened, Recorded)


def record(seconds: float, out: Path, camera: str, microphone: str) -> int:
    """Record, print one JSON line and return the exit code. Ctrl-C ends the recording early and keeps it."""
    interrupted = threading.Event()
    stopping = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: interrupted.set()) for number in stopping]
    try:
        facts = _clip(
            seconds, out if out.suffix else out.with_suffix(".mkv"), camera, microphone, interrupted
        )
    except StudioError as error:
        refusal = {"code": error.code, "message": error.message, "hint": error.hint}
        print(json.dumps({"error": refusal}, ensure_ascii=False), flush=True)
        return EXITS.get(error.code, 1)
    finally:
        for number, handler in zip(stopping, before, strict=True):
            signal.signal(number, handler)
    print(json.dumps(facts, ensure_ascii=False), flush=True)
    return 0


def _clip(
    seconds: float, out: Path, camera: str, microphone: str, interrupted: threading.Event
) -> dict[str, object]:
    """The facts of the finished clip. StudioError says what went wrong, and what is kept."""
    if not 0 < seconds < float("inf"):
        raise StudioError("usage", "A recording needs a length above 0 seconds.", "Say --seconds 10.")
    notes: list[str] = []
    portaudio = PortAudio()
    eye, ear = _camera(camera, notes), _microphone(portaudio, microphone, notes)
    if eye is None and ear is None:
        raise StudioError(
            "missing",
            " ".join(notes) or "Neither a camera nor a microphone is to be used.",
            "Plug one in, or name a video file as the camera: --camera file:PATH.",
        )
    told: queue.SimpleQueue[Report] = queue.SimpleQueue()
    session = Session(portaudio, told.put)
    try:
        session.open(eye, ear)
        _next(session, told, Opened, time.monotonic() + OPENING, interrupted)
        warm = time.monotonic() + WARM
        while time.monotonic() < warm and not (session.settled or interrupted.is_set()):
            session.tick()
            time.sleep(TICK)
        session.record(out, seconds)
        print(f"Recording {seconds:g} s. Ctrl-C ends it early.", file=sys.stderr)
        recorded = _next(session, told, Recorded, float("inf"), interrupted)
    finally:
        session.close()
    if interrupted.is_set():
        notes.append("The recording was ended early.")
    return {
        "path": recorded.path,
        "seconds": recorded.seconds,
        "frames": recorded.frames,
        "gaps": recorded.gaps,
        "peak_dbfs": recorded.peak_dbfs,
        "offset_ms": recorded.offset_ms,
        "notes": [*notes, *recorded.notes],
    }


def _next(
    session: Session,
    told: queue.SimpleQueue[Report],
    kind: type[_T],
    deadline: float,
    interrupted: threading.Event,
) -> _T:
    """The next report of this kind. A Trouble on the way is an error, which says what is kept."""
    stopped = False
    while time.monotonic() < deadline:
        if interrupted.is_set() and not stopped:
            stopped = True
            session.stop()
        session.tick()
        while not told.empty():
            report = told.get()
            if isinstance(report, Trouble):
                raise _with_what_is_kept(report.error, told)
            if isinstance(report, kind):
                return report
        time.sleep(TICK)
    raise StudioError("busy", "The devices did not open in time.", "Close other programs that use them.")


def _with_what_is_kept(error: Error, told: queue.SimpleQueue[Report]) -> StudioError:
    hint = error.hint
    while not told.empty():
        report = told.get()
        if isinstance(report, Recorded):
            hint = f"{report.seconds:.1f} s are kept in {report.path}. {hint}"
    return StudioError(error.code, error.message, hint, error.detail)


def _camera(wanted: str, notes: list[str]) -> Device | None:
    if wanted == NONE:
        return None
    if wanted.startswith(FILE_CAMERA):
        return Device(id=wanted, name=Path(wanted.removeprefix(FILE_CAMERA)).name)
    return _one_of(devices.cameras(), wanted, "camera", notes)


def _microphone(portaudio: PortAudio, wanted: str, notes: list[str]) -> Device | None:
    if wanted == NONE:
        return None
    try:
        known = portaudio.devices("input")
    except StudioError as error:
        if wanted:
            raise
        notes.append(str(error))
        return None
    return _one_of(known, wanted, "microphone", notes)


def _one_of(known: list[Device], wanted: str, what: str, notes: list[str]) -> Device | None:
    """The device that is meant; None, with a note, where none is named and there is none."""
    device = devices.chosen(known, wanted)
    if device is None and wanted:
        names = ", ".join(f"“{device.name}”" for device in known) or "none"
        raise StudioError("missing", f"There is no {what} “{wanted}”.", f"There is: {names}.")
    if device is None:
        notes.append(f"There is no {what}.")
    return device
