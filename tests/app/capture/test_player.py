"""Playing a clip: where it is, what is heard, and how it goes on without a loudspeaker."""

import queue
import time
import wave
from pathlib import Path

import numpy
import pytest

from app.capture.messages import Play, Played, Position, Report, Trouble
from app.capture.player import Player
from app.capture.portaudio import PortAudio
from engine.formats.errors import StudioError
from tests.app.capture.fake_sound import FakeSound

RATE = 48_000


def wav(path: Path, seconds: float, scale: float = 1.0) -> Path:
    """A ramp that climbs from 0 to ``scale`` in 10 s: its value tells the time."""
    ramp = numpy.arange(round(seconds * RATE)) / RATE / 10 * scale
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((ramp * 32767).astype("<i2").tobytes())
    return path


class Playing:
    """A player and what it has told."""

    def __init__(self, **options: object) -> None:
        self.told: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self.all: list[Report] = []
        self.player = Player(PortAudio(), Play(**options), self._tell)

    def _tell(self, report: Report) -> None:
        self.all.append(report)
        self.told.put(report)

    def until_played(self) -> Played:
        while not isinstance(report := self.told.get(timeout=30), Played):
            pass
        self.player.close()
        return report

    @property
    def positions(self) -> list[float]:
        return [report.seconds for report in self.all if isinstance(report, Position)]


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    return wav(tmp_path / "ramp.wav", 8)


def heard(sound: FakeSound) -> numpy.ndarray:
    """What the loudspeaker was given, as seconds of the ramp."""
    return numpy.concatenate(sound.streams[-1].said)[:, 0] * 10


def test_a_part_is_played_and_its_position_is_told(sound: FakeSound, ramp: Path) -> None:
    began = time.monotonic()
    playing = Playing(path=str(ramp), start=2.0, end=2.8)
    played = playing.until_played()
    assert played.seconds == pytest.approx(2.8, abs=0.01)
    assert 0.75 < time.monotonic() - began < 10
    assert playing.positions == sorted(playing.positions) and len(playing.positions) >= 4
    said = heard(sound)
    said = said[said > 0.1]
    assert said[0] == pytest.approx(2.0, abs=0.01) and said.max() >= 2.7
    assert numpy.diff(said) == pytest.approx(1 / RATE, abs=1e-3)
    assert sound.streams[-1].closed


def test_seeking_goes_on_from_there_and_stopping_stops(sound: FakeSound, ramp: Path) -> None:
    playing = Playing(path=str(ramp))
    time.sleep(0.3)
    playing.player.seek(6.0)
    while not (playing.positions and playing.positions[-1] > 6.2):
        time.sleep(0.02)
    playing.player.close()
    assert isinstance(playing.all[-1], Played) and 6.2 < playing.all[-1].seconds < 8
    said = heard(sound)
    assert said[said > 4].min() == pytest.approx(6.0, abs=0.02)


def test_another_sound_is_played_in_its_place(sound: FakeSound, ramp: Path, tmp_path: Path) -> None:
    noise = wav(tmp_path / "noise.wav", 8, 0.5)
    playing = Playing(path=str(ramp), sound=str(noise), start=4.0, end=4.3)
    assert playing.until_played().path == str(ramp)
    said = heard(sound)
    assert said[said > 0.1][0] == pytest.approx(2.0, abs=0.01)


def test_without_a_loudspeaker_the_position_runs_by_the_clock(sound: FakeSound, ramp: Path) -> None:
    sound.outputs = []
    playing = Playing(path=str(ramp), start=7.5)
    played = playing.until_played()
    assert played.seconds == pytest.approx(8.0, abs=0.02)
    troubles = [report for report in playing.all if isinstance(report, Trouble)]
    assert [trouble.about for trouble in troubles] == ["loudspeaker"]
    assert "There is no loudspeaker" in troubles[0].error.message
    assert all(report.silent for report in playing.all if isinstance(report, Position))


def test_a_loudspeaker_that_goes_leaves_the_position_running(
    sound: FakeSound, ramp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.capture.player.DEAD", 0.2)
    playing = Playing(path=str(ramp), start=6.5)
    time.sleep(0.3)
    sound.streams[-1].speaking = False
    assert playing.until_played().seconds == pytest.approx(8.0, abs=0.02)
    assert any(isinstance(report, Trouble) for report in playing.all)


def test_pictures_without_sound_have_a_position(sound: FakeSound, flashing: Path) -> None:
    playing = Playing(path=str(flashing), start=9.7)
    assert playing.until_played().seconds == pytest.approx(10.0, abs=0.05)


@pytest.mark.parametrize("content", [b"", b"nothing that plays", None])
def test_what_cannot_be_played_says_so(sound: FakeSound, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.mkv").write_bytes(content)
    with pytest.raises(StudioError, match=r"x\.mkv cannot be played"):
        Playing(path=str(tmp_path / "x.mkv"))
    assert not sound.streams
