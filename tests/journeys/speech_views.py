"""The speech page as pictures: first visit, a recording, a clip and what was understood of it, captions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from driver import Window

NOISE = -5.0
MODES = ("audio", "video", "both")
DONE = f"all(page.transcripts.state.column(mode).transcript for mode in {MODES!r})"


def photograph(window: Window, face: Path, take: Callable[[str], None]) -> None:
    """``take(name)`` is called in each state; the page is in front and has not been visited before. ``face``
    is the video that stands for the camera."""
    window.until("page.capture.state.known and page.clips.state.folder != ''")
    take("speech-first")
    recording(window, face, take)
    if window.look("page.transcripts.card is not None"):
        compare(window, take)


def recording(window: Window, face: Path, take: Callable[[str], None]) -> None:
    """The red light, the mouth box found and by hand, then the clip on the shelf."""
    window.look(f"page.capture.choose_camera('file:{face}')")
    window.look("page.capture.record()")
    window.until("page.capture.state.seconds > 1.5 and page.booth.mouth.has_mouth")
    take("speech-recording")
    window.look("page.capture.set_place(messages.MouthPlace(x=0.5, y=0.56, side=0.2))")
    window.pause(0.5)
    take("speech-by-hand")
    window.look("page.capture.stop()")
    window.until("page.clips.state.card is not None")
    window.look("page.capture.close()")
    window.until("not page.capture.state.open and page.view.picture != b''")
    take("speech-clip")


WINDOWS = {"speech-captions": "speech.captions"}
"""What is a window of its own, and is taken alone: its objectName."""


def compare(window: Window, take: Callable[[str], None]) -> None:
    """An example, understood clean and in noise; the picture of errors; captions."""
    if window.look("any(clip.origin == 'example' for clip in page.clips.state.clips)"):
        window.look("page._open_example()")
        window.until("page.clips.state.card is not None")
    window.look("page.transcripts.transcribe()")
    window.until(DONE)
    take("speech")
    window.look(f"page.transcripts.set_noise({NOISE})")
    window.until(f"{DONE} and not page.transcripts.state.is_asking")
    window.look("page.transcripts.measure()")
    window.until("not page.transcripts.curve.is_open", 240)
    window.look("page.playback.seek(0.8)")
    window.pause(0.5)
    take("speech-noise")
    window.look("page.desk.live.present()")
    window.pause(1.0)
    take("speech-captions")
    window.look("named('speech.captions').close()")
