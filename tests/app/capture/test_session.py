"""What is open, and what becomes of a recording when a device goes: kept, closed, and said."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy
import pytest

from app.capture.messages import (
    Device,
    Level,
    Light,
    Opened,
    Preview,
    Recorded,
    Recording,
    Report,
    SetPlace,
    Trouble,
)
from app.capture.portaudio import PortAudio
from app.capture.session import Session
from engine.formats.errors import StudioError
from engine.messages import MouthPlace
from tests.app.capture.fake_sound import FakeSound
from tests.engine.speech.drawn import head, record

EAR = Device(id="ALSA:Desk microphone", name="Desk microphone")


class Desk:
    """A session, and what it has told with its light at that moment."""

    def __init__(self) -> None:
        self.told: list[tuple[Report, Light]] = []
        self.session = Session(PortAudio(), lambda report: self.told.append((report, self.session.light)))

    def tick(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.session.tick()
            time.sleep(0.01)

    def until(self, kind: type, fits: Callable[[Any], bool] = lambda report: True) -> Any:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self.tick(0.02)
            found = [report for report, _ in self.told if isinstance(report, kind) and fits(report)]
            if found:
                return found[-1]
        raise AssertionError(f"no {kind.__name__}; {[type(report).__name__ for report, _ in self.told]}")


@pytest.fixture
def desk(sound: FakeSound) -> Iterator[Desk]:
    one = Desk()
    yield one
    one.session.close()


@pytest.fixture
def eye(flashing: Path) -> Device:
    return Device(id=f"file:{flashing}", name=flashing.name)


def test_the_light_is_on_while_anything_is_open(desk: Desk, eye: Device, tmp_path: Path) -> None:
    assert desk.session.light == Light()
    desk.session.open(eye, EAR)
    opened = desk.until(Opened)
    assert (opened.camera, opened.width, opened.rate) == (eye.id, 320, 48_000)
    desk.session.record(tmp_path / "a.mkv")
    desk.until(Recording, lambda report: report.frames > 5)
    levels = [light for report, light in desk.told if isinstance(report, Level | Preview | Recording)]
    assert levels and levels[-1] == Light(camera=True, microphone=True, recording=True)
    desk.session.close()
    assert desk.session.light == Light()
    recorded, light = next((report, light) for report, light in desk.told if isinstance(report, Recorded))
    assert light == Light(camera=True, microphone=True) and recorded.frames > 5


def test_previews_are_small_pictures_with_their_camera_s_rate(desk: Desk, eye: Device) -> None:
    desk.session.open(eye, None)
    desk.until(Preview, lambda report: report.warning)  # the camera has been open for a second
    previews = [report for report, _ in desk.told if isinstance(report, Preview)]
    assert len(previews) <= 15 * (previews[-1].time - previews[0].time) + 3
    assert previews[-1].picture.startswith(b"\xff\xd8") and (previews[-1].width, previews[-1].height) == (
        320,
        240,
    )
    assert previews[-1].fps == pytest.approx(30, abs=1)
    assert previews[-1].place is None and "no face" in previews[-1].warning.lower()


def test_an_unplugged_microphone_ends_the_recording_and_keeps_it(
    desk: Desk, eye: Device, sound: FakeSound, tmp_path: Path
) -> None:
    desk.session.open(eye, EAR)
    desk.until(Opened)
    desk.session.record(tmp_path / "a.mkv")
    desk.until(Recording, lambda report: report.frames > 5 and report.seconds > 0.3)
    sound.streams[-1].unplug()
    recorded = desk.until(Recorded)
    trouble = desk.until(Trouble)
    assert trouble.about == "microphone" and "not there any more" in trouble.error.message
    assert recorded.seconds > 0.3 and trouble.error.message in recorded.notes
    assert desk.session.light == Light(camera=True)
    with av.open(str(tmp_path / "a.mkv")) as file:
        assert sum(1 for _ in file.decode(video=0)) == recorded.frames
    facts = json.loads((tmp_path / "a.json").read_text())
    assert facts["complete"] and facts["notes"] == recorded.notes


def test_a_camera_that_goes_ends_the_recording_and_leaves_the_microphone(
    desk: Desk, eye: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.session.open(eye, EAR)
    desk.until(Opened)
    desk.session.record(tmp_path / "a.mkv")
    desk.until(Recording, lambda report: report.frames > 3)

    def gone(_: object) -> None:
        raise StudioError("missing", "The camera is not there any more.")

    monkeypatch.setattr("app.capture.camera.FileCamera.read", gone)
    assert desk.until(Trouble).about == "camera"
    assert desk.until(Recorded).frames > 3
    assert desk.session.light == Light(microphone=True)


def test_what_cannot_be_opened_is_said_and_the_rest_is_open(desk: Desk, tmp_path: Path) -> None:
    desk.session.open(Device(id=f"file:{tmp_path}/none.mkv", name="none.mkv"), EAR)
    assert "none.mkv cannot be shown" in desk.until(Trouble).error.message
    assert desk.until(Opened).microphone == EAR.id
    desk.session.open(None, Device(id="ALSA:Other", name="Other"))
    desk.until(Opened, lambda report: report == Opened())
    assert desk.session.light == Light()


def test_a_recording_without_a_camera_or_without_a_microphone(
    desk: Desk, eye: Device, tmp_path: Path
) -> None:
    for number, (camera, microphone) in enumerate([(None, EAR), (eye, None)]):
        desk.told.clear()
        desk.session.open(camera, microphone)
        desk.until(Opened)
        desk.session.record(tmp_path / f"{number}.mkv", 0.5)
        recorded = desk.until(Recorded)
        assert recorded.seconds == pytest.approx(0.5, abs=0.04)
        with av.open(recorded.path) as file:
            assert [stream.type for stream in file.streams] == ["video" if camera else "audio"]


def test_what_cannot_be_recorded_is_refused(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="Nothing is open"):
        desk.session.record(tmp_path / "a.mkv")
    desk.session.open(None, EAR)
    with pytest.raises(StudioError, match="no name for a recording"):
        desk.session.record(tmp_path / "a.wav")
    (tmp_path / "a.mkv").touch()
    with pytest.raises(StudioError, match="exists already"):
        desk.session.record(tmp_path / "a.mkv")
    assert not desk.session.light.recording and not (tmp_path / "a.json").exists()
    (tmp_path / "mine.json").write_text("mine")
    with pytest.raises(StudioError, match=r"mine\.json exists already"):
        desk.session.record(tmp_path / "mine.mkv")
    assert (tmp_path / "mine.json").read_text() == "mine" and not (tmp_path / "mine.mkv").exists()
    with pytest.raises(StudioError, match=r"folder|refused"):
        desk.session.record(tmp_path / "none" / "a.mkv")
    desk.session.record(tmp_path / "b.mkv")
    with pytest.raises(StudioError, match="running already"):
        desk.session.record(tmp_path / "c.mkv")


def test_the_offset_moves_pictures_against_the_sound(desk: Desk, eye: Device, tmp_path: Path) -> None:
    desk.session.open(eye, EAR)
    desk.until(Opened)
    desk.session.set_offset(10_000)
    desk.session.record(tmp_path / "a.mkv", 0.8)
    recorded = desk.until(Recorded)
    facts = json.loads((tmp_path / "a.json").read_text())
    assert facts["applied_ms"] == 300 and facts["offset_ms"] == 0.0
    # What was seen in the 0.3 s before the beginning is gone, what was seen in those after the end is there.
    assert recorded.frames == pytest.approx(24, abs=2)
    assert recorded.seconds == pytest.approx(0.8, abs=0.001)


def test_captions_need_a_microphone(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="need a microphone"):
        desk.session.start_captions(tmp_path)


def test_a_preview_shows_where_the_mouth_is(desk: Desk, tmp_path: Path) -> None:
    drawn, (x, y) = head(320, 240, 110)
    record(tmp_path / "face.mkv", [number / 30 for number in range(60)], [drawn] * 60)
    desk.session.open(Device(id=f"file:{tmp_path}/face.mkv", name="face.mkv"), None)
    found = desk.until(Preview, lambda report: report.place)
    assert found.place.x == pytest.approx(x / 640, abs=0.03) and found.place.y == pytest.approx(
        y / 640, abs=0.03
    )
    assert (found.width, found.height) == (480, 360)
    mouth = cv2.imdecode(numpy.frombuffer(found.mouth, numpy.uint8), cv2.IMREAD_UNCHANGED)
    assert mouth.shape == (96, 96)
    desk.session.set_place(SetPlace(place=MouthPlace(x=0.25, y=0.3, side=0.1)))
    desk.until(Preview, lambda report: report.place and abs(report.place.x - 0.25) < 0.02)
