"""Single pictures of a clip, forwards, backwards and of what is no clip."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import cv2
import numpy
import pytest

from app.capture.messages import Show, Still
from app.capture.stills import Stills
from tests.engine.speech.drawn import record


@pytest.fixture
def clip(tmp_path):
    """Two seconds that grow lighter by eight shades a picture, 15 a second, half a second late."""
    path = tmp_path / "clip.mkv"
    pictures = [numpy.full((120, 960), 8 * number, numpy.uint8) for number in range(30)]
    record(path, [number / 15 for number in range(30)], pictures)
    return str(path)


@pytest.fixture
def ask() -> Iterator:
    told: queue.Queue[Still] = queue.Queue()
    stills = Stills(told.put)

    def ask(path: str, seconds: float) -> Still:
        stills.show(Show(path=path, seconds=seconds))
        still = told.get(timeout=60)
        assert (still.path, still.seconds) == (path, seconds)
        return still

    yield ask
    stills.close()


def shade(still: Still) -> float:
    decoded = cv2.imdecode(numpy.frombuffer(still.picture, numpy.uint8), cv2.IMREAD_GRAYSCALE)
    assert decoded.shape == (60, 480), "small, in its own shape"
    return float(decoded.mean())


def test_each_moment_has_its_picture_whichever_way_one_goes(clip, ask):
    for seconds in (0.0, 0.7, 0.75, 1.5, 0.2, 1.99):
        number = min(29, int(seconds * 15 + 1e-6))
        assert shade(ask(clip, seconds)) == pytest.approx(8 * number, abs=4), seconds


def test_beyond_its_end_the_last_one_stays(clip, ask):
    assert shade(ask(clip, 60.0)) == pytest.approx(8 * 29, abs=4)
    assert shade(ask(clip, 0.0)) == pytest.approx(0, abs=4)


def test_sound_alone_rubbish_and_nothing_have_no_picture(clip, ask, tmp_path):
    sound = tmp_path / "sound.mka"
    record(sound, [], [], numpy.zeros(4800))
    rubbish = tmp_path / "rubbish.mkv"
    rubbish.write_bytes(b"no clip" * 99)
    for path in (str(sound), str(rubbish), str(tmp_path / "gone.mkv")):
        assert ask(path, 0.0).picture == b""
    assert shade(ask(clip, 1.0)) == pytest.approx(8 * 15, abs=4), "and the next one is shown"
