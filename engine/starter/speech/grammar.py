"""The sentences: six words each, one of a few at every place, as in the GRID corpus (Cooke et al. 2006)."""

from __future__ import annotations

import hashlib
import random
from typing import Literal

__all__ = ["GRAMMAR", "WORDS", "Split", "chance_error", "draw_part", "draw_sentence", "split_of"]

Split = Literal["train", "heldout"]
GRAMMAR: tuple[tuple[str, ...], ...] = (
    ("bin", "lay", "place", "set"),
    ("blue", "green", "red", "white"),
    ("at", "by", "in", "with"),
    tuple("abcdefghijklmnopqrstuvxyz"),
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    ("again", "now", "please", "soon"),
)
WORDS = tuple(word for place in GRAMMAR for word in place)
HELD_OUT = 10
"""One sentence in so many is held out, by its hash."""


def split_of(sentence: str) -> Split:
    """Where a sentence belongs, whatever voice says it."""
    digest = hashlib.sha256(sentence.encode()).digest()
    return "heldout" if digest[0] * 256 + digest[1] < 65536 // HELD_OUT else "train"


def draw_sentence(split: Split, rng: random.Random) -> str:
    """Six words of the grammar that belong to ``split``."""
    while True:
        sentence = " ".join(rng.choice(place) for place in GRAMMAR)
        if split_of(sentence) == split:
            return sentence


def draw_part(sentence: str, rng: random.Random) -> str:
    """Some words of ``sentence`` that follow each other, at least one and not all."""
    words = sentence.split()
    count = rng.randint(1, len(words) - 1)
    first = rng.randint(0, len(words) - count)
    return " ".join(words[first : first + count])


def chance_error() -> float:
    """The word error rate of one who knows the grammar and neither hears nor sees: one of each place is
    guessed, and six are said."""
    return sum(1 - 1 / len(place) for place in GRAMMAR) / len(GRAMMAR)
