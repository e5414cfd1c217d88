"""Where somebody speaks: words are found, pauses end them, a room and a click are no speech."""

import numpy
import pytest

from app.capture.phrases import Began, Ceased, Phrases

RATE = 16_000
NOISE = numpy.random.default_rng(0).normal(0, 1, 60 * RATE).astype(numpy.float32)


def room(seconds: float, loudness: float = 0.001) -> numpy.ndarray:
    return NOISE[: round(seconds * RATE)] * loudness


def speech(seconds: float, loudness: float = 0.1) -> numpy.ndarray:
    """Syllables: five swells a second."""
    time = numpy.arange(round(seconds * RATE)) / RATE
    swell = 0.3 + 0.7 * numpy.abs(numpy.sin(2 * numpy.pi * 2.5 * time))
    return (loudness * swell * numpy.sin(2 * numpy.pi * 180 * time)).astype(numpy.float32)


def heard(*parts: numpy.ndarray) -> list[tuple[float, Began | Ceased]]:
    """Events, with the second at which each was told; blocks of 20 ms."""
    whole = numpy.concatenate(parts)
    phrases, found = Phrases(RATE, 0), []
    for at in range(0, len(whole), 320):
        found += [((at + 320) / RATE, event) for event in phrases.hear(whole[at : at + 320])]
    return found


def test_two_sentences_are_two_stretches_told_within_half_a_second_of_the_pause() -> None:
    events = heard(room(2), speech(1.5), room(1), speech(2), room(1))
    assert [type(event) for _, event in events] == [Began, Ceased, Began, Ceased]
    begins = [event.start / RATE for _, event in events if isinstance(event, Began)]
    ends = [(told, event.end / RATE) for told, event in events if isinstance(event, Ceased)]
    assert begins == pytest.approx([2.0, 4.5], abs=0.08)
    assert [end for _, end in ends] == pytest.approx([3.5, 6.5], abs=0.08)
    assert all(0 < told - end < 0.45 for told, end in ends)
    assert all(event.worth for _, event in events if isinstance(event, Ceased))


def test_a_pause_within_a_sentence_does_not_end_it() -> None:
    events = heard(room(1), speech(1), room(0.25), speech(1), room(1))
    assert len(events) == 2


@pytest.mark.parametrize("loudness", [0.0, 1e-4, 0.003, 0.1])
def test_a_room_is_no_speech_however_loud_its_fan(loudness: float) -> None:
    events = heard(room(8, loudness))
    assert not [event for told, event in events if told > 1]


def test_a_click_is_no_speech() -> None:
    assert heard(room(2), speech(0.03, 0.8), room(2)) == []


def test_endless_speech_is_cut_at_a_short_pause() -> None:
    events = heard(room(1), speech(16), room(0.1), speech(1))
    ends = [event.end / RATE for _, event in events if isinstance(event, Ceased)]
    assert ends == pytest.approx([17.0], abs=0.1)


def test_a_machine_that_starts_is_taken_for_speech_once_and_then_for_the_room() -> None:
    events = heard(room(3, 0.001), room(30, 0.1), speech(1.5, 0.9), room(1, 0.1))
    assert [round(told) for told, _ in events] == [3, 23, 33, 35]


def test_what_is_being_said_can_be_cut() -> None:
    phrases = Phrases(RATE, 1000)
    assert phrases.cease() is None
    phrases.hear(numpy.concatenate([room(1), speech(1)]))
    ceased = phrases.cease()
    assert ceased is not None and ceased.worth
    assert ceased.end == pytest.approx(1000 + 2 * RATE, abs=800)
