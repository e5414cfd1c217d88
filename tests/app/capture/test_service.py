"""The whole process, with a virtual microphone and a video file as its camera, as the window drives it."""

import fcntl
import itertools
import json
import queue
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import IO

import av
import numpy
import psutil
import pytest

from app.capture.frames import frame
from app.capture.messages import (
    CAPTURE_PROTOCOL,
    CloseDevices,
    Devices,
    Level,
    LookForDevices,
    OpenDevices,
    Opened,
    Play,
    Played,
    Position,
    Quit,
    Ready,
    Recorded,
    Recording,
    Report,
    Segment,
    Speaking,
    StartCaptions,
    StartRecording,
    StopRecording,
    Trouble,
)
from app.capture.service import Service
from tests.app.capture.conftest import Capture
from tests.app.capture.fake_sound import FakeSound
from tests.app.capture.test_phrases import RATE as SPOKEN_RATE
from tests.app.capture.test_phrases import room, speech

pytestmark = pytest.mark.alone

CLAPPER = Path(__file__).with_name("clapper.py")
PULSE = "ALSA:pulse"


def clapping(pulse: dict[str, str], first: float, count: int) -> subprocess.Popen[bytes]:
    """Clicks every two seconds, from the monotonic time ``first`` on, and silence between."""
    command = [sys.executable, str(CLAPPER), str(first), "2", str(count)]
    return subprocess.Popen(command, env={**pulse, "PULSE_SINK": "vmic"}, stderr=subprocess.DEVNULL)


def claps_after_flashes(path: Path) -> numpy.ndarray:
    """[n, 2]: when each click of the file is, and by how much it is later than its flash, in seconds."""
    with av.open(str(path)) as file:
        blocks = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
    with av.open(str(path)) as file:
        shown = [
            (float(frame.time), frame.to_ndarray(format="gray")[::8, ::8].mean())
            for frame in file.decode(video=0)
        ]
    flashes = [after[0] for before, after in itertools.pairwise(shown) if after[1] - before[1] > 60]
    loud = numpy.flatnonzero(numpy.abs(numpy.concatenate(blocks)) > 0.3 * 32768)
    clicks = loud[numpy.r_[True, numpy.diff(loud) > 24_000]] / 48_000
    near = [(click, click - min(flashes, key=lambda flash: abs(flash - click))) for click in clicks]
    return numpy.array([(click, late) for click, late in near if abs(late) < 0.5])


def record_claps(
    capture: Capture, pulse: dict[str, str], flashing: Path, out: Path, seconds: float
) -> Recorded:
    """A recording of flashes of the file and of clicks that sound at the same moments."""
    capture.wait(Devices)
    capture.send(OpenDevices(camera=f"file:{flashing}", microphone=PULSE))
    opened = capture.wait(Opened)
    clapper = clapping(pulse, opened.began + 1, round(seconds / 2) + 4)
    try:
        while not capture.wait(Level).rms > -100:  # the clapper has begun
            pass
        time.sleep(1.2)
        capture.send(StartRecording(path=str(out)))
        while capture.wait(Recording).seconds < seconds:
            pass
        capture.send(StopRecording())
        return capture.wait(Recorded)
    finally:
        clapper.kill()
        clapper.wait()


def test_a_flash_and_a_clap_are_recorded_together(
    capture: Capture, pulse: dict[str, str], flashing: Path, tmp_path: Path
) -> None:
    out = tmp_path / "clap.mkv"
    assert capture.wait(Ready).protocol == CAPTURE_PROTOCOL
    recorded = record_claps(capture, pulse, flashing, out, 6.5)
    apart = claps_after_flashes(out)[:, 1]
    # The clicking program is late itself now and then.
    assert len(apart) >= 3 and numpy.median(numpy.abs(apart)) < 0.04, apart
    assert recorded.measured and recorded.offset_ms / 1000 == pytest.approx(-numpy.median(apart), abs=0.003)
    assert recorded.frames == pytest.approx(30 * recorded.seconds, abs=4) and recorded.gaps == 0
    assert recorded.peak_dbfs == pytest.approx(-1.9, abs=0.5)

    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["complete"] and facts["offset_measured"] and facts["microphone"]["rate"] == 48_000
    assert abs(facts["clock"]["ppm"]) < 500 and facts["clock"]["lost_samples"] == 0
    with av.open(str(out)) as file:
        sound, video = file.streams.audio[0], file.streams.video[0]
        assert (sound.codec_context.name, sound.rate, video.codec_context.name) == ("flac", 48_000, "h264")
        assert file.duration / av.time_base == pytest.approx(recorded.seconds, abs=0.2)

    lights = [report.light for report in capture.all if isinstance(report, Recording)]
    assert all(light.camera and light.microphone and light.recording for light in lights)
    capture.send(CloseDevices())
    assert capture.wait(Opened) == Opened()
    capture.send(Quit())
    assert capture.process.wait(60) == 0


