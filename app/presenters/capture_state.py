"""What the speech page knows of camera and microphone, and which of the devices a person means."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.capture.messages import FILE_CAMERA, Device, Light
from engine.messages import Error, MouthPlace

__all__ = ["NONE", "CaptureState", "Part", "chosen", "with_file"]

NONE = "none"
"""What is kept in the settings of a person who wants no camera, or no microphone; "" is the system's own."""

Part = Literal["process", "camera", "microphone", "loudspeaker", "recording", "captions"]


@dataclass(frozen=True)
class CaptureState:
    """``camera`` and ``microphone`` are the ids of what was chosen, "" for none; ``light`` says what is open
    and recorded in truth, ``opening`` that it was asked for. ``seconds`` and ``gaps`` are of the recording
    that runs. ``offset`` milliseconds are put between pictures and sound of recordings; ``measured`` is what
    the last one would have needed, as far as a clap in it told. ``place`` is where a person says that the
    mouth is. ``troubles`` are what is missing or went wrong, by what it is about.
    """

    cameras: tuple[Device, ...] = ()
    microphones: tuple[Device, ...] = ()
    known: bool = False
    camera: str = ""
    microphone: str = ""
    light: Light = field(default_factory=Light)
    opening: bool = False
    seconds: float = 0.0
    gaps: int = 0
    offset: float = 0.0
    measured: float | None = None
    place: MouthPlace | None = None
    live: bool = False
    troubles: tuple[tuple[Part, Error], ...] = ()

    @property
    def open(self) -> bool:
        return self.light.camera or self.light.microphone

    @property
    def recording(self) -> bool:
        return self.light.recording

    @property
    def why_unheard(self) -> str:
        """Why there is no microphone to listen with, and what to do; "" where one is chosen, or unknown."""
        if self.microphone or not self.known:
            return ""
        if self.microphones:
            return "No microphone is chosen. Choose one on the Speech page."
        problem = self.trouble("microphone")
        return problem.message if problem else "No microphone is plugged in. Plug one in to go on."

    def trouble(self, about: Part) -> Error | None:
        return next((error for part, error in self.troubles if part == about), None)


def chosen(devices: tuple[Device, ...], wanted: str) -> str:
    """The device a person wants if it is plugged in, else the system's own, else the first."""
    if wanted == NONE:
        return ""
    there = {device.id for device in devices}
    usual = next((device.id for device in devices if device.default), next(iter(there), ""))
    return wanted if wanted in there else usual


def with_file(cameras: tuple[Device, ...], wanted: str) -> tuple[Device, ...]:
    """The cameras, and the video file that stands for one if that is chosen and there."""
    real = tuple(camera for camera in cameras if not camera.id.startswith(FILE_CAMERA))
    file = Path(wanted.removeprefix(FILE_CAMERA))
    is_file = wanted.startswith(FILE_CAMERA) and file.is_file()
    return (*real, Device(id=wanted, name=file.name)) if is_file else real
