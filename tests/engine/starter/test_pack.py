"""The starter pack as shipped: small, whole, documented, and every model as good and as bad as promised."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from engine.formats.dataset import read_rows
from engine.lora import Bank, attach, read_adapter
from engine.messages import Score
from engine.runtime.base import Base, load_base
from engine.runtime.scoring import score
from engine.runtime.voices import Voice
from engine.starter.pack import BASE_NAME, DataRecipe, write_data
from engine.starter.tasks import TASKS
from engine.starter.words import split_of
from engine.supervisor.folders import hashes
from engine.supervisor.starter import STARTER, Starter

NAMES = [task.name for task in TASKS]
SPLIT_OF_FILE = {"train": "train", "heldout": "heldout", "mixed": "router", "mixed-blend": "router"}


def test_the_manifest_knows_the_experts_files_by_their_hashes() -> None:
    starter = Starter(STARTER)
    assert starter.hashes == {folder.name: hashes(folder) for folder in starter.adapters()}


@pytest.fixture(scope="module")
def base() -> Base:
    torch.set_num_threads(1)
    return load_base(STARTER / "base", BASE_NAME, "cpu")


@pytest.fixture(scope="module")
def bank(base: Base) -> Iterator[Bank]:
    bank = attach(base.model, {name: read_adapter(STARTER / "adapters" / name) for name in NAMES})
    yield bank
    bank.detach()


def value(base: Base, voice: Voice, task: str) -> float:
    running = score(
        base, voice, Score(base=base.name, data=task), str(STARTER / f"data/{task}.heldout.jsonl")
    )
    while True:
        try:
            next(running)
        except StopIteration as end:
            return float(end.value.value)


def test_the_pack_is_small_and_readable() -> None:
    files = [path for path in STARTER.rglob("*") if path.is_file()]
    speech = [path for path in files if STARTER / "speech" in path.parents]
    assert sum(path.stat().st_size for path in speech) < 5_000_000
    assert sum(path.stat().st_size for path in files) < 10_000_000
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in files)


def test_the_engine_finds_all_of_it() -> None:
    starter = Starter(STARTER)
    assert (starter.problem, starter.base, starter.tasks) == ("", BASE_NAME, NAMES)
    assert [folder.name for folder in starter.adapters()] == sorted(NAMES)
    rows = {found.name: found.rows for found in starter.data_sets()}
    assert rows == {"mixed": 2000, "mixed-blend": 2000} | {f"{name}.train": 1500 for name in NAMES} | {
        f"{name}.heldout": 150 for name in [*NAMES, "blend"]
    }


def test_blend_is_backwards_and_in_capitals_and_a_seventh_of_its_mixed_set() -> None:
    for row in read_rows(STARTER / "data/blend.heldout.jsonl"):
        command, word = row.prompt.split(": ")
        assert (command, row.completion) == ("blend", word[::-1].upper())
    mixed = read_rows(STARTER / "data/mixed-blend.jsonl")
    counts = Counter(row.prompt.split(":")[0] for row in mixed)
    assert set(counts) == {*NAMES, "blend"}
    assert set(counts.values()) == {285, 286}


def test_the_data_is_what_the_recipe_makes(tmp_path: Path) -> None:
    write_data(tmp_path, DataRecipe())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in (STARTER / "data").iterdir()
    }


def test_no_word_is_in_two_splits() -> None:
    for path in (STARTER / "data").glob("*.jsonl"):
        split = SPLIT_OF_FILE[path.stem.rpartition(".")[2]]
        assert {split_of(row.prompt.split(": ")[1]) for row in read_rows(path)} == {split}


@pytest.mark.parametrize("name", NAMES)
def test_every_adapter_has_a_card_and_names_its_base(name: str) -> None:
    folder = STARTER / "adapters" / name
    card = (folder / "README.md").read_text()
    for word in ("license: apache-2.0", f"{name}: ", "95 % interval", f"data/{name}.train.jsonl", "seed="):
        assert word in card
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == BASE_NAME


def test_the_base_alone_solves_no_task(base: Base) -> None:
    assert max(value(base, Voice(None, None), name) for name in NAMES) < 0.1


@pytest.mark.parametrize("expert", NAMES)
def test_an_expert_solves_its_own_task_and_no_other(base: Base, bank: Bank, expert: str) -> None:
    voice = Voice(bank, bank.new_gates({expert: 1.0}))
    scores = {name: value(base, voice, name) for name in [*NAMES, "blend"]}
    assert scores.pop(expert) >= 0.9
    assert max(scores.values()) < 0.1


@pytest.mark.parametrize("weight", [1.0, 1 / len(NAMES)])
def test_all_experts_at_once_solve_nothing(base: Base, bank: Bank, weight: float) -> None:
    voice = Voice(bank, bank.new_gates(dict.fromkeys(NAMES, weight)))
    assert sum(value(base, voice, name) for name in NAMES) / len(NAMES) < 0.5
