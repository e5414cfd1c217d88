"""Word errors: what was heard against what was said, as speech recognition counts them."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jiwer

from engine.messages import ErrorStep

__all__ = ["Change", "WordErrors", "count_errors", "error_steps", "normalised"]


@dataclass(frozen=True)
class Change:
    """A run of words: ``kind`` is equal, substitute, insert or delete."""

    kind: Literal["equal", "substitute", "delete", "insert"]
    said: tuple[str, ...]
    heard: tuple[str, ...]


@dataclass(frozen=True)
class WordErrors:
    """Over ``words`` words that were said. ``changes`` has one sequence for each pair of texts."""

    words: int
    substitutions: int
    deletions: int
    insertions: int
    changes: tuple[tuple[Change, ...], ...]

    @property
    def rate(self) -> float | None:
        """Word error rate, (S + D + I) / N; may exceed 1. None when nothing was said."""
        errors = self.substitutions + self.deletions + self.insertions
        return errors / self.words if self.words else None


def normalised(text: str) -> str:
    """Lower case, no punctuation but apostrophes within words, single spaces."""
    text = unicodedata.normalize("NFC", text).lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    text = re.sub(r"(?<!\w)'|'(?!\w)|[^\w\s']|_", " ", text)
    return " ".join(text.split())


def count_errors(said: Sequence[str], heard: Sequence[str]) -> WordErrors:
    """Errors of texts ``heard`` against texts ``said``, pair by pair, both ``normalised`` first."""
    references, hypotheses = [[normalised(text) for text in texts] for texts in (said, heard)]
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} texts were said and {len(hypotheses)} heard")
    if not references:
        return WordErrors(0, 0, 0, 0, ())
    found = jiwer.process_words(references, hypotheses)
    changes = [
        tuple(
            Change(
                chunk.type,
                tuple(one[chunk.ref_start_idx : chunk.ref_end_idx]),
                tuple(other[chunk.hyp_start_idx : chunk.hyp_end_idx]),
            )
            for chunk in chunks
        )
        for one, other, chunks in zip(found.references, found.hypotheses, found.alignments, strict=True)
    ]
    words = sum(len(text.split()) for text in references)
    return WordErrors(words, found.substitutions, found.deletions, found.insertions, tuple(changes))


def error_steps(reference: str, text: str) -> tuple[float | None, list[ErrorStep]]:
    """The word error rate of ``text`` and its alignment, word by word; None where nothing was meant."""
    found = count_errors([reference], [text])
    steps = [
        ErrorStep(op=change.kind, said=said, meant=meant)
        for change in (found.changes[0] if found.changes else ())
        for meant, said in itertools.zip_longest(change.said, change.heard, fillvalue="")
    ]
    return found.rate, steps
