"""YuNet's rung, with a network of our own that has YuNet's shape, and what is none."""

from __future__ import annotations

import math

import numpy
import pytest

from engine.speech.faces import Cascades
from engine.speech.mouth import Place, Tracker, cut
from engine.speech.yunet import REFERENCE, YuNet, best_finder, laid_on
from tests.engine.speech.onnx import POINTS, network


@pytest.fixture(autouse=True)
def nothing_added(monkeypatch, tmp_path):
    monkeypatch.delenv("ADAPTER_STUDIO_YUNET", raising=False)
    monkeypatch.setenv("ADAPTER_STUDIO_HOME", str(tmp_path / "home"))


def lit(column, row):
    """A dark picture of 640 x 480 with the one cell in which the network sees a face."""
    picture = numpy.zeros((480, 640), numpy.uint8)
    picture[16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = 255
    return picture


def test_points_of_a_face_become_a_place():
    left, right, nose, mouth = map(numpy.array, REFERENCE)
    wide = numpy.array((12, 0))
    points = numpy.stack([left, right, nose, mouth - wide, mouth + wide])
    place = laid_on(points)
    assert (place.x, place.y) == pytest.approx(REFERENCE[3]) and place.side == pytest.approx(96)
    assert place.angle == pytest.approx(0)
    turn, size = 0.4, 1.5
    spin = numpy.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    moved = laid_on(points @ spin * size + (30, 50))
    assert moved.side == pytest.approx(144) and moved.angle == pytest.approx(0.4)
    assert (moved.x, moved.y) == pytest.approx(tuple(mouth @ spin * size + (30, 50)))


def test_a_turned_place_is_cut_upright():
    ramp = numpy.tile(numpy.arange(400, dtype=numpy.float32) * 0.5, (400, 1))
    down = cut(ramp.T.astype(numpy.uint8), Place(200, 200, 96, math.pi / 2))
    right = cut(ramp.astype(numpy.uint8), Place(200, 200, 96))
    assert numpy.abs(down.astype(int) - right).max() <= 1


def test_the_network_is_asked_and_its_points_are_believed(monkeypatch, tmp_path):
    path = tmp_path / "yunet.onnx"
    path.write_bytes(network())
    monkeypatch.setenv("ADAPTER_STUDIO_YUNET", str(path))
    finder, trouble = best_finder()
    assert isinstance(finder, YuNet) and trouble == ""
    points = (numpy.array(POINTS) + numpy.array((20, 15))) * 16
    tracker = Tracker()
    assert tracker.see(lit(20, 15)) == laid_on(points)
    assert finder.find(numpy.zeros((480, 640), numpy.uint8)) == []
    assert len(finder.find(numpy.maximum(lit(10, 15), lit(30, 12)))) == 2


def test_in_the_home_it_is_found_too(tmp_path):
    assert isinstance(best_finder()[0], Cascades)
    (tmp_path / "home" / "speech").mkdir(parents=True)
    (tmp_path / "home" / "speech" / "yunet.onnx").write_bytes(network())
    assert isinstance(best_finder()[0], YuNet)


@pytest.mark.parametrize("content", [b"", b"no network", network()[:-600], b"x" * (5 << 20)])
def test_what_is_not_yunet_is_said_and_the_cascades_go_on(monkeypatch, tmp_path, content):
    path = tmp_path / "mine.onnx"
    path.write_bytes(content)
    monkeypatch.setenv("ADAPTER_STUDIO_YUNET", str(path))
    tracker = Tracker()
    assert "without YuNet" in tracker.trouble and "face_detection_yunet_2023mar.onnx" in tracker.trouble
    monkeypatch.setenv("ADAPTER_STUDIO_YUNET", str(tmp_path / "absent.onnx"))
    assert "without YuNet" in Tracker().trouble
