"""Words with their times as subtitles, SubRip and WebVTT: short cues that come and go with what is said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Cue", "as_srt", "as_vtt", "cues"]

WIDTH, LINES = 42, 2
"""Letters in a line and lines in a cue, as broadcasters have them."""
LONGEST = 7.0
"""Seconds that a cue may stand."""
PAUSE = 1.0
"""Seconds of silence after which a new cue begins."""
BRIEFEST = 0.01
"""Seconds: a cue ends after it has begun, whatever the words say."""


class Timed(Protocol):
    """A word from ``start`` to ``end``, in seconds."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...


@dataclass(frozen=True)
class Cue:
    """What stands on the screen from ``start`` to ``end`` seconds; ``lines`` of at most 42 letters, but for a
    single word that is longer."""

    start: float
    end: float
    lines: tuple[str, ...]


def cues(words: Sequence[Timed]) -> list[Cue]:
    """Cues of at most two lines, each from its first word's start to its last one's end.

    A new one begins where the next word has no place left, after a second of silence, after seven seconds,
    and behind a sentence that fills more than a line. No cue begins before the last has ended.
    """
    made: list[Cue] = []
    for group in _groups([word for word in words if word.text.strip()]):
        begin = max(group[0].start, made[-1].end if made else 0.0)
        lines = tuple(_wrapped([word.text.strip() for word in group]))
        made.append(Cue(begin, max(group[-1].end, begin + BRIEFEST), lines))
    return made


def as_srt(words: Sequence[Timed]) -> str:
    """The words as a SubRip file; "" for none."""
    return "".join(
        f"{number}\n{_time(cue.start, ',')} --> {_time(cue.end, ',')}\n{_shown(cue)}\n\n"
        for number, cue in enumerate(cues(words), 1)
    )


def as_vtt(words: Sequence[Timed]) -> str:
    """The words as a WebVTT file."""
    parts = [f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n{_escaped(cue)}\n" for cue in cues(words)]
    return "\n".join(["WEBVTT\n", *parts])


def _groups(words: Sequence[Timed]) -> Iterator[list[Timed]]:
    group: list[Timed] = []
    for word in words:
        if group and _is_over(group, word):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _is_over(group: list[Timed], word: Timed) -> bool:
    """Whether ``word`` begins a new cue after ``group``."""
    texts = [each.text.strip() for each in group]
    last, lines = group[-1], _wrapped([*texts, word.text.strip()])
    sentence = texts[-1].endswith((".", "?", "!")) and len(_wrapped(texts)) == LINES
    return (
        len(lines) > LINES
        or word.start - last.end >= PAUSE
        or word.end - group[0].start > LONGEST
        or sentence
    )


def _wrapped(words: Sequence[str]) -> list[str]:
    """Lines filled from the left."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _shown(cue: Cue) -> str:
    # A line of its own that is an arrow, or none at all, would end the cue.
    return "\n".join(line.replace("-->", "->") for line in cue.lines)


def _escaped(cue: Cue) -> str:
    """WebVTT reads tags and entities."""
    return _shown(cue).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"
