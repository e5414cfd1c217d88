"""Files of every kind end in the right words or the right sentence; where nobody speaks nothing is heard."""

from __future__ import annotations

import math
import subprocess
import sys
import wave
from pathlib import Path

import numpy
import pytest
import torch

from engine.formats.errors import DataError, StudioError
from engine.messages import MouthPlace
from engine.speech.config import Rates
from engine.speech.listening import listen
from engine.speech.noisy import write_noisy
from engine.speech.windows import windows
from tests.engine.speech.spoken import RATE, Parrot, clip_file, face, faces, heard, talk
from tests.engine.speech.test_gate import NOT_SPEECH

ONE = talk(-0.5, 1.5, -0.5)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Somebody talks from 0.5 to 2.0 s, of 2.5."""
    return clip_file(tmp_path_factory.mktemp("clips") / "one.mkv", ONE)


@pytest.mark.parametrize("name", [name for name in NOT_SPEECH if len(NOT_SPEECH[name])])
def test_nothing_is_heard_where_nobody_speaks(name, tmp_path):
    sound = NOT_SPEECH[name].clamp(-1, 1).numpy()
    path = clip_file(tmp_path / "x.mkv", sound, None)
    parrot = Parrot()
    for snr in (None, 0.0):
        options = {} if snr is None else {"snr": snr, "babble": clip_file(tmp_path / "b.mkv", ONE, None)}
        said, _ = heard(parrot, path, "audio", **options)
        assert (said.text, said.words, said.speech, parrot.asked) == ("", [], False, [])
        assert "Nobody speaks here." in said.notes
    assert ("digital silence" in " ".join(said.notes)) == (name == "digital silence")


@pytest.mark.parametrize("mode", ["video", "both"])
def test_a_face_at_rest_in_a_quiet_room(mode, tmp_path):
    path = clip_file(tmp_path / "x.mkv", talk(-1.2), moving=False)
    parrot = Parrot()
    said, _ = heard(parrot, path, mode)
    assert (said.text, said.speech, said.face_found, parrot.asked) == ("", False, True, [])
    assert said.notes == ["Nobody speaks here."]


def test_lips_that_move_in_a_quiet_room_say_nothing_and_with_a_dead_microphone_they_do(tmp_path):
    parrot = Parrot()
    said, _ = heard(parrot, clip_file(tmp_path / "quiet.mkv", talk(-1.2)), "both")
    assert not said.speech and not parrot.asked
    said, _ = heard(parrot, clip_file(tmp_path / "dead.mkv", numpy.zeros(19200)), "both")
    assert said.speech and [mode for _, mode, _, _ in parrot.asked] == ["video"]
    assert "digital silence" in said.notes[0]


FAN = numpy.random.default_rng(4).normal(0, 0.06, 3 * RATE)


@pytest.mark.parametrize("mode", ["audio", "video", "both"])
def test_a_talking_face_under_a_fan_is_read_by_its_lips_and_that_is_said(mode, tmp_path):
    said, _ = heard(Parrot(), clip_file(tmp_path / "fan.mkv", FAN), mode)
    note = "No voice stands out from the noise from 0:00.0 to 0:03.0: what is written there was read"
    assert said.speech == (mode != "audio")
    assert any(one.startswith(note) for one in said.notes) == (mode == "both"), said.notes


@pytest.mark.parametrize("sound", [FAN, numpy.zeros(3 * RATE)], ids=["a fan", "nothing"])
def test_a_face_at_rest_says_nothing_whatever_there_is_to_hear(sound, tmp_path):
    parrot = Parrot()
    for mode in ("audio", "video", "both"):
        said, _ = heard(parrot, clip_file(tmp_path / f"{mode}.mkv", sound, moving=False), mode)
        assert (said.speech, parrot.asked, said.notes[-1]) == (False, [], "Nobody speaks here.")


def test_a_face_that_leaves_half_way(tmp_path):
    """What is said meanwhile is left to the ear, and when it left is told."""
    sound = talk(-0.2, 3.0, -0.6, 3.0, -0.2)
    times = [number / 25 for number in range(len(sound) * 25 // RATE)]
    gone = numpy.tile(numpy.linspace(120, 190, 320).astype(numpy.uint8), (240, 1))
    shown = [one if time < 3.5 else gone for time, one in zip(times, faces(times), strict=True)]
    said, _ = heard(Parrot(pause=0.3), clip_file(tmp_path / "gone.mkv", sound, pictures=shown, times=times))
    assert said.text == "polly polly" and said.face_found is False and said.read_as == "audio"
    assert "The face was out of sight for more than half a second from 3." in said.notes[0]


def test_both_are_read_from_what_is_said(video):
    parrot = Parrot()
    said, on_the_way = heard(parrot, video, rates=Rates(4, 2), beams=3)
    ((clip, mode, rates, beams),) = parrot.asked
    assert (mode, rates, beams) == ("both", Rates(4, 2), 3)
    assert 1.8 < clip.seconds < 2.5 and len(clip.mouth) == pytest.approx(len(clip.sound) / 640, abs=1)
    assert (said.text, said.mode, said.read_as, said.model) == ("polly", "both", "both", "parrot")
    assert (said.speech, said.face_found, said.whole, said.notes, said.tokens) == (True, True, True, [], 7)
    assert (said.audio_rate, said.video_rate) == (4, 2)
    assert 1.15 < said.words[0].start < 1.35 and said.wer is None
    assert said.seconds == pytest.approx(2.5, abs=0.05) and 0 < said.looking < said.took
    assert "polly" in said.srt and said.vtt.startswith("WEBVTT")
    assert [one.until for one in on_the_way] == [0.0, said.seconds] and on_the_way[-1].words == said.words


def test_each_sense_alone(video):
    parrot = Parrot()
    by_ear, _ = heard(parrot, video, "audio")
    by_eye, _ = heard(parrot, video, "video")
    (ear, *_), (eye, *_) = parrot.asked
    assert ear.mouth is None and eye.sound is None and len(eye.mouth) > 50
    assert (by_ear.read_as, by_ear.face_found, by_ear.video_rate) == ("audio", False, 0)
    assert (by_eye.read_as, by_eye.face_found, by_eye.audio_rate) == ("video", True, 0)


def test_a_covered_lens_leaves_the_ear(tmp_path):
    dark = [numpy.full((240, 320), 12, numpy.uint8)] * 62
    times = [i / 25 for i in range(62)]
    path = clip_file(tmp_path / "dark.mkv", ONE, pictures=dark, times=times)
    parrot = Parrot()
    said, _ = heard(parrot, path, "both")
    assert (said.text, said.read_as, said.face_found) == ("polly", "audio", False)
    assert said.notes == ["No face was found throughout the video. So this was understood by ear alone."]
    assert [(mode, clip.mouth) for clip, mode, _, _ in parrot.asked] == [("audio", None)]
    said, _ = heard(parrot, path, "video")
    assert (said.text, said.speech, said.face_found, len(parrot.asked)) == ("", False, False, 1)
    assert said.notes == [
        "No face was found throughout the video. So there was nothing to read, and this was left out."
    ]


@pytest.mark.parametrize("fps", [15, 24, 30, 60, None])
def test_any_rate_of_pictures(fps, tmp_path):
    if fps:
        times = [i / fps for i in range(int(1.2 * fps))]
    else:  # a camera that stutters
        steps = numpy.random.default_rng(1).uniform(0.02, 0.07, 40).cumsum()
        times = [0.0, *(time for time in steps.tolist() if time < 1.2)]
    path = clip_file(tmp_path / "x.mkv", talk(-0.1, 1.0, -0.1), times=times)
    parrot = Parrot()
    said, _ = heard(parrot, path)
    ((clip, *_),) = parrot.asked
    assert said.text == "polly" and said.read_as == "both"
    assert len(clip.mouth) == pytest.approx(len(clip.sound) / 640, abs=2)


def begin(word, clip):
    """The sample with which a clip begins in whose middle the parrot has heard ``word``."""
    return round((word.start - clip.seconds / 2) * 25) * RATE // 25


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (48000, 1), (48000, 2), (16000, 2)])
def test_any_rate_of_sound(rate, channels, tmp_path):
    path = clip_file(tmp_path / "x.mkv", ONE, None, rate=rate, channels=channels)
    parrot = Parrot()
    said, _ = heard(parrot, path)
    ((clip, *_),) = parrot.asked
    first = begin(said.words[0], clip)
    ours, theirs = clip.sound.numpy(), ONE[first : first + len(clip.sound)]
    alike = numpy.corrcoef(ours, theirs[: len(ours)])[0, 1]
    assert alike > (0.8 if rate == 8000 else 0.98)
    assert said.notes == ["There is no video, so this was understood by ear alone."]


def test_files_that_cannot_be_read(tmp_path, video):
    parrot = Parrot()
    (tmp_path / "empty.mkv").write_bytes(b"")
    (tmp_path / "noise.mp4").write_bytes(numpy.random.default_rng(0).bytes(5000))
    for name in ("empty.mkv", "noise.mp4", "missing.wav", "."):
        with pytest.raises(StudioError) as failed:
            heard(parrot, tmp_path / name)
        assert failed.value.hint
    whole = video.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    said, _ = heard(parrot, tmp_path / "cut.mkv", "audio")
    assert said.seconds < 2.6 and said.text in ("", "polly")
    holes = bytearray(whole)
    for at in range(4000, len(holes), 3000):
        holes[at : at + 40] = b"\xff" * 40
    (tmp_path / "holes.mkv").write_bytes(holes)
    said, _ = heard(parrot, tmp_path / "holes.mkv")
    assert said.text in ("", "polly")


def test_what_cannot_be_asked(tmp_path, video):
    deaf = Parrot(modes=("video",))
    with pytest.raises(StudioError, match="parrot cannot hear"):
        heard(deaf, video, "audio")
    blind = Parrot(modes=("audio",))
    with pytest.raises(StudioError, match="parrot cannot read lips"):
        heard(blind, video, "video")
    said, _ = heard(blind, video, "both")
    assert (said.read_as, said.looking) == ("audio", 0.0)
    assert said.notes == ["parrot cannot see, so this was understood by ear alone."]
    silent = clip_file(tmp_path / "silent.mkv", None, times=[i / 25 for i in range(30)])
    with pytest.raises(DataError, match=r"There is no sound in silent\.mkv"):
        heard(Parrot(), silent, "audio")
    said, _ = heard(Parrot(), silent, "both")
    assert (said.text, said.read_as) == ("polly", "video")
    assert said.notes == ["There is no sound, so this was understood from the lips alone."]
    with pytest.raises(DataError, match="There is nothing from 9 s on"):
        heard(Parrot(), video, start=9.0)


def test_a_part_of_a_clip(video):
    parrot = Parrot()
    said, _ = heard(parrot, video, "audio", start=1.0, end=1.6)
    assert said.seconds == pytest.approx(0.6) and parrot.asked[0][0].seconds == pytest.approx(0.6, abs=0.05)
    assert 1.2 < said.words[0].start < 1.4
    said, _ = heard(parrot, video, "audio", start=0.0, end=0.3)
    assert not said.speech


def test_the_sound_is_moved_against_the_lips(tmp_path):
    path = clip_file(tmp_path / "x.mkv", talk(-1.0, 1.0, -1.0), None)
    first, later, sooner = (heard(Parrot(), path, shift=shift)[0].words[0].start for shift in (0, 0.2, -0.2))
    assert later - first == pytest.approx(0.2, abs=0.05) and first - sooner == pytest.approx(0.2, abs=0.05)


def test_a_mouth_shown_by_hand(tmp_path, video):
    blank = [numpy.random.default_rng(i).integers(60, 200, (240, 320), numpy.uint8) for i in range(2)]
    path = clip_file(tmp_path / "x.mkv", ONE, pictures=[blank[i % 2] for i in range(62)],
                     times=[i / 25 for i in range(62)])  # fmt: skip
    assert not heard(Parrot(), path)[0].face_found
    parrot = Parrot()
    said, _ = heard(parrot, video, place=MouthPlace(x=0.5, y=0.45, side=0.2))
    assert said.face_found
    assert abs(parrot.asked[0][0].mouth[0].float().mean() - torch.from_numpy(face(4)).float().mean()) > 5


def test_a_reference_gives_an_error_rate(video):
    said, _ = heard(Parrot(), video, "audio", reference="Polly, polly wants")
    assert said.wer == pytest.approx(2 / 3)
    assert [(s.op, s.said, s.meant) for s in said.steps] == [
        ("equal", "polly", "polly"),
        ("delete", "", "polly"),
        ("delete", "", "wants"),
    ]


def noisy_file(path, source, snr, **options):
    *_, length = write_noisy(source, path, snr, **options)
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        assert file.getnframes() == pytest.approx(length * RATE, abs=1)
        return numpy.frombuffer(file.readframes(10**9), "<i2") / 32767


def test_the_ear_hears_what_is_transcribed(tmp_path):
    source = clip_file(tmp_path / "x.mkv", talk(-0.5, 1.0, -0.6, 1.2, -0.4), None)
    babble = clip_file(tmp_path / "babble.mkv", talk(0.7), None)
    options = {"babble": babble, "seed": 3, "shift": 0.1}
    clean, noisy = (noisy_file(tmp_path / f"{snr}.wav", source, snr, **options) for snr in (None, -5.0))
    added = noisy - clean
    unclipped = abs(noisy) < 0.999
    ratio = 10 * math.log10(numpy.square(clean).mean() / numpy.square(added[unclipped]).mean())
    assert ratio == pytest.approx(-5, abs=0.3)
    parrot = Parrot(pause=0.3)
    said, _ = heard(parrot, source, "audio", snr=-5.0, **options)
    assert len(parrot.asked) == 2 and said.snr == -5.0
    for (clip, *_), word in zip(parrot.asked, said.words, strict=True):
        first = begin(word, clip)
        part = noisy[first : first + len(clip.sound)]
        numpy.testing.assert_allclose(clip.sound.clamp(-1, 1).numpy()[: len(part)], part, atol=1e-4)
    again = noisy_file(tmp_path / "again.wav", source, -5.0, **options)
    other = noisy_file(tmp_path / "other.wav", source, -5.0, **(options | {"seed": 4}))
    assert numpy.array_equal(again, noisy) and not numpy.array_equal(other, noisy)


def test_long_files_are_parted_in_pauses(tmp_path):
    sound = talk(*[3.0, -0.6, 5.0, -0.7, 2.0, -0.6] * 3)
    path = clip_file(tmp_path / "long.mkv", sound, None, rate=16000, channels=1)
    parrot = Parrot()
    said, on_the_way = heard(parrot, path, "audio")
    assert [len(clip.sound) / RATE <= 20 for clip, *_ in parrot.asked] == [True] * len(parrot.asked)
    edges = [one.end for one in windows(path, 0.0, said.seconds, heard=True, seen=False)]
    assert edges[-1] == pytest.approx(said.seconds) and len(edges) == 3
    for edge in edges[:-1]:
        around = sound[round((edge - 0.05) * RATE) : round((edge + 0.05) * RATE)]
        assert abs(around).max() < 0.002
    total = sum(clip.seconds for clip, *_ in parrot.asked)
    assert total == pytest.approx(said.seconds, abs=1.5)
    assert [one.until for one in on_the_way][1::2] == edges
    sentences = Parrot(pause=0.3)
    said, _ = heard(sentences, path, "audio")
    assert len(sentences.asked) == 9
    assert [clip.seconds for clip, *_ in sentences.asked[:3]] == pytest.approx([3.3, 5.6, 2.6], abs=0.2)


def test_lips_alone_are_parted_where_they_rest(tmp_path):
    times = [i / 25 for i in range(125)]
    shown = [face(round(4 + 3 * math.sin(8 * math.pi * t)) if not 2.4 < t < 3.2 else 3) for t in times]
    path = clip_file(tmp_path / "x.mkv", None, pictures=shown, times=times)
    parts = list(windows(path, 0.0, 5.0, heard=False, seen=True, longest=4.0))
    assert [part.end for part in parts] == [pytest.approx(2.8, abs=0.2), 5.0]
    assert sum(len(part.clip.mouth) for part in parts) == pytest.approx(125, abs=2)


def test_one_may_stop_listening(tmp_path):
    path = clip_file(tmp_path / "long.mkv", talk(*[3.0, -0.5] * 8), None, rate=16000, channels=1)
    parrot = Parrot()
    work = listen(parrot, path, "audio")
    while not parrot.asked:
        next(work)
    work.close()
    assert len(parrot.asked) == 1
    assert next(work, "over") == "over"


def long_file(path, minutes):
    """A minute of nothing and two sentences, again and again, in a low quality."""
    import av

    minute = talk(-28.0, 2.0, -1.0, 2.0, -27.0)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libopus", rate=16000, layout="mono")
        stream.bit_rate = 16000
        for number in range(minutes):
            frame = av.AudioFrame.from_ndarray((minute * 32767).astype(numpy.int16)[None], "s16", "mono")
            frame.sample_rate, frame.pts = 16000, number * len(minute)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


MEMORY = """
import resource, sys
from tests.engine.speech.spoken import RATE, Parrot, clip_file, face, faces, heard, talk
from tests.engine.speech.test_listening import torch
torch.set_num_threads(1)
parrot = Parrot(pause=0.3)
heard(parrot, sys.argv[1], "both", end=30.0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
said, _ = heard(parrot, sys.argv[1], "both")
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(said.words), (after - before) // 1024, round(said.took, 1))
"""


def test_three_minutes(tmp_path):
    path = long_file(tmp_path / "three.mka", 3)
    parrot = Parrot(pause=0.3)
    said, on_the_way = heard(parrot, path)
    assert [round(word.start) for word in said.words] == [29, 32, 89, 92, 149, 152]
    assert max(clip.seconds for clip, *_ in parrot.asked) < 3
    assert said.seconds == pytest.approx(180, abs=0.5) and len(on_the_way) > 40


@pytest.mark.study
def test_an_hour_takes_no_more_memory(tmp_path):
    path = long_file(tmp_path / "hour.mka", 60)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True
    )
    words, megabytes, seconds = done.stdout.split()
    print(f"\nan hour: {words} words, {megabytes} MiB more, {seconds} s")
    assert int(words) == 120 and int(megabytes) < 100


def test_babble_that_is_not_there_is_said(video, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.speech.noisy.BABBLE", tmp_path / "babble.flac")
    with pytest.raises(StudioError, match="installation is incomplete") as missing:
        heard(Parrot(), video, snr=0.0)
    assert missing.value.code == "missing"
    assert heard(Parrot(), video)[0].text == "polly"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_under_the_noise(video):
    with pytest.raises(StudioError, match="The disk is full") as full:
        list(write_noisy(video, Path("/dev/full"), None))
    assert full.value.code == "disk"
