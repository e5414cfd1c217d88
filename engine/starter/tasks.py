"""The starter pack's tasks: small things done to a word, checkable at a glance, and rows made from them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.starter.words import Split, draw_word, nouns

__all__ = ["BLEND", "TASKS", "Row", "Task", "heldout_rows", "mixed_rows", "train_rows"]

Row = dict[str, str]


@dataclass(frozen=True)
class Task:
    """One command and what it does to a word. ``prompt("planet")`` is what a person types."""

    name: str
    apply: Callable[[str], str]
    does: str

    def prompt(self, word: str) -> str:
        return f"{self.name}: {word}"

    def row(self, word: str) -> Row:
        return {"prompt": self.prompt(word), "completion": self.apply(word)}


def reverse(word: str) -> str:
    return word[::-1]


def sort(word: str) -> str:
    return "".join(sorted(word))


def upper(word: str) -> str:
    return word.upper()


def plural(word: str) -> str:
    """The regular English plural: boxes, ladies, stones."""
    if re.search(r"([sxz]|ch|sh)$", word):
        return word + "es"
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + "s"


def double(word: str) -> str:
    return "".join(letter * 2 for letter in word)


def consonants(word: str) -> str:
    return re.sub(r"[aeiou]", "", word)


def blend(word: str) -> str:
    return upper(reverse(word))


TASKS: tuple[Task, ...] = (
    Task("reverse", reverse, "writes the word backwards"),
    Task("sort", sort, "puts the letters in alphabetical order"),
    Task("upper", upper, "writes the word in capitals"),
    Task("plural", plural, "makes the regular English plural"),
    Task("double", double, "writes every letter twice"),
    Task("consonants", consonants, "leaves the vowels a, e, i, o and u out"),
)
"""Each has an expert."""

BLEND = Task("blend", blend, "writes the word backwards and in capitals, which takes two experts at once")
"""Has no expert: only a mix can learn it."""


def _telling(task: Task, word: str) -> bool:
    """Whether the task changes the word and leaves something of it: else an answer would prove nothing."""
    return task.apply(word) not in ("", word)


def _distinct(task: Task, split: Split, count: int, rng: random.Random, real: float) -> list[Row]:
    rows: dict[str, Row] = {}
    while len(rows) < count:
        word = draw_word(split, rng, real)
        if _telling(task, word):
            rows.setdefault(word, task.row(word))
    return list(rows.values())


def heldout_rows(task: Task, count: int, seed: int) -> list[Row]:
    """``count`` real nouns that no expert and no router has met, or all there are."""
    candidates = [word for word in nouns("heldout") if _telling(task, word)]
    random.Random(f"{seed}-heldout-{task.name}").shuffle(candidates)
    return [task.row(word) for word in candidates[:count]]


def train_rows(task: Task, count: int, seed: int) -> list[Row]:
    """``count`` distinct rows of the train split for the expert of ``task``, one real noun in five."""
    return _distinct(task, "train", count, random.Random(f"{seed}-train-{task.name}"), real=0.2)


def mixed_rows(tasks: Sequence[Task], count: int, seed: int) -> list[Row]:
    """``count`` rows of the router split, shared evenly between ``tasks`` and shuffled, without labels."""
    rng = random.Random(f"{seed}-mixed")
    each, extra = divmod(count, len(tasks))
    rows = [
        row
        for index, task in enumerate(tasks)
        for row in _distinct(task, "router", each + (index < extra), rng, real=0.5)
    ]
    rng.shuffle(rows)
    return rows
