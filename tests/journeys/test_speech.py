# ruff: noqa: F811  # a fixture of another room is asked for by its name
"""Recording, playing and transcribing in the real window, on a machine with neither camera nor microphone.

A null sink that plays generated speech is the microphone, a video file in real time is the camera.
"""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import av
import pytest

from tests.app.capture.conftest import pulse  # noqa: F401
from tests.engine.speech.drawn import head, record

pytestmark = [pytest.mark.alone, pytest.mark.display]

STARTER = Path(__file__).resolve().parents[2] / "resources" / "starter" / "speech"
MICROPHONE = "ALSA:pulse"
SECONDS = 2.5
EAR = "page.transcripts.state.column('audio')"


@pytest.fixture
def face(tmp_path):
    """Six seconds of a drawn head that opens and shuts its mouth."""
    path = tmp_path / "face.mkv"
    pictures = [head(320, 240, 130, 4 + 9 * (number // 3 % 3))[0] for number in range(150)]
    record(path, [number / 25 for number in range(150)], pictures)
    return path


@pytest.fixture
def voice(pulse, tmp_path):
    """Somebody speaks into the microphone, again and again."""
    spoken = tmp_path / "spoken.wav"
    words = "bin blue at a two now. " * 30
    subprocess.run(["espeak-ng", "-w", str(spoken), words], check=True, timeout=60)
    with wave.open(str(spoken)) as file:
        rate, sound = file.getframerate(), file.readframes(file.getnframes())
    (tmp_path / "spoken.raw").write_bytes(sound)
    play = ["pacat", f"--rate={rate}", "--channels=1", "--format=s16le", str(tmp_path / "spoken.raw")]
    player = subprocess.Popen(play, env={**pulse, "PULSE_SINK": "vmic"}, stderr=subprocess.DEVNULL)
    yield
    player.kill()
    player.wait()


@pytest.fixture
def whisper(tmp_path):
    """A Whisper of random weights in the home: it hears something, and always the same."""
    from tests.engine.speech.tiny import write_whisper

    folder = tmp_path / "home" / "speech" / "tiny-whisper"
    folder.mkdir(parents=True)
    return write_whisper(folder).name


def streams(path):
    """What FFmpeg sees in a file: {kind: codec} and its seconds."""
    with av.open(str(path)) as file:
        kinds = {stream.type: stream.codec_context.name for stream in file.streams}
        return kinds, file.duration / av.time_base


def test_a_recording_by_keyboard_is_looked_into_played_and_transcribed(
    open_window,
    pulse,
    voice,
    face,
    whisper,
):
    window = open_window(pulse)
    window.click("go-speech")
    window.until("page.objectName() == 'speech' and page.capture.state.known")
    window.look(f"page.capture.choose_camera('file:{face}')")
    window.look(f"page.capture.choose_microphone({MICROPHONE!r})")
    window.until(f"{whisper!r} in page.models.cards")
    window.look(f"page.models.choose({whisper!r})")
    window.until(f"page.transcripts.card is not None and page.transcripts.card.name == {whisper!r}")
    assert not window.look("page.booth.light.is_lit"), "nothing is open before somebody wants it"

    window.key("F6", "F6")  # from the rail over the title row into the page
    window.until("focus() == 'speech.record'")
    window.key("space")
    window.until(f"page.capture.state.recording and page.capture.state.seconds > {SECONDS}")
    assert window.look("page.booth.light.words").startswith("Recording 0:0")
    assert window.look("page.booth.camera.has_picture and page.booth.mouth.has_mouth")
    assert window.look("page.booth.meter.value()") > -50, "the voice is heard"
    window.key("space")
    window.until("page.clips.state.item is not None and page.clips.state.card is not None")
    assert window.look("page.booth.light.words") == "Camera, microphone on"

    path = window.look("page.clips.state.current")
    kinds, seconds = streams(path)
    assert kinds == {"video": "h264", "audio": "flac"} and SECONDS < seconds < SECONDS + 3
    card = "page.clips.state.card"
    assert window.look(f"{card}.sound and {card}.pictures and {card}.face_found and len({card}.speech) > 0")
    assert window.look(f"{card}.seconds") == pytest.approx(seconds, abs=0.1)

    window.until(f"{EAR}.transcript is not None")
    window.look("setattr(shell, 'told', [])")
    window.look(
        f"shell.client.ask(messages.Transcribe(model={whisper!r}, clip={path!r}, mode='audio'),"
        " shell.told.append)"
    )
    window.until("len(shell.told) == 1")
    assert window.look(f"{EAR}.transcript.text == shell.told[0].text and {EAR}.transcript.speech")

    window.key("ctrl+p")
    window.until("page.playback.state.playing and page.playback.state.seconds > 0.3")
    wave_ = "page.desk.player.wave"
    window.press(window.look(f"point('speech.position', {wave_}.x_of({SECONDS - 0.5}), 20)"))
    window.until(f"page.playback.state.seconds >= {SECONDS - 0.6}")

    window.key("ctrl+4")
    window.until("page.objectName() == 'ranks'")
    window.until("shell.pages['speech'].capture.process.pid == 0")
    assert not window.look("shell.pages['speech'].booth.light.is_lit")


@pytest.mark.skipif(not (STARTER / "model").is_dir(), reason="the speech starter model is not built yet")
def test_an_example_is_opened_by_mouse_and_understood_by_ear_eye_and_both(window):
    window.click("go-speech")
    window.until("page.objectName() == 'speech' and len(page.clips.state.clips) > 0")
    window.click("speech.empty-button")
    window.until("page.clips.state.card is not None")
    window.click("speech.transcribe")
    done = "all(page.transcripts.state.column(mode).transcript for mode in ('audio', 'video', 'both'))"
    window.until(done)
    assert window.look("page.transcripts.state.column('audio').transcript.wer") <= 0.2
    assert window.look("page.transcripts.state.column('both').transcript.wer") <= 0.2
    window.click("speech.play")
    window.until("page.playback.state.seconds > 0.3")
