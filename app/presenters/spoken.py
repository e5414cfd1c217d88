"""Transcripts beside one another: words that belong together in one row, and what is wrong with each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from engine.messages import ErrorStep, SpokenWord

__all__ = ["Row", "Said", "aligned", "judged"]

Verdict = Literal["plain", "right", "wrong", "extra", "missing", "differs"]

# Words as far apart as this are still the same one, timed by ear here and by lips there.
NEAR_S = 0.75
# How many rows ahead a word looks for its own.
AHEAD = 8
NOWHERE = -1


@dataclass(frozen=True)
class Said:
    """A word of one column. ``verdict`` against what was said: right, wrong (``meant`` in its place), extra,
    or missing (``text`` is "" then); plain where that is not known, "differs" where other columns say
    something else. ``place`` is the word's number in what was said, -1 without one."""

    text: str
    start: float
    end: float
    confidence: float = 1.0
    verdict: Verdict = "plain"
    meant: str = ""
    place: int = NOWHERE


@dataclass(frozen=True)
class Row:
    """What all columns have at one time, None where one has nothing."""

    start: float
    end: float
    cells: tuple[Said | None, ...]


def judged(words: Sequence[SpokenWord], steps: Sequence[ErrorStep]) -> list[Said]:
    """The words, each with its verdict, and a gap for each that is missing. Steps that do not spell these
    words (those of another text) judge nothing."""
    plain = [Said(word.text, word.start, word.end, word.confidence) for word in words]
    said: list[Said] = []
    place, left = 0, list(steps)
    for word in plain:
        while left and left[0].op == "delete":
            said.append(_gap(left.pop(0).meant, place, said, word.start))
            place += 1
        taken = _spelling(word.text, left)
        if not taken and _letters(word.text):
            return plain
        meant = [step.meant for step in taken if step.meant]
        own = place if meant else NOWHERE
        said.append(replace(word, verdict=_verdict(taken), meant=" ".join(meant), place=own))
        place += len(meant)
        del left[: len(taken)]
    for step in left:
        if step.op != "delete":
            return plain
        said.append(_gap(step.meant, place, said, said[-1].end if said else 0.0))
        place += 1
    return said


def _spelling(text: str, steps: Sequence[ErrorStep]) -> list[ErrorStep]:
    """The steps whose words, one after the other, are spelt as ``text``: "well-known" may be two of them."""
    wanted, spelt = _letters(text), ""
    taken: list[ErrorStep] = []
    for step in steps:
        if spelt == wanted or not wanted.startswith(spelt):
            break
        spelt += _letters(step.said)
        taken.append(step)
    return taken if spelt == wanted else []


def _letters(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def _verdict(steps: Sequence[ErrorStep]) -> Verdict:
    kinds = {step.op for step in steps}
    if not kinds:
        return "plain"
    if kinds == {"equal"}:
        return "right"
    return "extra" if kinds == {"insert"} else "wrong"


def _gap(meant: str, place: int, before: Sequence[Said], until: float) -> Said:
    """A word that is missing, in the time that its neighbours leave."""
    start = before[-1].end if before else 0.0
    return Said("", min(start, until), until, verdict="missing", meant=meant, place=place)


def aligned(columns: Sequence[Sequence[Said]], whole: Sequence[bool]) -> list[Row]:
    """Rows of words that belong together: the same of what was said where that is known, else the same word
    at nearly the same time, else what overlaps. ``whole[i]``: column i has been heard to its end; only such
    columns are told apart."""
    rows: list[list[Said | None]] = []
    for column, words in enumerate(columns):
        after = 0
        for word in words:
            here = _own_row(word, column, rows, after)
            if here == NOWHERE:
                here = _insertion(word, rows, after)
                rows.insert(here, [None] * len(columns))
            rows[here][column] = word
            after = here + 1
    return [_row(cells, whole) for cells in rows]


def _own_row(word: Said, column: int, rows: Sequence[list[Said | None]], after: int) -> int:
    """The row that ``word`` belongs in, NOWHERE if it needs one of its own."""
    ahead = range(after, min(after + AHEAD, len(rows)))
    if word.place >= 0:
        for here in ahead:
            if any(other is not None and other.place == word.place for other in rows[here]):
                return here
    same = [here for here in ahead if any(_same(word, other) for other in rows[here])]
    if same:
        return same[0]
    overlapping = [here for here in ahead if all(_overlaps(word, other) for other in rows[here] if other)]
    return overlapping[0] if overlapping else NOWHERE


def _same(word: Said, other: Said | None) -> bool:
    return (
        other is not None
        and _may_share(word, other)
        and _letters(word.text) == _letters(other.text)
        and abs(word.start - other.start) < NEAR_S
    )


def _overlaps(word: Said, other: Said) -> bool:
    """Whether one of the two lies at least half within the other."""
    common = min(word.end, other.end) - max(word.start, other.start)
    shorter = min(word.end - word.start, other.end - other.start)
    return _may_share(word, other) and common > 0 and common >= shorter / 2


def _may_share(word: Said, other: Said) -> bool:
    return word.place == other.place or NOWHERE in (word.place, other.place)


def _insertion(word: Said, rows: Sequence[list[Said | None]], after: int) -> int:
    """Where a row for ``word`` alone begins: before all that was said, or is heard, later."""
    for here in range(after, len(rows)):
        others = [other for other in rows[here] if other is not None]
        places = [other.place for other in others if other.place >= 0]
        is_later = min(places) > word.place if places and word.place >= 0 else None
        if is_later or (is_later is None and min(other.start for other in others) > word.start):
            return here
    return len(rows)


def _row(cells: list[Said | None], whole: Sequence[bool]) -> Row:
    there = [cell for cell in cells if cell is not None]
    texts = {_letters(cell.text) if cell else "" for cell, done in zip(cells, whole, strict=True) if done}
    if len(texts) > 1:
        cells = [
            replace(cell, verdict="differs") if done and cell and cell.verdict == "plain" else cell
            for cell, done in zip(cells, whole, strict=True)
        ]
    return Row(min(cell.start for cell in there), max(cell.end for cell in there), tuple(cells))
