"""What the window and the capture process say to each other: commands one way, reports the other.

Times are seconds, levels are dBFS (0 is full scale), offsets milliseconds. Every report carries
the ``light``: what is open and whether it is being recorded, as it was when the report left.

Rules
* Devices is sent at the start and whenever something was plugged in or out; nothing is opened unless told.
* OpenDevices is answered by Opened, or by Trouble about what could not be opened (and Opened with the rest).
* StartRecording is answered by Recording from then on and at the end by exactly one Recorded, or by Trouble
  about "recording" and no Recorded where nothing could be kept.
* Preview, Level, Recording and Position are latest-wins: a slow reader misses some and delays nothing.
* The process closes everything and ends when told to Quit or when its stdin ends.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.messages import Error, MouthPlace

__all__ = [
    "CAPTURE_PROTOCOL",
    "FILE_CAMERA",
    "LARGEST_OFFSET",
    "CloseDevices",
    "Command",
    "Device",
    "Devices",
    "Level",
    "Light",
    "LookForDevices",
    "OpenDevices",
    "Opened",
    "Play",
    "Played",
    "Position",
    "Preview",
    "Quit",
    "Ready",
    "Recorded",
    "Recording",
    "Report",
    "Seek",
    "Segment",
    "SetOffset",
    "SetPlace",
    "Show",
    "Speaking",
    "StartCaptions",
    "StartRecording",
    "Still",
    "StopCaptions",
    "StopPlaying",
    "StopRecording",
    "Trouble",
]

CAPTURE_PROTOCOL = 1
LARGEST_OFFSET = 300.0
"""Milliseconds by which sound can be moved against the pictures."""
FILE_CAMERA = "file:"
"""A camera's id that begins so is a video file, shown in real time, again and again."""

Part = Literal["camera", "microphone", "loudspeaker", "recording", "captions"]


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class Light(msgspec.Struct, frozen=True, kw_only=True):
    """What is open at this moment."""

    camera: bool = False
    microphone: bool = False
    recording: bool = False


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """``id`` is what the commands take; it stays the same while the device is plugged in, and over restarts
    as far as the system's own names do. ``default``: the one that the system prefers."""

    id: str
    name: str
    default: bool = False


# Commands


class LookForDevices(_Message, frozen=True):
    """Look again now. Devices follows, whether or not something changed. While sound is open, microphones
    and loudspeakers are those known when it was opened: PortAudio cannot look again before."""


class OpenDevices(_Message, frozen=True):
    """Open these and close all others. "" leaves a kind shut. A ``camera`` "file:PATH" is a video file."""

    camera: str = ""
    microphone: str = ""


class CloseDevices(_Message, frozen=True):
    """Close camera and microphone; a recording is ended and kept. Opened, with neither, follows."""


class SetOffset(_Message, frozen=True):
    """Move the sound of recordings by so much against the pictures (later where positive), -300 to 300."""

    milliseconds: float


class SetPlace(_Message, frozen=True):
    """Where a person says that the mouth is in the preview; None: a face is searched."""

    place: MouthPlace | None = None


class StartRecording(_Message, frozen=True):
    """Record what is open into ``path``, a .mkv file that does not exist yet, until StopRecording."""

    path: str


class StopRecording(_Message, frozen=True):
    """End the recording and keep it."""


class StartCaptions(_Message, frozen=True):
    """Cut what is said at its pauses into clips in ``folder``, each told by a Segment, until StopCaptions."""

    folder: str


class StopCaptions(_Message, frozen=True):
    """What is being said is cut here, then nothing more."""


class Play(_Message, frozen=True):
    """Play the sound of ``path`` from ``start`` to ``end`` (None: its end), at once and instead of whatever
    is playing. ``sound`` is another file whose sound is played in its place. ``loudspeaker`` "" is the
    system's own. Position follows about 20 times a second, in seconds of the clip, then Played."""

    path: str
    sound: str = ""
    start: float = 0.0
    end: float | None = None
    loudspeaker: str = ""


class Seek(_Message, frozen=True):
    """Go on at ``seconds`` of the clip that is playing."""

    seconds: float


class StopPlaying(_Message, frozen=True):
    """Played follows, if something was playing."""


class Show(_Message, frozen=True):
    """The picture of ``path`` at ``seconds`` of the clip, as a Still; of several that wait only the last."""

    path: str
    seconds: float = 0.0


