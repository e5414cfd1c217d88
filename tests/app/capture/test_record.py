"""`python -P -m app.capture record`: one JSON line, whatever happens."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import pytest

from app.capture.record import record
from tests.app.capture.fake_sound import FakeSound

RECORD = [sys.executable, "-P", "-m", "app.capture", "record"]


def test_a_clip_of_so_many_seconds(pulse: dict[str, str], flashing: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mkv"
    options = ["--seconds", "1.5", "--out", str(out), "--camera", f"file:{flashing}", "--microphone", "pulse"]
    done = subprocess.run([*RECORD, *options], env=pulse, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    facts = json.loads(done.stdout)
    assert set(facts) == {"path", "seconds", "frames", "gaps", "peak_dbfs", "offset_ms", "notes"}
    assert facts["path"] == str(out) and facts["seconds"] == pytest.approx(1.5, abs=0.001)
    assert facts["frames"] == pytest.approx(45, abs=2)
    with av.open(str(out)) as file:
        assert {stream.type for stream in file.streams} == {"audio", "video"}


def test_ctrl_c_ends_it_early_and_keeps_it(flashing: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mkv"
    options = ["--seconds", "60", "--out", str(out), "--camera", f"file:{flashing}", "--microphone", "none"]
    process = subprocess.Popen(
        [*RECORD, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    while not out.exists():
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    facts = json.loads(said)
    assert process.returncode == 0 and 0.1 < facts["seconds"] < 50
    assert "The recording was ended early." in facts["notes"]
    with av.open(str(out)) as file:
        assert sum(1 for _ in file.decode(video=0)) == facts["frames"]


@pytest.mark.parametrize(
    ("seconds", "camera", "microphone", "code", "error", "said"),
    [
        (0, "", "", 2, "usage", "length above 0"),
        (float("nan"), "", "", 2, "usage", "length above 0"),
        (1, "none", "none", 1, "missing", "Neither"),
        (1, "none", "", 1, "missing", "There is no microphone"),
        (1, "none", "Headset", 1, "missing", "“Headset”"),
        (1, "Webcam", "none", 1, "missing", "“Webcam”"),
        (1, "file:none.mkv", "none", 1, "data", "none.mkv cannot"),
    ],
)
def test_what_cannot_be_recorded_is_a_sentence_and_an_exit_code(
    sound: FakeSound,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    seconds: float,
    camera: str,
    microphone: str,
    code: int,
    error: str,
    said: str,
) -> None:
    sound.inputs = []
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert record(seconds, tmp_path / "clip.mkv", camera, microphone) == code
    facts = json.loads(capsys.readouterr().out)["error"]
    assert facts["code"] == error and said in facts["message"] and facts["hint"]
    assert not list(tmp_path.iterdir())
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_microphone_unplugged_on_the_way_fails_and_says_what_is_kept(
    sound: FakeSound, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def unplug() -> None:
        while not (tmp_path / "clip.mkv").exists():
            time.sleep(0.02)
        said = len(sound.streams[-1].said)
        while len(sound.streams[-1].said) < said + 40:
            time.sleep(0.02)
        sound.streams[-1].unplug()

    thread = threading.Thread(target=unplug)
    thread.start()
    assert record(60, tmp_path / "clip", "none", "") == 1
    thread.join()
    facts = json.loads(capsys.readouterr().out)["error"]
    assert "not there any more" in facts["message"] and "s are kept in" in facts["hint"]
    with av.open(str(tmp_path / "clip.mkv")) as file:
        assert sum(frame.samples for frame in file.decode(audio=0)) > 4800
