"""The text classification: sentences that no set shares, and a ceiling that a best reader has."""

from __future__ import annotations

import pytest

from engine.starter.topics import TOPICS, ceiling, topic_rows

COUNT, HELDOUT = 400, 100


def test_no_sentence_comes_twice_and_the_same_seed_draws_the_same() -> None:
    train, heldout = topic_rows(COUNT, HELDOUT, seed=3)
    assert (len(train), len(heldout)) == (COUNT, HELDOUT)
    prompts = [row["prompt"] for row in (*train, *heldout)]
    assert len(set(prompts)) == COUNT + HELDOUT
    assert topic_rows(COUNT, HELDOUT, seed=3) == (train, heldout)
    assert topic_rows(COUNT, HELDOUT, seed=4)[1] != heldout
    assert {row["completion"] for row in heldout} == set(TOPICS)


def test_a_word_has_one_home_but_speaks_of_several_topics() -> None:
    words = [word for topic in TOPICS.values() for word in topic]
    assert len(set(words)) == len(words)
    train, _ = topic_rows(COUNT, 0, seed=3)
    told = {row["completion"] for row in train if "kettle" in row["prompt"]}
    assert {"house", "town"} < told, "its own topic, the one before it, and now and then another"


@pytest.mark.parametrize(
    ("prompt", "topic"),
    [
        ("ferry, canoe and mast", "sea"),
        ("ferry, barn and lamb", "sea"),  # the words of the next topic speak for this one, too
        ("barn, lamb and market", "farm"),
        ("cannon, shield and anchor", "war"),  # the last topic's next is the first
    ],
)
def test_the_best_reader_weighs_every_word(prompt: str, topic: str) -> None:
    assert ceiling([{"prompt": prompt, "completion": topic}]) == 1.0
    assert ceiling([{"prompt": prompt, "completion": other} for other in TOPICS if other != topic]) == 0.0


def test_even_the_best_reader_is_wrong_now_and_then() -> None:
    train, _ = topic_rows(2000, 0, seed=1)
    assert 0.8 < ceiling(train) < 0.92
