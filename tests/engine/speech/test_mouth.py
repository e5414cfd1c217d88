"""The mouth is found, followed and cut out; recordings of any rate come out in time."""

from __future__ import annotations

import math
from time import process_time

import cv2
import numpy
import pytest

from engine.formats.errors import DataError
from engine.speech.mouth import LONGEST_GAP, Place, Tracker, cut, settled
from engine.speech.video import at_25, read_recording
from tests.engine.speech.drawn import head, record


@pytest.fixture(autouse=True)
def one_thread():
    cv2.setNumThreads(1)


def walk(count, radius=90):
    """A talking head that wanders through the picture."""
    return [
        head(300 + 2 * n, 230 + round(8 * math.sin(n / 4)), radius, 4 + round(4 * math.sin(n)))
        for n in range(count)
    ]


def track(pictures, by_hand=None):
    """The places of all of the pictures; None where one has none."""
    places = [place for _, place in settled(pictures, Tracker(by_hand))]
    return places if places and None not in places else None


class Script:
    """In place of a Tracker: says what it was told to."""

    def __init__(self, places):
        self.last = None
        self._places = iter(places)

    def see(self, picture):
        place = next(self._places)
        self.last = place or self.last
        return place


def settle(places):
    found = list(settled(range(len(places)), Script(places)))
    assert [number for number, _ in found] == list(range(len(places)))
    return [place for _, place in found]


@pytest.mark.parametrize("radius", [60, 90, 130])
def test_a_mouth_is_found_and_followed(radius):
    shown = walk(15, radius)
    places = track([picture for picture, _ in shown])
    assert places is not None
    for place, (_, (x, y)) in zip(places, shown, strict=True):
        assert abs(place.x - x) < 0.2 * radius and abs(place.y - y) < 0.25 * radius
        assert 0.9 * radius < place.side < 1.7 * radius


def test_where_no_face_is_there_is_no_mouth():
    noise = numpy.random.default_rng(0).integers(0, 255, (240, 320), dtype=numpy.uint8)
    assert track([noise] * 6) is None
    assert track([numpy.zeros((240, 320), numpy.uint8)] * 6) is None
    assert track([]) is None


def test_a_face_that_leaves_is_not_followed_into_the_wall():
    empty = numpy.full((480, 640), 150, numpy.uint8)
    tracker = Tracker()
    seen = [tracker.see(picture) for picture in [walk(1)[0][0]] * 6 + [empty] * 6]
    assert all(seen[:6]) and not any(seen[6:])


@pytest.mark.parametrize(
    ("radius", "x", "y", "side"),
    [
        (60, 319.74, 276.8, 78.12),
        (75, 320.52, 284.4, 91.76),
        (90, 320.2, 294.0, 111.6),
        (130, 320.3, 322.0, 167.4),
    ],
)
def test_an_upright_face_is_cut_as_models_were_trained_to_see_it(radius, x, y, side):
    """To a pixel of the cut: who moves this has to train the starter model again."""
    place = Tracker().see(head(320, 240, radius)[0])
    pixel = side / 96
    assert abs(place.x - x) < pixel and abs(place.y - y) < pixel and abs(place.side - side) < 2 * pixel
    assert abs(place.angle) < math.radians(1)


