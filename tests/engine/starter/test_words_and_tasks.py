"""The words and tasks: splits that never meet, rows that prove something, the same rows for the same seed."""

from __future__ import annotations

import random

import pytest

from engine.starter.tasks import TASKS, Task, heldout_rows, mixed_rows, train_rows
from engine.starter.words import NOUNS, Split, draw_word, nouns, split_of

SPLITS: tuple[Split, ...] = ("train", "router", "heldout")
BY_NAME = {task.name: task for task in TASKS}


def test_every_noun_is_in_exactly_one_split() -> None:
    assert len(set(NOUNS)) == len(NOUNS) > 800
    assert sorted(word for split in SPLITS for word in nouns(split)) == sorted(NOUNS)
    assert all(word.isascii() and word.isalpha() and word.islower() for word in NOUNS)


@pytest.mark.parametrize("split", SPLITS)
def test_drawn_words_stay_in_their_split(split: Split) -> None:
    rng = random.Random(3)
    assert all(split_of(draw_word(split, rng)) == split for _ in range(500))


@pytest.mark.parametrize(
    ("name", "word", "answer"),
    [
        ("reverse", "planet", "tenalp"),
        ("sort", "planet", "aelnpt"),
        ("upper", "planet", "PLANET"),
        ("double", "box", "bbooxx"),
        ("consonants", "planet", "plnt"),
        ("plural", "planet", "planets"),
        ("plural", "box", "boxes"),
        ("plural", "church", "churches"),
        ("plural", "lady", "ladies"),
        ("plural", "monkey", "monkeys"),
    ],
)
def test_tasks_do_what_they_say(name: str, word: str, answer: str) -> None:
    assert BY_NAME[name].row(word) == {"prompt": f"{name}: {word}", "completion": answer}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_rows_are_distinct_telling_and_repeatable(task: Task) -> None:
    for make in (heldout_rows, train_rows):
        rows = make(task, 100, 1)
        assert rows == make(task, 100, 1)
        assert rows != make(task, 100, 2)
        assert len({row["prompt"] for row in rows}) == 100
        assert all(row["completion"] not in ("", row["prompt"].split(": ")[1]) for row in rows)


def test_mixed_rows_share_evenly_between_tasks_and_are_shuffled() -> None:
    rows = mixed_rows(TASKS, 100, 1)
    commands = [row["prompt"].split(":")[0] for row in rows]
    counts = [commands.count(task.name) for task in TASKS]
    assert sum(counts) == 100
    assert max(counts) - min(counts) <= 1
    assert len(set(commands[:12])) > 2
