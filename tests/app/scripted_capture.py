"""A capture process that is a script: commands are noted, a test says what is reported."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

from app.capture.messages import Command, Device, Devices, Light, Opened, Report
from engine.messages import Error

CAMERA = Device(id="cam0", name="Built-in camera", default=True)
OTHER_CAMERA = Device(id="cam1", name="USB camera")
MICROPHONE = Device(id="mic0", name="Built-in microphone", default=True)
LOUDSPEAKER = Device(id="out0", name="Loudspeaker", default=True)


class ScriptedProcess(QObject):
    """``sent`` are the commands so far; ``light`` goes with every report."""

    reported = Signal(object)
    left = Signal()
    ended = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Command] = []
        self.light = Light()
        self.ends = 0

    def send(self, command: Command) -> None:
        self.sent.append(command)

    def end(self) -> None:
        self.ends += 1
        self.light = Light()
        self.left.emit()

    def of(self, kind: type) -> list[Any]:
        """The commands of one kind so far."""
        return [command for command in self.sent if isinstance(command, kind)]

    def report(self, kind: type[Report], **fields: Any) -> None:
        self.reported.emit(kind(light=self.light, **fields))

    def plug(
        self,
        *,
        cameras: tuple[Device, ...] = (CAMERA,),
        microphones: tuple[Device, ...] = (MICROPHONE,),
        problem: str = "",
    ) -> None:
        """Say which devices there are."""
        loudspeakers = [] if problem else [LOUDSPEAKER]
        self.report(
            Devices,
            cameras=list(cameras),
            microphones=[] if problem else list(microphones),
            loudspeakers=loudspeakers,
            sound_problem=problem,
        )

    def opened(self, camera: str = "cam0", microphone: str = "mic0") -> None:
        """Say that these are open now."""
        self.light = Light(camera=bool(camera), microphone=bool(microphone))
        self.report(Opened, camera=camera, microphone=microphone, width=640, height=480, rate=48000)

    def die(self) -> None:
        self.light = Light()
        words = "Camera and microphone stopped working."
        self.ended.emit(Error(code="crashed", message=words, hint="Turn them on again.", detail="core"))
