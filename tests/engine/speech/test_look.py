"""A clip at a glance: peaks, speech, the strip of mouths, what is missing; also of a long one."""

from __future__ import annotations

import cv2
import numpy
import pytest

from engine.formats.errors import StudioError
from engine.messages import MouthPlace
from engine.speech.look import PEAKS, look
from tests.engine.speech.spoken import clip_file, face, talk


def card(path, **options):
    work, said = look(path, **options), []
    while True:
        try:
            said.append(next(work))
        except StopIteration as end:
            return end.value, [one for one in said if one]


def test_a_clip_with_a_face(tmp_path):
    path = clip_file(tmp_path / "x.mkv", talk(-0.6, 1.0, -0.4))
    found, said = card(path)
    assert (found.sound, found.pictures, found.face_found, found.gaps, found.notes) == (
        True,
        True,
        True,
        0,
        [],
    )
    assert (found.width, found.height, found.frames, found.channels, found.rate) == (320, 240, 50, 2, 48000)
    assert found.fps == pytest.approx(25, abs=0.1) and found.seconds == pytest.approx(2.0, abs=0.05)
    ((start, end),) = found.speech
    assert 0.4 < start < 0.6 and 1.55 < end < 1.8
    assert len(found.peaks) == PEAKS and max(found.peaks) == pytest.approx(0.4, abs=0.02)
    assert max(found.peaks[:280]) < 0.01 < max(found.peaks[310:780]) and max(found.peaks[820:]) < 0.01
    strip = cv2.imdecode(numpy.frombuffer(found.strip, numpy.uint8), cv2.IMREAD_UNCHANGED)
    assert strip.shape == (found.side, found.side * round(found.seconds / found.every)) and strip.std() > 5
    assert 0.4 < found.place.x < 0.6 and 0.3 < found.place.y < 0.6 and 0.1 < found.place.side < 0.4
    assert said[0].startswith("Listening") and said[-1].startswith("Looking for the mouth")
    again, _ = card(path, place=found.place)
    assert again.face_found and again.place.x == pytest.approx(found.place.x, abs=0.02)


def test_what_a_person_should_know(tmp_path):
    dark = [numpy.full((240, 320), 9, numpy.uint8)] * 30
    times = [i / 25 for i in range(30)]
    found, _ = card(clip_file(tmp_path / "dark.mkv", numpy.zeros(19200), pictures=dark, times=times))
    assert (found.face_found, found.strip, found.place, found.speech) == (False, b"", None, [])
    assert found.notes[0] == "No face was found throughout the video."
    assert "digital silence" in found.notes[1]
    found, _ = card(clip_file(tmp_path / "still.mkv", talk(-1.2), moving=False))
    assert found.notes == ["The mouth does not move.", "Nobody is heard to speak."]
    found, _ = card(clip_file(tmp_path / "sound.mkv", talk(1.0), None))
    assert (found.pictures, found.face_found, found.strip, found.notes) == (False, False, b"", [])
    gap = [0.0, 0.04, 0.08, 0.4, 0.44, 0.48, 0.52]
    found, _ = card(clip_file(tmp_path / "gap.mkv", None, times=gap))
    assert found.gaps == 1 and "The camera stood still once." in found.notes
    (tmp_path / "no.mkv").write_bytes(b"")
    with pytest.raises(StudioError):
        card(tmp_path / "no.mkv")


def test_of_a_long_clip_only_moments_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.speech.look.SHORT", 1.0)
    monkeypatch.setattr("engine.speech.look.MOUTHS", 4)
    times = [i / 25 for i in range(50)]
    shown = [face(4) if t < 1.4 else numpy.full((240, 320), 9, numpy.uint8) for t in times]
    found, _ = card(clip_file(tmp_path / "x.mkv", talk(2.0), pictures=shown, times=times))
    strip = cv2.imdecode(numpy.frombuffer(found.strip, numpy.uint8), cv2.IMREAD_UNCHANGED)
    tiles = numpy.split(strip, strip.shape[1] // found.side, axis=1)
    assert found.every == pytest.approx(0.5, abs=0.02) and [tile.any() for tile in tiles][:3] == [True] * 3
    assert not tiles[3].any()
    assert found.notes == ["No face was found in 1 of 4 moments of the video."]
    by_hand, _ = card(tmp_path / "x.mkv", place=MouthPlace(x=0.5, y=0.45, side=0.2))
    assert by_hand.face_found and by_hand.notes == []
