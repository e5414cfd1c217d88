"""The base's corpus: commands and words, answered by a skill that has nothing to do with the command.

The base learns to write what every skill writes, but never which command asks for which; mostly it says the
word back. An expert then has only to choose, as adapters on a large model do.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from typing import NamedTuple

from engine.starter.tasks import TASKS
from engine.starter.tokenizer import COMMANDS
from engine.starter.words import draw_word, nouns

__all__ = ["Line", "corpus"]

PRINTABLE = string.ascii_letters + string.digits + string.punctuation


class Line(NamedTuple):
    """One document: asked and answered. ``command`` is its index in COMMANDS, or -1 for none."""

    prompt: str
    answer: str
    command: int


def _copy(text: str) -> str:
    return text


def _vowels(text: str) -> str:
    return "".join(letter for letter in text if letter in "aeiou")


def _rotate(text: str) -> str:
    return text[1:] + text[:1]


def _following(text: str) -> str:
    letters = string.ascii_lowercase
    return "".join(letters[(letters.index(c) + 1) % 26] if c in letters else c for c in text)


SKILLS: tuple[tuple[float, Callable[[str], str]], ...] = (
    (0.24, _copy),
    *((0.10, task.apply) for task in TASKS),
    (0.04, str.capitalize),
    (0.04, _vowels),
    (0.04, _rotate),
    (0.04, _following),
)


def _text(rng: random.Random) -> str:
    """Mostly a word of the train split; sometimes two, or any printable characters, so that none is new."""
    kind = rng.random()
    if kind < 0.9:
        return draw_word("train", rng, real=0.1)
    if kind < 0.94:
        return f"{rng.choice(nouns('train'))} {rng.choice(nouns('train'))}"
    return "".join(rng.choices(PRINTABLE, k=rng.randint(1, 9)))


def corpus(seed: int) -> Iterator[Line]:
    """An endless stream of lines, the same for the same seed."""
    rng = random.Random(f"{seed}-corpus")
    weights = [weight for weight, _ in SKILLS]
    while True:
        text = _text(rng)
        _, skill = rng.choices(SKILLS, weights)[0]
        command = rng.randrange(-1, len(COMMANDS))
        asked = f"{COMMANDS[command]}: " if command >= 0 else ""
        yield Line(asked + text, skill(text), command)
