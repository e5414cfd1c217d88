"""What the window tells the capture process to do."""

from __future__ import annotations

from app.capture.messages.common import Message
from engine.messages import MouthPlace

__all__ = [
    "CloseDevices",
    "Command",
    "LookForDevices",
    "OpenDevices",
    "Play",
    "Quit",
    "Seek",
    "SetOffset",
    "SetPlace",
    "Show",
    "StartCaptions",
    "StartRecording",
    "StopCaptions",
    "StopPlaying",
    "StopRecording",
]


class LookForDevices(Message, frozen=True):
    """Look again now. Devices follows, whether or not something changed. While sound is open, microphones
    and loudspeakers are those known when it was opened: PortAudio cannot look again before."""


class OpenDevices(Message, frozen=True):
    """Open these and close all others. "" leaves a kind shut. A ``camera`` "file:PATH" is a video file."""

    camera: str = ""
    microphone: str = ""


class CloseDevices(Message, frozen=True):
    """Close camera and microphone; a recording is ended and kept. Opened, with neither, follows."""


class SetOffset(Message, frozen=True):
    """Move the sound of recordings by so much against the pictures (later where positive), -300 to 300."""

    milliseconds: float


class SetPlace(Message, frozen=True):
    """Where a person says that the mouth is in the preview; None: a face is searched."""

    place: MouthPlace | None = None


class StartRecording(Message, frozen=True):
    """Record what is open into ``path``, a .mkv file that does not exist yet, until StopRecording."""

    path: str


class StopRecording(Message, frozen=True):
    """End the recording and keep it."""


class StartCaptions(Message, frozen=True):
    """Cut what is said at its pauses into clips in ``folder``, each told by a Segment, until StopCaptions."""

    folder: str


class StopCaptions(Message, frozen=True):
    """What is being said is cut here, then nothing more."""


class Play(Message, frozen=True):
    """Play the sound of ``path`` from ``start`` to ``end`` (None: its end), at once and instead of whatever
    is playing. ``sound`` is another file whose sound is played in its place. ``loudspeaker`` "" is the
    system's own. Position follows about 20 times a second, in seconds of the clip, then Played; where
    it cannot be played at all, Played and Trouble."""

    path: str
    sound: str = ""
    start: float = 0.0
    end: float | None = None
    loudspeaker: str = ""


class Seek(Message, frozen=True):
    """Go on at ``seconds`` of the clip that is playing."""

    seconds: float


class StopPlaying(Message, frozen=True):
    """Played follows, if something was playing."""


class Show(Message, frozen=True):
    """The picture of ``path`` at ``seconds`` of the clip, as a Still; of several that wait only the last."""

    path: str
    seconds: float = 0.0


class Quit(Message, frozen=True):
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
