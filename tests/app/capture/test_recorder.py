"""Files that play whenever the writing stops: at the end, at a kill, on a full disk."""

import itertools
import subprocess
import sys
from pathlib import Path

import av
import numpy
import pytest

from app.capture.recorder import Recorder
from engine.formats.errors import StudioError
from engine.speech.video import read_recording

RATE = 48_000
TONE = (0.5 * numpy.sin(numpy.arange(RATE) * 2 * numpy.pi * 440 / RATE)).astype(numpy.float32)


def picture(number: int) -> numpy.ndarray:
    return numpy.full((48, 64, 3), 40 + number % 150, numpy.uint8)


def written(path: Path, times: list[float], seconds: int = 2, **options: float) -> Recorder:
    recorder = Recorder(path, RATE, (64, 48), 30.0, **options)
    for number in range(seconds * 10):
        recorder.hear(TONE[number % 10 * 4800 : (number % 10 + 1) * 4800])
        for at, time_ in enumerate(times):
            if number <= time_ * 10 < number + 1:
                recorder.see(time_, picture(at))
    recorder.close()
    recorder.join()
    return recorder


def streams(path: Path) -> tuple[numpy.ndarray, list[float]]:
    """The sound, and the times of the pictures."""
    with av.open(str(path)) as file:
        sound = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
    with av.open(str(path)) as file:
        times = [float(frame.time) for frame in file.decode(video=0)]
    return numpy.concatenate(sound) / 32768, times


def test_sound_is_exact_and_pictures_keep_their_times(tmp_path: Path) -> None:
    times = [0.0, 0.033, 0.067, 0.2, 0.25, 1.0, 1.9]
    recorder = written(tmp_path / "a.mkv", times)
    assert recorder.trouble is None
    sound, kept = streams(tmp_path / "a.mkv")
    assert len(sound) == 2 * RATE
    assert numpy.abs(sound[:RATE] - TONE).max() < 1e-4
    assert kept == pytest.approx(times, abs=6e-4)
    assert (recorder.frames, recorder.gaps, recorder.seconds) == (7, 3, 2.0)
    assert recorder.peak_dbfs == pytest.approx(-6.02, abs=0.01)
    assert recorder.bytes == (tmp_path / "a.mkv").stat().st_size
    with av.open(str(tmp_path / "a.mkv")) as file:
        assert [stream.codec_context.name for stream in file.streams] == ["flac", "h264"]
        assert file.duration / av.time_base == pytest.approx(2.0, abs=0.1)


def test_nothing_is_kept_beyond_the_end_nor_before_the_beginning(tmp_path: Path) -> None:
    written(tmp_path / "a.mkv", [-0.2, 0.1, 0.4, 0.6, 1.5], until=0.5)
    sound, kept = streams(tmp_path / "a.mkv")
    assert len(sound) == RATE // 2 and kept == pytest.approx([0.1, 0.4], abs=6e-4)


def test_the_file_is_what_the_reader_of_clips_expects(tmp_path: Path) -> None:
    written(tmp_path / "a.mkv", [number / 15 for number in range(30)])
    recording = read_recording(tmp_path / "a.mkv")
    assert recording.sound is not None and len(recording.sound) == pytest.approx(32_000, abs=20)


def test_a_file_that_exists_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_bytes(b"mine")
    with pytest.raises(StudioError, match="exists already"):
        Recorder(tmp_path / "a.mkv", RATE, None)
    assert (tmp_path / "a.mkv").read_bytes() == b"mine"
    with pytest.raises(StudioError) as caught:
        Recorder(tmp_path / "none" / "a.mkv", RATE, None)
    assert caught.value.code == "disk"


def test_a_full_disk_ends_it_with_a_sentence_and_keeps_what_fits(tmp_path: Path) -> None:
    code = f"""
import resource, signal
import numpy
from tests.app.capture.test_recorder import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
noise = numpy.random.default_rng(0).uniform(-1, 1, RATE).astype(numpy.float32)
recorder = Recorder(Path({str(tmp_path / "a.mkv")!r}), RATE, (64, 48), 30.0)
for number in range(50):
    recorder.hear(noise[:4800])
    recorder.see(number / 10, picture(number))
recorder.close()
recorder.join()
print(recorder.trouble.code, recorder.trouble.message, recorder.trouble.detail)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("disk The system refused while writing the recording")
    assert "File too large" in done.stdout  # what a limit says where a full disk says that it is full
    sound, times = streams(tmp_path / "a.mkv")
    assert len(sound) > RATE // 2 and len(times) > 5


def test_a_kill_leaves_a_file_that_plays_up_to_the_last_second(tmp_path: Path) -> None:
    code = f"""
import time
from tests.app.capture.test_recorder import *
recorder = Recorder(Path({str(tmp_path / "a.mkv")!r}), RATE, (64, 48), 30.0)
began = time.monotonic()
for number in range(10_000):
    recorder.hear(TONE[number % 10 * 4800 : (number % 10 + 1) * 4800])
    for third in range(3):
        recorder.see(number / 10 + third / 30, picture(3 * number + third))
    print(number / 10, flush=True)
    time.sleep(max(0, began + number / 10 - time.monotonic()))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if float(line) >= 2.3:
            process.kill()
            break
    process.wait()
    process.stdout.close()
    sound, times = streams(tmp_path / "a.mkv")
    assert len(sound) / RATE > 1.2 and times[-1] > 1.2
    assert max(after - before for before, after in itertools.pairwise(times)) < 0.05
    assert numpy.abs(sound[:RATE] - TONE).max() < 1e-4
