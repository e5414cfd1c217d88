"""Subtitles: cues that fit the screen and go with the words."""

import itertools
from dataclasses import dataclass

import pytest

from engine.formats.subtitles import as_srt, as_vtt, cues


@dataclass
class Word:
    text: str
    start: float
    end: float


def said(text, every=0.3, start=0.0):
    return [Word(word, start + n * every, start + n * every + 0.25) for n, word in enumerate(text.split())]


def test_cues_have_two_lines_of_42_letters_and_end_with_their_words():
    words = said("when the sunlight strikes raindrops in the air they act as a prism and form a rainbow " * 3)
    made = cues(words)
    assert len(made) > 2
    assert " ".join(" ".join(cue.lines) for cue in made).split() == [word.text for word in words]
    for cue in made:
        assert 1 <= len(cue.lines) <= 2 and all(len(line) <= 42 for line in cue.lines)
        assert 0 < cue.end - cue.start <= 7.0
        assert cue.start in [word.start for word in words] and cue.end in [word.end for word in words]
    assert all(one.end <= other.start for one, other in itertools.pairwise(made))


def test_silence_and_full_sentences_end_a_cue():
    words = said("bin blue at f two now") + said("set red by g nine please", start=4.0)
    assert [cue.lines for cue in cues(words)] == [("bin blue at f two now",), ("set red by g nine please",)]
    long = said("this is a sentence that goes on over the end of a line. and") + said("more", start=4.5)
    assert cues(long)[0].lines[-1].endswith("line.")


@pytest.mark.parametrize(
    "words",
    [
        [Word("a" * 60, 0.0, 1.0), Word("b", 1.0, 1.2)],  # longer than a line
        [Word("a", 1.0, 1.0), Word(" ", 1.0, 1.1), Word("b", 0.9, 0.95)],  # no length, blank, backwards
        [Word(f"{n}", n * 0.01, n * 0.01) for n in range(200)],
    ],
)
def test_odd_words_still_make_cues_in_order(words):
    made = cues(words)
    assert all(cue.end > cue.start for cue in made)
    assert all(one.end <= other.start for one, other in itertools.pairwise(made))
    assert "".join("".join(cue.lines) for cue in made).replace(" ", "") == "".join(
        word.text.strip() for word in words
    )


def test_the_two_formats():
    words = [*said("now & <then> -->", start=3599.9), *said("late", start=3605.0)]
    assert as_srt(words) == (
        "1\n00:59:59,900 --> 01:00:01,050\nnow & <then> ->\n\n2\n01:00:05,000 --> 01:00:05,250\nlate\n\n"
    )
    assert as_vtt(words) == (
        "WEBVTT\n\n00:59:59.900 --> 01:00:01.050\nnow &amp; &lt;then&gt; -&gt;\n\n"
        "01:00:05.000 --> 01:00:05.250\nlate\n"
    )
    assert as_srt([]) == "" and as_vtt([]) == "WEBVTT\n"