class Quit(_Message, frozen=True):
    """End recording and playing, close everything and end the process."""


Command = (
    LookForDevices
    | OpenDevices
    | CloseDevices
    | SetOffset
    | SetPlace
    | StartRecording
    | StopRecording
    | StartCaptions
    | StopCaptions
    | Play
    | Seek
    | StopPlaying
    | Show
    | Quit
)


# Reports


class _Report(_Message, frozen=True, kw_only=True):
    light: Light = Light()


class Ready(_Report, frozen=True):
    """The first report."""

    pid: int
    protocol: int = CAPTURE_PROTOCOL


class Devices(_Report, frozen=True):
    """``sound_problem`` says in a sentence why there can be neither microphone nor loudspeaker."""

    cameras: list[Device]
    microphones: list[Device]
    loudspeakers: list[Device]
    sound_problem: str = ""


class Opened(_Report, frozen=True):
    """What is open now: ids, "" where nothing is. ``fps`` is what the camera says of itself; ``began`` the
    monotonic time of its first picture. ``rate`` in Hz."""

    camera: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    began: float = 0.0
    microphone: str = ""
    rate: int = 0
    channels: int = 0


class Level(_Report, frozen=True):
    """About 20 times a second while a microphone is open: loudness since the last one.

    ``rms`` and ``peak`` are at least -120. ``clipped``: samples at full scale within the last second.
    ``muted``: a second of digital silence. ``dead``: a second without any sound block. ``warning`` says
    the last three in a sentence, else "".
    """

    rms: float
    peak: float
    clipped: bool = False
    muted: bool = False
    dead: bool = False
    warning: str = ""


class Preview(_Report, frozen=True):
    """About 15 times a second while a camera is open.

    ``picture`` is a JPEG at most 480 wide, not mirrored. ``time`` its monotonic time. ``place`` is where the
    mouth is, in shares of the picture's width; ``mouth`` a PNG of 96x96 grey pixels cut there, b"" without.
    ``warning`` says in a sentence what stands in the way of reading lips (no face, turned away, dark), else
    "". ``fps`` is what the camera delivers.
    """

    picture: bytes
    width: int
    height: int
    time: float
    place: MouthPlace | None = None
    mouth: bytes = b""
    warning: str = ""
    fps: float = 0.0


class Recording(_Report, frozen=True):
    """About 4 times a second while a recording runs."""

    path: str
    seconds: float
    frames: int
    gaps: int
    bytes: int


class Recorded(_Report, frozen=True):
    """A recording has ended and plays. ``gaps``: places where the camera stood still for more than 80 ms.

    ``offset_ms`` is what was measured of a flash and a clap in it, 0.0 where there was none (``measured``
    says which): by so much the sound would have to come later to fit the pictures. It is in the sidecar
    beside the file, and reading the clip takes it into account. ``notes``: each a sentence.
    """

    path: str
    seconds: float
    frames: int
    gaps: int
    peak_dbfs: float
    offset_ms: float = 0.0
    measured: bool = False
    notes: list[str] = []


class Speaking(_Report, frozen=True):
    """While captions are on: somebody begins (True) or ceases (False) to speak."""

    speaking: bool


class Segment(_Report, frozen=True):
    """A stretch of speech as a clip of its own. ``start`` and ``end`` in seconds since captions began."""

    path: str
    start: float
    end: float


class Position(_Report, frozen=True):
    """Where the playing is. ``silent``: no loudspeaker; the position runs by the clock alone."""

    path: str
    seconds: float
    silent: bool = False


class Played(_Report, frozen=True):
    """The playing has ended at ``seconds``, at its end or because it was told to."""

    path: str
    seconds: float


class Still(_Report, frozen=True):
    """A picture of a clip: a JPEG at most 480 wide, b"" where there is none."""

    path: str
    seconds: float
    picture: bytes


class Trouble(_Report, frozen=True):
    """Something did not work, or works no more. What was open beside it stays open, unless the light says
    otherwise."""

    about: Part
    error: Error


Report = (
    Ready
    | Devices
    | Opened
    | Level
    | Preview
    | Recording
    | Recorded
    | Speaking
    | Segment
    | Position
    | Played
    | Still
    | Trouble
)