@pytest.mark.parametrize("degrees", [-35, -15, 0, 10, 20, 30, 40])
def test_a_tilted_head_is_set_upright(degrees):
    picture, mouth = head(320, 240, 90)
    matrix = cv2.getRotationMatrix2D((320, 240), -degrees, 1.0)
    tilted = cv2.warpAffine(picture, matrix, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    tracker = Tracker()
    place = [tracker.see(tilted) for _ in range(12)][-1]
    x, y = matrix @ (*mouth, 1)
    assert math.hypot(place.x - x, place.y - y) < 10 and 100 < place.side < 125
    assert abs(math.degrees(place.angle) - degrees) < 7


def test_of_two_people_the_first_is_followed_until_he_is_gone():
    def scene(*people):
        half = [head(160, 240, radius, width=320)[0] for radius in people]
        return numpy.concatenate(half, 1)

    empty = 20  # so small that no search finds it
    tracker = Tracker()
    assert [tracker.see(scene(90, 60)) for _ in range(6)][-1].x < 320
    assert all(tracker.see(scene(70, 90)).x < 320 for _ in range(8))
    gone = [tracker.see(scene(empty, 90)) for _ in range(30)]
    assert not any(gone[:LONGEST_GAP]) and gone[-1].x > 320


def test_a_mouth_is_found_again_after_a_covered_lens():
    covered = numpy.full((480, 640), 9, numpy.uint8)
    face = head(320, 240, 90)[0]
    tracker = Tracker()
    seen = [tracker.see(picture) for picture in [face] * 3 + [covered] * 30 + [face] * 12]
    assert all(seen[:3]) and not any(seen[3:33]) and seen[-1]


@pytest.mark.parametrize("light", [0.15, 0.4, 1.2])
def test_light_and_mirrors_do_not_matter(light):
    picture, (x, y) = head(280, 240, 90)
    mirrored = cv2.flip(picture * light, 1).clip(0, 255).astype(numpy.uint8)
    place = Tracker().see(mirrored)
    assert abs(place.x - (639 - x)) < 9 and abs(place.y - y) < 15


@pytest.mark.alone
def test_following_is_cheap():
    shown = [picture for picture, _ in walk(25)]
    tracker = Tracker()
    began = process_time()
    count = sum(1 for picture, place in settled(shown, tracker) if place and cut(picture, place).size)
    assert count == 25 and (process_time() - began) / 25 < 0.025  # measured: 0.006


def test_a_box_drawn_by_hand_is_followed():
    rng = numpy.random.default_rng(1)
    wall = cv2.GaussianBlur(rng.integers(0, 255, (200, 400), dtype=numpy.uint8), (7, 7), 0)
    pictures = [numpy.roll(wall, 3 * n, axis=1) for n in range(10)]
    places = track(pictures, by_hand=Place(100, 90, 50))
    assert places is not None
    for n, place in enumerate(places[2:-2], 2):
        assert place.x == pytest.approx(100 + 3 * n, abs=0.6) and place.y == pytest.approx(90, abs=0.6)
        assert place.side == 50


def test_gaps_are_bridged_for_half_a_second():
    one, other = Place(10, 20, 30), Place(30, 40, 50, 0.4)
    bridged = settle([one, None, None, None, other])
    assert bridged[2].x == pytest.approx(20) and bridged[2].side == pytest.approx(40)
    assert bridged[2].angle == pytest.approx(0.2)
    assert None not in settle([one] + [None] * LONGEST_GAP + [other])
    assert settle([None] * LONGEST_GAP + [one])[0] == one == settle([one] + [None] * LONGEST_GAP)[-1]
    assert settle([None]) == [None] and settle([]) == []


def test_longer_gaps_are_not_and_what_comes_after_them_is_its_own():
    one, other = Place(10, 20, 30), Place(30, 40, 50)
    gap = LONGEST_GAP + 4
    found = settle([one] * 4 + [None] * gap + [other] * 4 + [None] * gap)
    assert found == [one] * 4 + [None] * gap + [other] * 4 + [None] * gap


@pytest.mark.parametrize("side", [48.0, 96.0, 200.0])
def test_a_cut_is_of_the_place(side):
    x, y = numpy.meshgrid(numpy.arange(400), numpy.arange(300))
    ramp = (x * 0.4 + y * 0.2).astype(numpy.uint8)
    part = cut(ramp, Place(180, 140, side))
    assert part.shape == (96, 96) and part.dtype == numpy.uint8
    for row, column in ((0, 0), (48, 48), (95, 10)):
        at = [180 + (column - 47.5) * side / 96, 140 + (row - 47.5) * side / 96]
        assert int(part[row, column]) == pytest.approx(at[0] * 0.4 + at[1] * 0.2, abs=1.5)
    assert cut(ramp, Place(0, 0, 96)).shape == (96, 96)


@pytest.mark.parametrize("rate", [15, 24, 25, 29.97, 30, 60])
def test_25_a_second_whatever_the_camera_gives(rate):
    times = [n / rate for n in range(int(4 * rate))]
    chosen = list(at_25((time, time) for time in times))
    assert abs(len(chosen) - 100) <= 1
    for k, time in enumerate(chosen):  # beyond the last picture there is no nearer one
        assert abs(time - (k + 0.5) / 25) <= (0.5 if (k + 0.5) / 25 <= times[-1] else 1) / rate + 2e-3
    if rate == 25:
        assert chosen == times


def test_a_camera_that_stutters_stays_in_time():
    rng = numpy.random.default_rng(0)
    times = sorted(rng.uniform(0, 4, 90).tolist())
    for k, time in enumerate(at_25((time, time) for time in times)):
        nearest = min(abs(other - (k + 0.5) / 25) for other in times)
        assert abs(time - (k + 0.5) / 25) <= nearest + 2e-3


@pytest.mark.parametrize(("rate", "hertz", "channels"), [(30, 48000, 2), (15, 8000, 1), (25, 44100, 2)])
def test_a_recording(tmp_path, rate, hertz, channels):
    times = [n / rate for n in range(rate)]
    shown = [head(320, 240, 90, 10 if 0.5 <= time < 0.6 else 1)[0] for time in times]
    t = numpy.arange(hertz) / hertz
    clap = numpy.where((t >= 0.5) & (t < 0.6), numpy.sin(2 * math.pi * 400 * t), 0) * 0.5
    record(tmp_path / "clip.mkv", times, shown, clap, hertz, channels)
    found = read_recording(tmp_path / "clip.mkv")
    assert found.gaps == 0 and found.mouth is not None and found.sound is not None
    assert found.mouth.shape == (25, 96, 96) and abs(len(found.sound) - 16000) < 200
    loud = numpy.flatnonzero(abs(found.sound) > 0.1)
    assert abs(loud[0] / 16000 - 0.5) < 0.01 and abs(loud[-1] / 16000 - 0.6) < 0.01
    dark = found.mouth[:, 30:66, 30:66].mean((1, 2))
    open_ = numpy.flatnonzero(dark < (dark.min() + dark.max()) / 2)
    assert abs(open_[0] / 25 - 0.5) <= 0.04 + 0.5 / rate and abs(open_[-1] / 25 - 0.58) <= 0.04 + 0.5 / rate


def test_gaps_silent_films_and_sound_alone(tmp_path):
    picture = head(320, 240, 90)[0]
    record(tmp_path / "film.mkv", [0, 0.04, 0.08, 0.5, 0.54], [picture] * 5)
    film = read_recording(tmp_path / "film.mkv")
    assert film.sound is None and film.gaps == 1 and film.mouth is not None
    record(tmp_path / "sound.flac", [], [], numpy.ones(4800) * 0.1)
    heard = read_recording(tmp_path / "sound.flac")
    assert heard.mouth is None and heard.note == "There is no video." and len(heard.sound) > 1500
    record(tmp_path / "wall.mkv", [n / 25 for n in range(20)], [numpy.full((240, 320), 99, numpy.uint8)] * 20)
    assert "No face" in read_recording(tmp_path / "wall.mkv").note


def test_what_is_no_recording_is_refused(tmp_path):
    (tmp_path / "empty.mkv").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("not a film")
    for name in ("empty.mkv", "text.mp4", "absent.mkv"):
        with pytest.raises(DataError, match=f"{name} cannot be read"):
            read_recording(tmp_path / name)
