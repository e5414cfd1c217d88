"""Files that are damaged: what is left is read at its right time, what is lost is said, nothing hangs."""

from __future__ import annotations

import random
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy
import pytest
import torch

from engine.formats.errors import DataError, StudioError
from engine.speech import packets
from engine.speech.clip import Clip
from engine.speech.look import look
from engine.speech.media import pictures, probe, read_sound
from engine.speech.missing import Missing
from engine.speech.understood import Understood
from engine.speech.windows import Window
from tests.engine.speech.drawn import record
from tests.engine.speech.spoken import RATE, Parrot, at_rate, clip_file, faces, heard, talk

PARTS = (-0.5, 1.5, -1.0, 1.5, -1.0, 1.5, -0.5)
SOUND = talk(*PARTS)
SECONDS = len(SOUND) / RATE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three times somebody talks, as files of several kinds."""
    folder = tmp_path_factory.mktemp("whole")
    clip_file(folder / "clip.mkv", SOUND, rate=RATE, channels=1)
    times = [number / 25 for number in range(int(SECONDS * 25))]
    record(folder / "clip.mp4", times, faces(times), at_rate(SOUND, RATE), RATE, 1)
    clip_file(folder / "clip.flac", SOUND, None, rate=RATE, channels=1)
    with av.open(str(folder / "clip.wav"), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray((SOUND * 32767).astype(numpy.int16)[None], "s16", "mono")
        frame.sample_rate = RATE
        file.mux(stream.encode(frame))
    return folder


def flipped(content, rng, count=40):
    for _ in range(count):
        content[rng.randrange(len(content))] ^= rng.randrange(1, 256)


def wiped(content, rng, length=6000):
    at = rng.randrange(len(content) - length)
    content[at : at + length] = bytes(length)


def cut(content, rng):
    del content[rng.randrange(len(content)) :]


def holed(content, rng, length=6000):
    at = rng.randrange(len(content) - length)
    del content[at : at + length]


@pytest.mark.parametrize("harm", [flipped, wiped, cut, holed])
@pytest.mark.parametrize("ending", ["mkv", "mp4", "flac", "wav"])
def test_whatever_is_damaged_ends_in_words_or_a_sentence(folder, tmp_path, ending, harm):
    whole = (folder / f"clip.{ending}").read_bytes()
    for seed in range(4):
        content = bytearray(whole)
        harm(content, random.Random(seed))
        path = tmp_path / f"clip.{ending}"
        path.write_bytes(content)
        try:
            said, _ = heard(Parrot(pause=0.3), path, "audio")
        except StudioError as error:
            assert error.hint and path.name in error.message
            continue
        assert len(said.words) <= 9 and said.seconds < 3 * SECONDS
        lost = len(said.words) < 3 and ending != "wav"  # nobody can see what is damaged in a WAV file
        shorter = said.seconds < SECONDS - 1
        assert not lost or shorter or "was cut off" in " ".join(said.notes), said.notes


def damage(path, target, first, last, kind="audio"):
    """Overwrite the packets of a stream that begin between two seconds."""
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as file:
        for packet in file.demux(next(one for one in file.streams if one.type == kind)):
            if packet.pts is not None and first <= float(packet.pts * packet.time_base) < last:
                inner = slice(packet.pos + 20, packet.pos + packet.size)
                content[inner] = bytes(byte ^ 0x55 for byte in content[inner])
    target.write_bytes(content)
    return target


def test_sound_behind_the_damage_is_at_its_right_time_and_the_loss_is_told(folder, tmp_path):
    whole = folder / "clip.mkv"
    path = damage(whole, tmp_path / "x.mkv", 3.0, 4.6)
    lost = []
    sound, before = read_sound(path, 0.0, SECONDS, lost), read_sound(whole)
    assert len(sound) == pytest.approx(len(before), abs=RATE / 100)
    start, end = lost[0][0], lost[-1][1]
    assert 2.7 < start < 3.4 and 4.3 < end < 5.0
    for part in (slice(0, int(start * RATE) - 500), slice(int(end * RATE) + 500, len(sound))):
        numpy.testing.assert_allclose(sound[part], before[part], atol=1e-3)
    said, _ = heard(Parrot(pause=0.3), path, "both")
    first, *_, last = said.words
    assert 0.5 < first.start < 2.0 and 5.5 < last.start < 7.0
    (note,) = [note for note in said.notes if "There is no sound from 0:0" in note]
    assert "copy the file again" in note and "pictures" not in note
    *_, card = (one for one in finished(look(path)) if one is not None)
    assert note.partition(":")[0] in " ".join(card.notes)


def test_a_hole_in_a_sentence_does_not_make_two_of_it(folder, tmp_path):
    path = damage(folder / "clip.mkv", tmp_path / "x.mkv", 3.4, 3.9)
    parrot = Parrot(pause=0.3)
    said, _ = heard(parrot, path, "audio")
    assert len(said.words) == 3 and "There is no sound from 0:03." in said.notes[0]
    middle = parrot.asked[1][0]
    assert middle.seconds > 1.3 and not middle.sound[len(middle.sound) // 2 - 1000 :][:2000].any()


@pytest.mark.parametrize(("lost", "asked"), [([(0.6, 1.1)], 1), ([(0.5, 0.9), (1.3, 1.9)], 0)])
def test_of_scraps_no_words_are_asked(lost, asked):
    sound = torch.from_numpy(talk(-0.5, 1.5, -0.5))
    parrot = Parrot(("audio",), pause=0.3)
    told = Understood(parrot, "audio", True, False, missing=Missing(sound=list(lost)))
    told.hear(Window(0.0, 2.5, Clip(sound, None)))
    said = told.transcript("", snr=None, seconds=2.5, took=0.0)
    assert len(said.words) == len(parrot.asked) == asked and said.speech
    scraps = [
        note for note in said.notes if note.startswith("Only scraps of what is said are left from 0:00.")
    ]
    assert len(scraps) == 1 - asked


def finished(work):
    while True:
        try:
            yield next(work)
        except StopIteration as end:
            yield end.value
            return


def test_pictures_that_are_damaged_are_told_and_the_ear_hears_on(folder, tmp_path):
    path = damage(folder / "clip.mp4", tmp_path / "x.mp4", 2.0, 99.0, "video")
    lost = []
    shown = [time for time, _ in pictures(path, 0.0, SECONDS, lost)]
    assert shown == sorted(shown)
    said, _ = heard(Parrot(pause=0.3), path, "both")
    assert len(said.words) == 3
    assert bool(lost) == ("There are no pictures from" in " ".join(said.notes))


def timely(times, expected=0.0):
    """What is made of packets of a tenth of a second at these times."""
    given = [
        SimpleNamespace(pts=round(time * 1000), dts=0, time_base=Fraction(1, 1000), duration=100, size=10)
        for time in times
    ]
    return [packet.pts / 1000 for packet in packets._timely(iter(given), expected)]


def test_times_that_leap_away_and_come_back_are_counted_instead():
    """As flipped bytes make them, of one packet or of several in a row."""
    right = [number / 10 for number in range(40)]
    for first, last, leap in ((10, 11, 20.0), (10, 25, 300.0), (0, 3, 5.0), (20, 24, -1.5), (20, 21, -2.0)):
        told = [time + leap if first <= n < last else time for n, time in enumerate(right)]
        assert timely(told) == pytest.approx(right)
    later = [time + (0 if time < 2 else 7) for time in right]
    assert timely(later) == pytest.approx(later)  # a hole
    assert timely([time + 60 for time in right], None) == pytest.approx([time + 60 for time in right])
    assert timely(right[:20] + right[:20]) == pytest.approx(right)  # it begins again: what follows goes on


def test_a_hole_that_lasts_is_a_hole(tmp_path):
    path = tmp_path / "hole.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for begin in (0.0, 3.0):
            frame = av.AudioFrame.from_ndarray(numpy.full((1, 16000), 9000, numpy.int16), "s16", "mono")
            frame.sample_rate, frame.pts = RATE, round(begin * RATE)
            file.mux(stream.encode(frame))
    lost = []
    sound = read_sound(path, 0.0, 4.0, lost)
    assert lost == [(pytest.approx(1.0, abs=0.01), pytest.approx(3.0, abs=0.01))]
    assert not sound[17000:47000].any() and (sound[49000:63000] > 0.2).all()


def test_nothing_that_can_be_read(folder, tmp_path):
    path = damage(folder / "clip.mkv", tmp_path / "x.mkv", -1.0, 99.0)
    with pytest.raises(DataError, match=r"x\.mkv is damaged"):
        heard(Parrot(), path, "audio")
    song = clip_file(tmp_path / "song.mka", SOUND, None, rate=RATE, channels=1)
    content = song.read_bytes()
    (tmp_path / "song.mka").write_bytes(content.replace(b"ENCODER", b"\xffNCODE\xff"))
    assert len(heard(Parrot(pause=0.3), song, "audio")[0].words) == 3  # words about it may be damaged too
    said, _ = heard(Parrot(), path, "both")
    assert said.read_as == "video" and "There is no sound from 0:00.0 to the end" in " ".join(said.notes)


def test_a_file_that_lies_about_its_length(folder, tmp_path):
    content = bytearray((folder / "clip.wav").read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff\xff\xff\x7f"
    (tmp_path / "x.wav").write_bytes(content)
    said, _ = heard(Parrot(pause=0.3), tmp_path / "x.wav", "audio")
    assert len(said.words) == 3
    assert probe(tmp_path / "x.wav").seconds < 10 * SECONDS or "to the end" in said.notes[0]


def test_what_is_missing_in_sentences():
    assert list(Missing().sentences(0, 10)) == []
    (one,) = Missing([(4.0, 10.0)], [(4.0, 10.0)]).sentences(0, 10)
    assert one.startswith("There is neither sound nor a picture from 0:04.0 to the end: ")
    (one,) = Missing([(1.0, 2.0), (2.1, 2.5), (66.04, 67)], [(0.2, 0.4)]).sentences(0, 100)
    assert one.startswith(
        "There is no sound from 0:01.0 to 0:02.5 and from 1:06.0 to 1:07.0 (2.5 s in all)"
        " and there are no pictures from 0:00.2 to 0:00.4: "
    )
    (one,) = Missing([(n, n + 0.5) for n in range(20)]).sentences(0, 100)
    assert "and 14 times more (10.0 s in all)" in one
    assert Missing([(0, 10)]).everything(0, 10, heard=True, seen=False)
    assert not Missing([(0, 10)]).everything(0, 10, heard=True, seen=True)
