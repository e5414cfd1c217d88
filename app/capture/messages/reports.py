"""What the capture process says: which devices there are, what they see and hear, what became of it."""

from __future__ import annotations

import msgspec

from app.capture.messages.common import CAPTURE_PROTOCOL, Device, Light, Message, Part
from engine.messages import Error, MouthPlace

__all__ = [
    "Devices",
    "Level",
    "Opened",
    "Played",
    "Position",
    "Preview",
    "Ready",
    "Recorded",
    "Recording",
    "Report",
    "Segment",
    "Speaking",
    "Still",
    "Trouble",
]


class _Report(Message, frozen=True, kw_only=True):
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
    notes: list[str] = msgspec.field(default_factory=list)


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
    """The playing has ended at ``seconds``, at its end or because it was told to; not where another Play came
    in its place."""

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
