"""What a file should have and has not, in sentences: where sound or pictures are damaged, or cut off."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.speech.media import Lost

__all__ = ["Missing", "stretches"]

NEAR = 0.25
"""Seconds between two stretches that are told as one."""
MOST = 6
"""Stretches that are told one by one."""
EDGE = 0.1


@dataclass
class Missing:
    """``sound`` and ``pictures`` that are not there, in any order and told as often as one likes."""

    sound: Lost = field(default_factory=list)
    pictures: Lost = field(default_factory=list)

    def everything(self, start: float, end: float, *, heard: bool, seen: bool) -> bool:
        """Whether from ``start`` to ``end`` there is nothing of what should be ``heard`` and ``seen``."""
        used = [lost for lost, asked in ((self.sound, heard), (self.pictures, seen)) if asked]
        return all(_total(_joined(lost, start, end)) > end - start - NEAR for lost in used)

    def of_sound(self, start: float, end: float) -> float:
        """The share of the sound from ``start`` to ``end`` seconds that is not there."""
        return _total(_joined(self.sound, start, end)) / (end - start)

    def sentences(self, start: float, end: float) -> Iterator[str]:
        """What is missing from ``start`` to ``end`` seconds, and what to do; nothing where nothing is."""
        sound, pictures = _joined(self.sound, start, end), _joined(self.pictures, start, end)
        if sound and sound == pictures:
            told = [f"there is neither sound nor a picture {stretches(sound, end)}"]
        else:
            both = (("there is no sound", sound), ("there are no pictures", pictures))
            told = [f"{what} {stretches(lost, end)}" for what, lost in both if lost]
        if told:
            what = " and ".join(told)
            yield (
                f"{what[0].upper()}{what[1:]}: the file is damaged there, was cut off, or was recorded so. "
                "What was said there may be missing; copy the file again from where it came from."
            )


def _clock(seconds: float) -> str:
    """Minutes and seconds, to the tenth."""
    minutes, tenths = divmod(round(seconds * 10), 600)
    return f"{minutes}:{tenths // 10:02d}.{tenths % 10}"


def _joined(lost: Lost, start: float, end: float) -> Lost:
    joined: Lost = []
    for first, last in sorted((round(max(a, start), 1), round(min(b, end), 1)) for a, b in lost):
        if joined and first - joined[-1][1] <= NEAR:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        elif last > first:
            joined.append((first, last))
    return joined


def _total(lost: Lost) -> float:
    return sum(last - first for first, last in lost)


def stretches(lost: Lost, end: float = math.inf) -> str:
    """``lost``, in their order, as words: from when to when. What reaches ``end`` does so to the end."""
    told = [
        f"from {_clock(first)} {'to the end' if last > end - EDGE else f'to {_clock(last)}'}"
        for first, last in lost[:MOST]
    ]
    total = f"{_total(lost):.1f} s in all"
    if len(lost) > MOST:
        return f"{', '.join(told)} and {len(lost) - MOST} times more ({total})"
    return f"{', '.join(told[:-1])} and {told[-1]} ({total})" if len(told) > 1 else told[0]