def test_what_is_said_becomes_clips_soon_after_the_pause(
    capture: Capture, pulse: dict[str, str], flashing: Path, tmp_path: Path
) -> None:
    said = numpy.concatenate([room(1.0), speech(0.8), room(0.7), speech(0.6), room(1.2)])
    capture.send(
        OpenDevices(camera=f"file:{flashing}", microphone=PULSE), StartCaptions(folder=str(tmp_path / "live"))
    )
    capture.wait(Opened)
    player = subprocess.Popen(
        ["pacat", f"--rate={SPOKEN_RATE}", "--channels=1", "--format=float32le", "--latency-msec=50"],
        env={**pulse, "PULSE_SINK": "vmic"},
        stdin=subprocess.PIPE,
    )
    assert player.stdin is not None
    with player.stdin:
        player.stdin.write(said.tobytes())
    delays = []
    segments = []
    for _ in range(2):
        while not capture.wait(Speaking).speaking:
            pass
        while capture.wait(Speaking).speaking:
            pass
        ceased = time.monotonic()
        segments.append(capture.wait(Segment))
        delays.append(time.monotonic() - ceased)
    player.wait()
    lengths = [segment.end - segment.start for segment in segments]
    assert lengths == pytest.approx([0.8, 0.6], abs=0.15)
    assert segments[1].start - segments[0].start == pytest.approx(1.5, abs=0.1)
    assert min(delays) < 0.15, delays  # on top of the 0.35 s that a pause has to last
    for segment, seconds in zip(segments, (0.8, 0.6), strict=True):
        with av.open(segment.path) as file:
            assert {stream.type for stream in file.streams} == {"audio", "video"}
            assert seconds < file.duration / av.time_base < seconds + 1.2


def test_the_window_s_end_keeps_the_recording_and_leaves_nothing_running(
    capture: Capture, flashing: Path, tmp_path: Path
) -> None:
    capture.send(OpenDevices(camera=f"file:{flashing}", microphone=PULSE))
    capture.wait(Opened)
    capture.send(StartRecording(path=str(tmp_path / "a.mkv")))
    while capture.wait(Recording).frames < 10:
        pass
    assert capture.end() == 0
    facts = json.loads((tmp_path / "a.json").read_text())
    assert facts["complete"] and facts["frames"] >= 10


def unread(pipe: IO[bytes]) -> int:
    """Bytes that wait in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_a_window_that_reads_nothing_does_not_make_it_grow(pulse: dict[str, str], flashing: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "app.capture"], env=pulse, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(frame(OpenDevices(camera=f"file:{flashing}", microphone=PULSE)))
        process.stdin.flush()
        held = 0
        while not (unread(process.stdout) == held > 0):
            held = unread(process.stdout)
            time.sleep(0.5)
        memory = psutil.Process(process.pid).memory_info().rss
        time.sleep(1.0)
        assert psutil.Process(process.pid).memory_info().rss - memory < 8 << 20
        process.stdin.close()
        process.stdout.close()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_a_clip_is_played_and_what_is_wrong_is_said(capture: Capture, flashing: Path, tmp_path: Path) -> None:
    capture.send(StartRecording(path=str(tmp_path / "a.mkv")))
    trouble = capture.wait(Trouble)
    assert (trouble.about, trouble.error.code) == ("recording", "usage")
    capture.send(Play(path=str(tmp_path / "none.mkv")))
    assert capture.wait(Played).path == str(tmp_path / "none.mkv")
    assert capture.wait(Trouble).about == "loudspeaker"
    capture.send(Play(path=str(flashing), start=2.0))
    capture.wait(Position)
    capture.send(Play(path=str(flashing), start=9.5))  # in the place of the first, whose end is not told
    while capture.wait(Position).seconds < 9:
        pass
    assert Played not in map(type, capture.all[-3:])
    capture.send(Play(path=str(flashing), start=9.5))
    position = capture.wait(Position)
    assert 9.4 < position.seconds < 10 and not position.silent
    assert capture.wait(Played).seconds == pytest.approx(10, abs=0.1)


def test_what_is_plugged_in_is_told_but_not_looked_for_while_sound_is_open(
    sound: FakeSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards, told = ["one"], queue.SimpleQueue[Report]()
    monkeypatch.setattr("app.capture.service.LOOK_EVERY", 0.05)
    monkeypatch.setattr("app.capture.service.devices.sound_cards", lambda: tuple(cards))
    service = Service(told.put)

    def names() -> list[str]:
        while not isinstance(report := told.get(timeout=30), Devices):
            pass
        return [device.name for device in report.microphones]

    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        assert names() == ["Desk microphone"]
        service.inbox.put(OpenDevices(microphone="ALSA:Desk microphone"))
        while not isinstance(told.get(timeout=30), Opened):
            pass
        sound.inputs.append("Headset")
        cards.append("two")
        time.sleep(0.3)
        assert sound.looks == 0
        service.inbox.put(CloseDevices())
        assert names() == ["Desk microphone", "Headset"] and sound.looks == 1
        service.inbox.put(LookForDevices())
        assert names() == ["Desk microphone", "Headset"] and sound.looks == 2
    finally:
        service.inbox.put(Quit())
        thread.join()


@pytest.mark.study
@pytest.mark.timeout(1500)
def test_twenty_minutes_neither_drift_nor_grow(
    capture: Capture, pulse: dict[str, str], flashing: Path, tmp_path: Path
) -> None:
    process = psutil.Process(capture.process.pid)
    out = tmp_path / "long.mkv"
    recorded = record_claps(capture, pulse, flashing, out, 1200.0)
    memory = process.memory_info().rss
    apart = claps_after_flashes(out)
    minutes = [apart[apart[:, 0] // 60 == minute][:, 1] for minute in range(20)]
    medians = [1000 * float(numpy.median(late)) for late in minutes]
    print("\nms apart, each minute's median:", *(f"{median:.1f}" for median in medians))
    print(f"{len(apart)} claps, {100 * numpy.mean(numpy.abs(apart[:, 1]) < 0.04):.1f} % of them within 40 ms")
    print(f"{memory >> 20} MiB at the end", recorded)
    assert max(map(abs, medians)) < 40
    assert memory < 200 << 20
