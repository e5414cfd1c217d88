"""A camera's pictures with their times: a file in real time, and a device with its troubles."""

import time
from pathlib import Path

import cv2
import numpy
import pytest

from app.capture.camera import FileCamera, LiveCamera, open_camera
from engine.formats.errors import StudioError

PICTURE = numpy.full((48, 64, 3), 99, numpy.uint8)


class Driver:
    """What stands in for cv2.VideoCapture: gives ``pictures`` pictures and then none."""

    pictures = 50
    opens = True
    own_clock = False

    def __init__(self, *_: object) -> None:
        self.given, self.released, self.set_to = 0, False, dict[int, float]()
        Driver.last = self

    def isOpened(self) -> bool:
        return self.opens

    def set(self, key: int, value: float) -> None:
        self.set_to[key] = value

    def get(self, key: int) -> float:
        if key == cv2.CAP_PROP_POS_MSEC:
            return (time.monotonic() - 0.03) * 1000 if self.own_clock else 0.0
        return 30.0

    def grab(self) -> bool:
        self.given += 1
        return self.given <= self.pictures

    def retrieve(self) -> tuple[bool, numpy.ndarray]:
        return True, PICTURE

    def release(self) -> None:
        self.released = True


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> type[Driver]:
    class Fresh(Driver):
        pass

    monkeypatch.setattr("app.capture.camera.cv2.VideoCapture", Fresh)
    monkeypatch.setattr("app.capture.camera.PATIENCE", 0.1)
    return Fresh


def test_a_camera_is_asked_for_one_buffered_picture_and_its_first_five_are_dropped(driver: type) -> None:
    camera = LiveCamera("0", "Desk")
    assert Driver.last.given == 5
    assert Driver.last.set_to[cv2.CAP_PROP_BUFFERSIZE] == 1
    assert (camera.width, camera.height, camera.fps) == (64, 48, 30.0)
    before = time.monotonic()
    assert before <= camera.read().time <= time.monotonic()
    camera.close()
    assert Driver.last.released


def test_a_drivers_own_monotonic_stamp_is_believed(driver: type) -> None:
    driver.own_clock = True
    camera = LiveCamera("0", "Desk")
    before = time.monotonic()
    shot = camera.read()
    assert before <= shot.time + 0.03 <= time.monotonic()


def test_a_camera_that_is_unplugged_says_so(driver: type) -> None:
    driver.pictures = 7
    camera = LiveCamera("0", "Desk")
    camera.read(), camera.read()
    with pytest.raises(StudioError, match="“Desk” is not there any more"):
        camera.read()


def test_a_camera_that_gives_nothing_is_let_go(driver: type) -> None:
    driver.pictures = 0
    with pytest.raises(StudioError, match="not there"):
        LiveCamera("0", "Desk")
    assert Driver.last.released


def test_a_camera_in_use_says_so(driver: type) -> None:
    driver.opens = False
    with pytest.raises(StudioError, match="cannot be opened") as caught:
        LiveCamera("0", "Desk")
    assert "other programs" in caught.value.hint


def test_a_camera_that_may_not_be_opened_says_so(
    driver: type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "video0").touch()
    monkeypatch.setattr("app.capture.camera.os.access", lambda *_: False)
    with pytest.raises(StudioError, match="may not be opened"):
        LiveCamera(str(tmp_path / "video0"), "Desk")
    with pytest.raises(StudioError, match="not there"):
        LiveCamera(str(tmp_path / "video1"), "Desk")


def test_a_file_is_shown_in_real_time_by_its_own_timestamps(flashing: Path) -> None:
    camera = open_camera(f"file:{flashing}")
    assert (camera.width, camera.height, camera.fps) == (320, 240, 30.0)
    began = time.monotonic()
    shots = [camera.read() for _ in range(16)]
    camera.close()
    assert 0.45 < time.monotonic() - began < 10
    assert numpy.diff([shot.time for shot in shots]) == pytest.approx(1 / 30, abs=1e-4)
    assert all(shot.picture.shape == (240, 320, 3) for shot in shots)


def test_a_file_goes_on_from_its_beginning_without_a_jump(
    flashing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.capture.camera.time.sleep", lambda _: None)
    camera = FileCamera(flashing)
    shots = [camera.read() for _ in range(610)]
    camera.close()
    times = numpy.array([shot.time for shot in shots])
    assert numpy.diff(times) == pytest.approx(1 / 30, abs=1e-4)
    bright = [shot.picture.mean() > 200 for shot in shots]
    assert bright[30] and not bright[29] and bright[330] and not bright[601]


def test_a_file_that_is_late_leaves_pictures_out(flashing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.capture.camera.BEHIND", 0.2)
    camera = FileCamera(flashing)
    first = camera.read()
    time.sleep(0.5)
    before = time.monotonic()
    shot = camera.read()
    camera.close()
    assert before - 0.25 < shot.time < time.monotonic()
    assert (shot.time - first.time) * 30 == pytest.approx(round((shot.time - first.time) * 30), abs=0.01)


@pytest.mark.parametrize("content", [b"", b"no video at all", None])
def test_what_is_no_video_says_so(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.mkv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StudioError, match=r"x\.mkv cannot be shown"):
        FileCamera(path)
