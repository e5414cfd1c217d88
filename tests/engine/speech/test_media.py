"""Any part of any file: windows are what the whole has there, files say what is in them, tricks fail."""

from __future__ import annotations

import json
import os

import av
import numpy
import pytest

from engine.formats.errors import AdapterError, DataError
from engine.speech import media
from engine.speech.media import pictures, probe, read_sound
from engine.speech.video import read_recording, read_window
from tests.engine.speech.drawn import head, record

SECONDS = 6


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A head that wanders, 30 pictures a second, and a tone that climbs."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    shown = [head(300 + n, 240, 90, 4 + n % 7)[0] for n in range(30 * SECONDS)]
    t = numpy.arange(SECONDS * 48000) / 48000
    record(
        path, [n / 30 for n in range(len(shown))], shown, numpy.sin(2 * numpy.pi * (200 + 20 * t) * t) * 0.3
    )
    return path


def test_windows_are_what_the_whole_has_there(film):
    whole = read_recording(film)
    assert len(whole.mouth) == 25 * SECONDS
    last = None
    for start, end in ((0, 2), (2, 4.2), (4.2, 9)):
        part = read_window(film, start, end, last=last)
        sound = whole.sound[round(start * 16000) : round(end * 16000)]
        mouth = whole.mouth[round(start * 25) : round(end * 25)]
        numpy.testing.assert_allclose(part.sound, sound, atol=1e-3)
        assert part.mouth.shape == mouth.shape
        assert numpy.abs(part.mouth.astype(float) - mouth).mean() < 3
        assert part.first.x < part.last.x and (last is None or abs(part.first.x - last.x) < 5)
        last = part.last


def test_a_window_is_reached_without_decoding_what_is_before_it(film, monkeypatch):
    decoded = []

    def noting(file, stream, begin, original=media.decoded):
        for frame in original(file, stream, begin):
            decoded.append(frame.time)
            yield frame

    monkeypatch.setattr(media, "decoded", noting)
    shown = [time for time, _ in pictures(film, 5.0, 5.2)]
    assert shown[0] <= 5.0 < shown[1] and shown[-2] < 5.2 <= shown[-1] and min(decoded) > 4.0


@pytest.mark.parametrize("seeks", ["nowhere", "behind", "refused"])
def test_a_file_that_cannot_be_sought_in_is_read_from_its_beginning(film, monkeypatch, seeks):
    def seek(file, time):
        if seeks == "behind":
            file.seek(round((time + 1) * av.time_base), backward=False)
        return seeks != "refused"

    expected = [time for time, _ in pictures(film, 3.0, 3.5)]
    monkeypatch.setattr(media, "_seek", seek)
    assert [time for time, _ in pictures(film, 3.0, 3.5)] == expected


def test_a_file_says_what_is_in_it(film, tmp_path):
    facts = probe(film)
    assert (facts.width, facts.height, facts.rate, facts.channels) == (640, 480, 48000, 2)
    assert facts.seconds == pytest.approx(SECONDS, abs=0.1) and facts.fps == pytest.approx(30, abs=0.1)
    assert not facts.variable
    times = numpy.cumsum([0.02, 0.05, 0.08] * 13).tolist()
    record(tmp_path / "odd.mkv", times, [head(320, 240, 90)[0]] * 39)
    odd = probe(tmp_path / "odd.mkv")
    assert odd.variable and odd.rate == 0 and odd.fps == pytest.approx(20, rel=0.1)
    record(tmp_path / "tone.flac", [], [], numpy.ones(4800) * 0.1, channels=1)
    tone = probe(tmp_path / "tone.flac")
    assert (tone.seconds, tone.width, tone.fps, tone.channels) == (pytest.approx(0.1), 0, 0.0, 1)


def test_the_sidecar_moves_the_sound(tmp_path):
    path, sidecar = tmp_path / "clip.flac", tmp_path / "clip.json"
    sound = numpy.zeros(48000)
    sound[24000:] = 0.5
    record(path, [], [], sound, channels=1)

    def begins(start=0.0):
        return start + numpy.flatnonzero(read_sound(path, start) > 0.25)[0] / 16000

    assert begins() == pytest.approx(0.5, abs=2e-3)
    for offset in (120, -80.5):
        sidecar.write_text(json.dumps({"offset_ms": offset, "camera": "one"}))
        assert begins() == pytest.approx(0.5 + offset / 1000, abs=2e-3)
        assert begins(0.3) == pytest.approx(0.5 + offset / 1000, abs=2e-3)
        assert probe(path).offset == offset / 1000
    for other in ("[1]", "{", '{"offset_ms": "5"}', '{"offset_ms": 1e9}', '{"offset_ms": true}', "{}"):
        sidecar.write_text(other)
        assert probe(path).offset == 0.0


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 2), (44100, 2), (48000, 1)])
def test_sound_of_any_rate_is_as_loud_and_as_late(tmp_path, rate, channels):
    def tone(rate):
        t = numpy.arange(rate) / rate
        return 0.4 * numpy.sin(2 * numpy.pi * (300 + 400 * t) * t)

    record(tmp_path / "tone.flac", [], [], tone(rate), rate, channels)
    sound = read_sound(tmp_path / "tone.flac")
    assert len(sound) == 16000
    numpy.testing.assert_allclose(sound[100:-100], tone(16000)[100:-100], atol=2e-3)


def test_holes_in_the_sound_are_silence(tmp_path):
    path = tmp_path / "hole.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=16000, layout="mono")
        for begin in (0.0, 1.0):
            samples = numpy.full((1, 4096), 9000, numpy.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16000, round(begin * 16000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    sound = read_sound(path)
    loud = sound > 0.1
    assert loud[:4000].all() and not loud[4200:15900].any() and loud[16100:20000].all()


def test_a_recording_that_was_cut_off_is_read_as_far_as_it_goes(film, tmp_path):
    whole = film.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    part = read_window(tmp_path / "cut.mkv", 0, 2)
    assert len(part.sound) == 32000 and part.mouth.shape == (50, 96, 96)


def test_the_cover_of_a_record_is_no_video(tmp_path):
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as file:
        heard = file.add_stream("libmp3lame", rate=44100, layout="mono")
        cover = file.add_stream("png")
        cover.width, cover.height, cover.pix_fmt = 320, 240, "gray"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(head(160, 120, 60, width=320, height=240)[0], format="gray")
        file.mux(cover.encode(picture))
        samples = numpy.full((1, 44100), 900, numpy.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16p", layout="mono")
        frame.sample_rate = 44100
        file.mux(heard.encode(frame))
        file.mux(heard.encode())
    assert probe(path).width == 0 and read_window(path, 0, 1).note == "There is no video."


def test_a_list_of_other_files_opens_none_of_them(tmp_path):
    listed = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m3u8").write_text(listed)
    with pytest.raises(DataError):
        probe(tmp_path / "list.m3u8")


def test_what_is_no_ordinary_file_is_not_opened(tmp_path):
    with pytest.raises(AdapterError, match="not an ordinary file"):
        probe(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mkv")
        with pytest.raises(AdapterError, match="not an ordinary file"):
            probe(tmp_path / "pipe.mkv")
