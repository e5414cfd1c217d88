"""A text classification for the starter base: what a short sentence is about, in a word.

Topics share their words: most of a sentence comes from its own topic, some from the next one on the ring, a
little from anywhere. So no reader is always right, and ``ceiling`` says how often the best one is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from engine.starter.tasks import Row

__all__ = ["TOPICS", "ceiling", "topic_rows"]

TOPICS: dict[str, tuple[str, ...]] = {
    "sea": ("anchor", "ferry", "canoe", "oyster", "herring", "mast"),
    "farm": ("barn", "tractor", "rooster", "lamb", "pasture", "fence"),
    "town": ("market", "bakery", "museum", "street", "mayor", "tower"),
    "house": ("attic", "kettle", "sofa", "pillow", "curtain", "stove"),
    "music": ("cello", "drum", "flute", "sonata", "opera", "chorus"),
    "war": ("cannon", "shield", "arrow", "dagger", "sergeant", "fort"),
}
"""The words of each topic; the topics stand in a ring."""

OWN, NEXT = 0.6, 0.25
"""Shares of the words that come from the topic itself, and from the next; the rest come from any topic."""

WORDS = 3
_NAMES = tuple(TOPICS)
_HOME = {word: topic for topic, words in TOPICS.items() for word in words}


def topic_rows(count: int, heldout: int, seed: int) -> tuple[list[Row], list[Row]]:
    """``count`` rows to train on and ``heldout`` to score on; no sentence comes twice."""
    sentences = _sentences(random.Random(f"{seed}-topics"))
    rows: dict[str, Row] = {}
    while len(rows) < count + heldout:
        words, topic = next(sentences)
        text = f"{words[0]}, {words[1]} and {words[2]}"
        rows.setdefault(text, {"prompt": text, "completion": topic})
    drawn = list(rows.values())
    return drawn[:count], drawn[count:]


def ceiling(rows: Sequence[Row]) -> float:
    """The share of ``rows`` that a reader who knows how they were drawn gets right."""
    return sum(_likeliest(row["prompt"]) == row["completion"] for row in rows) / len(rows)


def _sentences(rng: random.Random) -> Iterator[tuple[list[str], str]]:
    while True:
        topic = rng.choice(_NAMES)
        weights = [_share(home, topic) for home in _NAMES]
        yield [rng.choice(TOPICS[home]) for home in rng.choices(_NAMES, weights, k=WORDS)], topic


def _share(home: str, topic: str) -> float:
    """How much of what is said about ``topic`` is said in words of ``home``."""
    following = _NAMES[(_NAMES.index(topic) + 1) % len(_NAMES)]
    return OWN * (home == topic) + NEXT * (home == following) + (1 - OWN - NEXT) / len(_NAMES)


def _likeliest(text: str) -> str:
    homes = [_HOME[word] for word in text.replace(",", "").split() if word in _HOME]
    chances = dict.fromkeys(_NAMES, 1.0)
    for home in homes:
        chances = {topic: chance * _share(home, topic) for topic, chance in chances.items()}
    return max(chances, key=chances.__getitem__)
