"""The capture process as the window sees it: commands in, reports out, until it is told to end."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from app.capture import devices
from app.capture.frames import CommandFrames
from app.capture.messages import (
    FILE_CAMERA,
    CloseDevices,
    Command,
    Device,
    Devices,
    LookForDevices,
    OpenDevices,
    Part,
    Play,
    Played,
    Quit,
    Ready,
    Report,
    Seek,
    SetOffset,
    SetPlace,
    Show,
    StartCaptions,
    StartRecording,
    StopCaptions,
    StopPlaying,
    StopRecording,
    Trouble,
)
from app.capture.outbox import Outbox
from app.capture.player import Player
from app.capture.portaudio import PortAudio
from app.capture.session import Session
from app.capture.stills import Stills
from engine.formats.errors import StudioError, unexpected

__all__ = ["Service", "serve"]

TICK = 0.02
LOOK_EVERY = 1.0
"""Seconds from one look for devices that came or went to the next."""
FAREWELL = 2.0
"""Seconds for the last reports to leave."""


class Service:
    """Does what ``inbox`` says. All devices are closed when ``run`` returns."""

    def __init__(self, tell: Callable[[Report], None]) -> None:
        self.inbox: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._tell_outside = tell
        self._portaudio = PortAudio()
        self._session = Session(self._portaudio, self._tell)
        self._player: Player | None = None
        self._stills = Stills(self._tell)
        self._told: Devices | None = None
        self._sound = Devices(cameras=[], microphones=[], loudspeakers=[])
        self._cards = devices.sound_cards()
        self._parent = os.getppid()

    def run(self) -> None:
        """Serve until told to quit, or until the process that started this one has gone."""
        self._tell(Ready(pid=os.getpid()))
        self._sound = self._listen()
        self._look(always=True)
        looked = time.monotonic()
        try:
            while os.getppid() == self._parent:
                try:
                    command = self.inbox.get(timeout=TICK)
                except queue.Empty:
                    pass
                else:
                    if isinstance(command, Quit):
                        return
                    self._obey(command)
                self._session.tick()
                if self._player is not None and not self._player.is_alive():
                    self._stop_playing()
                if time.monotonic() - looked >= LOOK_EVERY:
                    looked = time.monotonic()
                    self._look()
        finally:
            self._stop_playing()
            self._stills.close()
            self._session.close()

    def _tell(self, report: Report) -> None:
        self._tell_outside(msgspec.structs.replace(report, light=self._session.light))

    def _obey(self, command: Command) -> None:
        try:
            self._do(command)
        except StudioError as error:
            self._tell(Trouble(about=_part(command), error=error.as_message()))
        except Exception as error:  # noqa: BLE001  # told as a sentence with its details
            self._tell(Trouble(about=_part(command), error=unexpected(error).as_message()))

    def _do(self, command: Any) -> None:
        session = self._session
        match command:
            case LookForDevices():
                self._look(always=True, anew=True)
            case OpenDevices():
                self._open(command)
            case CloseDevices():
                session.close()
                self._tell(session.opened)
            case SetOffset():
                session.set_offset(command.milliseconds)
            case SetPlace():
                session.set_place(command)
            case StartRecording():
                session.record(Path(command.path))
            case StopRecording():
                session.stop()
            case StartCaptions():
                session.start_captions(Path(command.folder))
            case StopCaptions():
                session.stop_captions()
            case Play():
                self._play(command)
            case Seek():
                if self._player is not None:
                    self._player.seek(command.seconds)
            case StopPlaying():
                self._stop_playing()
            case Show():
                self._stills.show(command)

    def _open(self, order: OpenDevices) -> None:
        known = self._look()
        camera = None
        if order.camera.startswith(FILE_CAMERA):
            camera = Device(id=order.camera, name=Path(order.camera.removeprefix(FILE_CAMERA)).name)
        elif order.camera:
            camera = _named(known.cameras, order.camera)
        microphone = _named(known.microphones, order.microphone) if order.microphone else None
        self._session.open(camera, microphone)

    def _look(self, *, always: bool = False, anew: bool = False) -> Devices:
        """Tell which devices there are, if they have changed or are to be told in any case. PortAudio is
        asked only where something may be new to it."""
        cards = devices.sound_cards()
        if (anew or cards != self._cards) and not self._portaudio.streams:
            self._cards = cards
            self._sound = self._listen(anew=True)
        found = msgspec.structs.replace(self._sound, cameras=devices.cameras())
        if always or found != self._told:
            self._told = found
            self._tell(found)
        return found

    def _listen(self, *, anew: bool = False) -> Devices:
        """Microphones and loudspeakers, or why there can be none."""
        try:
            if anew:
                self._portaudio.look_again()
            microphones, loudspeakers = map(self._portaudio.devices, ("input", "output"))
        except StudioError as error:
            return Devices(cameras=[], microphones=[], loudspeakers=[], sound_problem=str(error))
        return Devices(cameras=[], microphones=microphones, loudspeakers=loudspeakers)

    def _play(self, order: Play) -> None:
        self._stop_playing(is_replaced=True)
        try:
            self._player = Player(self._portaudio, order, self._tell)
        except Exception:
            self._tell(Played(path=order.path, seconds=order.start))
            raise

    def _stop_playing(self, *, is_replaced: bool = False) -> None:
        player, self._player = self._player, None
        if player is not None:
            player.close(is_replaced=is_replaced)


def serve() -> None:
    """Serve stdin and stdout. What anything else prints goes to stderr, not between the reports."""
    out = os.dup(1)
    os.dup2(2, 1)

    def write(data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(out, left) :]

    outbox = Outbox(write, lambda: service.inbox.put(Quit()))
    service = Service(outbox.tell)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: service.inbox.put(Quit()))
    threading.Thread(target=_read, args=(service.inbox,), name="inbox", daemon=True).start()
    service.run()
    outbox.close(FAREWELL)


def _read(inbox: queue.SimpleQueue[Command]) -> None:
    """Commands from stdin; at its end, or where it cannot be understood, Quit."""
    frames = CommandFrames()
    try:
        while data := os.read(0, 1 << 16):
            for command in frames.feed(data):
                inbox.put(command)
    except (OSError, msgspec.MsgspecError) as error:
        print(f"The window cannot be understood any more: {error}")
    inbox.put(Quit())


def _named(known: list[Device], id: str) -> Device:
    """The device with this id; one that is gone keeps it as its name, for the sentence about it."""
    return next((device for device in known if device.id == id), Device(id=id, name=id))


def _part(command: Command) -> Part:
    match command:
        case StartRecording() | StopRecording():
            return "recording"
        case StartCaptions() | StopCaptions():
            return "captions"
        case Play() | Seek() | StopPlaying():
            return "loudspeaker"
        case SetPlace():
            return "camera"
        case _:
            return "microphone"
