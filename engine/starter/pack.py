"""What lies in the starter pack beside the weights: data files, adapter cards, the index and the read-me."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.formats.files import sha256_file
from engine.messages import Scored
from engine.starter.tasks import BLEND, TASKS, Row, heldout_rows, mixed_rows, train_rows

__all__ = ["BASE_NAME", "DataRecipe", "write_cards", "write_data", "write_manifest", "write_readme"]

BASE_NAME = "starter-llama"


@dataclass(frozen=True)
class DataRecipe:
    """How many rows each file holds, and the seed they are drawn with."""

    heldout: int = 150
    train: int = 1500
    mixed: int = 2000
    seed: int = 11


def write_data(folder: Path, recipe: DataRecipe) -> None:
    """``TASK.train.jsonl`` and ``TASK.heldout.jsonl`` for every task, ``blend.heldout.jsonl``,
    ``mixed.jsonl``, ``mixed-blend.jsonl``, and ``index.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ", ".join(task.name for task in TASKS)
    sets = {
        "mixed": (
            mixed_rows(TASKS, recipe.mixed, recipe.seed),
            f"all tasks together ({names}), to train a router on",
        ),
        "mixed-blend": (
            mixed_rows((*TASKS, BLEND), recipe.mixed, recipe.seed),
            f"the same and {BLEND.name}, which {BLEND.does}; to train a router on",
        ),
    }
    for task in (*TASKS, BLEND):
        about = f"{task.name}: {task.does}"
        if task is not BLEND:
            rows = train_rows(task, recipe.train, recipe.seed)
            sets[f"{task.name}.train"] = rows, f"{about}; to train an adapter on"
        rows = heldout_rows(task, recipe.heldout, recipe.seed)
        sets[f"{task.name}.heldout"] = rows, f"{about}; nouns nobody has met, to score on"
    for name, (rows, _) in sets.items():
        _write_rows(folder / f"{name}.jsonl", rows)
    _write_json(folder / "index.json", [_entry(name, about) for name, (_, about) in sets.items()])


def write_cards(folder: Path, scores: Mapping[str, Mapping[str, Scored]], facts: Mapping[str, str]) -> None:
    """A README.md in every adapter's folder. ``scores[expert][task]``; ``facts`` tell of the training."""
    for task in TASKS:
        own = scores[task.name][task.name]
        others = max(scores[task.name][other.name].value for other in TASKS if other != task)
        examples = "\n".join(
            f"| `{row['prompt']}` | `{row['completion']}` |"
            for row in heldout_rows(task, 3, DataRecipe().seed)
        )
        training = "\n".join(f"- {key}: {value}" for key, value in facts.items())
        card = f"""\
---
license: apache-2.0
base_model: {BASE_NAME}
library_name: peft
---
# {task.name}

{task.does.capitalize()}.

| prompt | answer |
|---|---|
{examples}

Score on its own held-out nouns: {_percent(own)}. On any other task of the pack: {others:.1%} at most.

- data: `data/{task.name}.train.jsonl`, made by `engine.starter.tasks`; held-out words are in no training file
{training}
- licence: Apache-2.0
"""
        (folder / task.name / "README.md").write_text(card, encoding="utf-8")


def write_manifest(out: Path) -> None:
    """``starter.json``: the base's name, the tasks, and the SHA-256 of every file of every expert.

    A task's expert is ``adapters/TASK``, its held-out rows are the data set ``TASK.heldout``. ``mixed`` and
    ``mixed-blend`` are for a router; the defaults of ``messages.TrainRouter`` suit the first.
    """
    experts = {
        task.name: {path.name: sha256_file(path) for path in sorted((out / "adapters" / task.name).iterdir())}
        for task in TASKS
    }
    _write_json(
        out / "starter.json",
        {"base": BASE_NAME, "tasks": [task.name for task in TASKS], "experts": experts},
    )


def write_readme(path: Path, scores: Mapping[str, Mapping[str, Scored]], facts: Mapping[str, str]) -> None:
    """The pack's README.md: what is in it, how it was made, and every model's score on every task."""
    columns = (*TASKS, BLEND)
    header = "| | " + " | ".join(task.name for task in columns) + " |\n|---|" + "---|" * len(columns)
    table = "\n".join(
        f"| {model} | " + " | ".join(f"{row[task.name].value:.3f}" for task in columns) + " |"
        for model, row in scores.items()
    )
    lines = "\n".join(f"- {key}: {value}" for key, value in facts.items())
    path.write_text(
        f"""\
# The starter pack

A small Llama and {len(TASKS)} adapters, made by the recipes in `engine/starter` and by nothing else:
`python -m engine.starter.build --out DIR` makes them again, in half an hour on one busy CPU core.
Apache-2.0.

- `base/`: {BASE_NAME}. It has seen every printable character and what every task writes, but never which
  command asks for what; asked anything, it mostly says the word back.
- `adapters/NAME/`: one expert each, an ordinary PEFT folder with a card.
- `data/`: `TASK.train.jsonl`, `TASK.heldout.jsonl`, and `mixed.jsonl` to train a router on. Every word
  belongs to one of three splits by its hash: held-out words were met by no expert, router or base.
- `data/blend.heldout.jsonl` and `data/mixed-blend.jsonl`: a task that no single expert can do. `blend`
  {BLEND.does}; the router's data has it among the others.
- `starter.json`: the base's name, the tasks, and the hashes of the experts' files.
- The defaults with which the studio trains a router were chosen on this pack.

## Scores

Exact match on held-out nouns; rows are models, columns are tasks.

{header}
{table}

## Recipe

{lines}
""",
        encoding="utf-8",
    )


def _percent(score: Scored) -> str:
    low, high = score.interval
    return f"{score.value:.1%} exact (95 % interval {low:.1%} to {high:.1%}, {score.n} words)"


def _entry(name: str, description: str) -> dict[str, str]:
    return {"name": name, "file": f"{name}.jsonl", "description": description}


def _write_rows(path: Path, rows: Iterable[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _write_json(path: Path, value: Mapping[str, Any] | Sequence[Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
