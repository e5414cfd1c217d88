"""A microphone's blocks in one unbroken count, and what becomes of it when it goes."""

import queue
import time
from collections.abc import Callable, Iterator

import numpy
import pytest

from app.capture.microphone import Microphone
from app.capture.portaudio import PortAudio
from engine.formats.errors import StudioError
from tests.app.capture.fake_sound import FakeSound


class Ear:
    """A microphone and what it has given."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, numpy.ndarray]] = []
        self.gone: queue.SimpleQueue[StudioError] = queue.SimpleQueue()
        self.portaudio = PortAudio()
        self.microphone = Microphone(
            self.portaudio,
            "ALSA:Desk microphone",
            "Desk microphone",
            lambda first, samples: self.blocks.append((first, samples)),
            lambda _, error: self.gone.put(error),
        )

    def unbroken(self) -> bool:
        ends = [first + len(samples) for first, samples in self.blocks]
        return [first for first, _ in self.blocks] == [0, *ends[:-1]]


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def ear(sound: FakeSound) -> Iterator[Ear]:
    one = Ear()
    yield one
    one.microphone.close()


def test_blocks_follow_each_other_and_are_stamped_by_the_monotonic_clock(ear: Ear) -> None:
    until(lambda: len(ear.blocks) > 20)
    assert ear.unbroken()
    assert all((samples == 0.25).all() for _, samples in ear.blocks)
    until(lambda: -0.01 < time.monotonic() - ear.microphone.clock.time_of(ear.microphone.count) < 0.1)
    assert ear.portaudio.streams == 1


def test_a_device_is_heard_at_its_own_rate_where_it_must_be(sound: FakeSound) -> None:
    sound.refused = {48_000}
    ear = Ear()
    assert (ear.microphone.rate, ear.microphone.channels) == (44_100, 1)
    ear.microphone.close()
    assert sound.streams[-1].closed and ear.portaudio.streams == 0


def test_a_device_that_refuses_everything_is_a_sentence(sound: FakeSound) -> None:
    sound.refused = {48_000, 44_100}
    with pytest.raises(StudioError, match="“Desk microphone” cannot be used"):
        Ear()


def test_silence_stands_in_for_a_microphone_that_sends_nothing(
    sound: FakeSound, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.capture.microphone.DEAD", 0.2)
    monkeypatch.setattr("app.capture.microphone.BEHIND", 0.1)
    until(lambda: ear.blocks)
    sound.streams[-1].speaking = False
    until(lambda: ear.microphone.silence > 0.2 * 48_000)
    until(lambda: 0 < time.monotonic() - ear.microphone.clock.time_of(ear.microphone.count) < 0.4)
    assert ear.unbroken()
    sound.streams[-1].speaking = True
    until(lambda: (ear.blocks[-1][1] == 0.25).all())
    assert ear.unbroken() and ear.gone.empty()


def test_a_microphone_that_is_unplugged_says_so_once(sound: FakeSound, ear: Ear) -> None:
    until(lambda: ear.blocks)
    sound.streams[-1].unplug()
    assert "“Desk microphone” is not there any more" in ear.gone.get(timeout=30).message
    ear.microphone.close()
    assert ear.gone.empty() and sound.streams[-1].closed
    ear.portaudio.streams = 1  # the fixture closes it once more
