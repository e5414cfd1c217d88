"""``python -m engine.starter.rank_study --out DIR``: one DyLoRA beside a LoRA for each rank, and cut LoRAs.

Each condition (a set of rows, an arm, a seed) is trained with the same steps and rate, scored on held-out
rows at every rank that it has, and kept as one small file in DIR with its adapter beside it, so that the
study goes on where it was stopped. ``engine.starter.rank_study_report`` turns the files into tables and a
picture.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import torch

from engine.dylora import DyloraTask
from engine.formats.dataset import Row
from engine.formats.files import write_file
from engine.lora import Adapter, attach, in_order, read_adapter, svd_order, write_adapter
from engine.lora.weighing import Moments, weigh
from engine.messages import OrderRanks, RankOrder
from engine.runtime.base import Base, load_base
from engine.runtime.ordering import gather
from engine.runtime.scoring import Speaker, measure
from engine.starter import tasks
from engine.starter.pack import BASE_NAME, DataRecipe
from engine.starter.topics import topic_rows
from engine.training import LoraTask, Settings, StepDone, train
from engine.training.play import play
from engine.training.text import Example, encode

__all__ = ["ABLATED", "CONDITIONS", "HIGHEST", "SEEDS", "SETS", "Condition", "Study", "run"]

PACK = Path(__file__).parents[2] / "resources" / "starter"
SEEDS = (0, 1, 2)
HIGHEST = 8
ALPHA = 16.0
RATE = 1e-2
BATCH = 32
QUERY_VALUE = ("q_proj", "v_proj")
"""What the paper adapts."""

LAST = tuple(f"layers.3.self_attn.{name}" for name in QUERY_VALUE)
"""The same in the last layer alone: in all four, rank 1 is enough for the starter's own tasks."""

TRAINED: dict[str, dict[str, Any]] = {
    "dylora": {},
    "longer": {},
    "frozen": {"mode": "frozen"},
    "geometric": {"draw": "geometric"},
}
"""One run each for all ranks; what is not said is the default of ``DyloraTask``."""

LONGER = 1.75
"""Times the steps of the others that "longer" makes: within a quarter of what a LoRA for each rank costs."""

ORDERS: tuple[str, ...] = (*get_args(RankOrder), "weighed")
"""In which columns of a LoRA are cut; "weighed": by what they say on the rows that it was trained on."""


@dataclass(frozen=True)
class Set:
    """What is learned: ``rows()`` to train on and to score on, in the same number of steps by every arm."""

    title: str
    rows: Callable[[], tuple[list[tasks.Row], list[tasks.Row]]]
    steps: int = 150
    targets: tuple[str, ...] = LAST


def _task(task: tasks.Task) -> tuple[list[tasks.Row], list[tasks.Row]]:
    recipe = DataRecipe()
    return tasks.mixed_rows([task], recipe.train, recipe.seed), tasks.heldout_rows(
        task, recipe.heldout, recipe.seed
    )


def _six() -> tuple[list[tasks.Row], list[tasks.Row]]:
    recipe, each = DataRecipe(), DataRecipe().heldout // len(tasks.TASKS)
    heldout = [row for task in tasks.TASKS for row in tasks.heldout_rows(task, each, recipe.seed)]
    return tasks.mixed_rows(tasks.TASKS, recipe.train, recipe.seed), heldout


def _topics() -> tuple[list[tasks.Row], list[tasks.Row]]:
    recipe = DataRecipe()
    return topic_rows(recipe.train, recipe.heldout, recipe.seed)


SETS: dict[str, Set] = {
    "plural": Set("plural", partial(_task, tasks.TASKS[3])),
    "blend": Set("blend", partial(_task, tasks.BLEND)),
    "six": Set("all six commands", _six),
    "topics": Set("topics, a text classification", _topics, 250, QUERY_VALUE),
}

ABLATED = "six"
"""The set on which the other ways of training a DyLoRA are tried."""


@dataclass(frozen=True)
class Condition:
    """One file of the study. ``arm`` is a key of TRAINED, "lora-R", or "cut-ORDER" of the LoRA of the highest
    rank ("cut-" alone: its columns as they are)."""

    data: str
    arm: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.data}-{self.arm}-{self.seed}"


def _conditions() -> Iterator[Condition]:
    """Seed after seed, so that the first results cover everything."""
    for seed in SEEDS:
        for data in SETS:
            yield Condition(data, "dylora", seed)
            for rank in range(HIGHEST, 0, -1):
                yield Condition(data, f"lora-{rank}", seed)
            for order in ORDERS:
                yield Condition(data, f"cut-{order}", seed)
            yield Condition(data, "longer", seed)
    for seed in SEEDS:
        for arm in TRAINED:
            if arm not in ("dylora", "longer"):
                yield Condition(ABLATED, arm, seed)


CONDITIONS = tuple(_conditions())


class Study:
    """The base loaded once. ``out`` gets the adapters; ``hits`` at a rank are one 0 or 1 per held-out row."""

    def __init__(self, out: Path, base: Base | None = None, sets: Mapping[str, Set] = SETS) -> None:
        self.base = base or load_base(PACK / "base", BASE_NAME, "cpu")
        self._folder = out / "adapters"
        self._sets = sets
        self._examples: dict[str, list[Example]] = {}
        self._rows: dict[str, list[Row]] = {}

    def measure(self, condition: Condition) -> dict[str, Any]:
        """{"hits": {rank: hits}, "scoring": CPU seconds}, and where it was trained "training" and "loss"."""
        arm, _, detail = condition.arm.partition("-")
        if arm == "cut":
            whole = Condition(condition.data, f"lora-{HIGHEST}", condition.seed)
            source = read_adapter(self._folder / whole.name)
            if detail == "weighed":
                return self._scored(self._weighed(source, condition.data), condition.data)
            return self._scored(in_order(source, detail), condition.data)  # type: ignore[arg-type]
        rank = int(detail) if arm == "lora" else HIGHEST
        trained = self._train(condition, rank)
        adapter = read_adapter(self._folder / condition.name)
        return trained | self._scored(adapter, condition.data, [rank] if arm == "lora" else None)

    def _train(self, condition: Condition, rank: int) -> dict[str, Any]:
        rows, _ = self._drawn(condition.data)
        options = TRAINED.get(condition.arm)
        new_task: Callable[..., LoraTask] = LoraTask if options is None else partial(DyloraTask, **options)
        began = time.process_time()
        task = new_task(
            self.base.model,
            self.base.tokenizer,
            rows,
            rank=rank,
            alpha=ALPHA,
            targets=self._sets[condition.data].targets,
            batch_size=BATCH,
            seed=condition.seed,
            base=self.base.name,
        )
        steps = round(self._sets[condition.data].steps * (LONGER if condition.arm == "longer" else 1.0))
        settings = Settings(steps=steps, learning_rate=RATE, seed=condition.seed)
        losses = [event.metrics["loss"] for event in train(task, settings) if isinstance(event, StepDone)]
        seconds = time.process_time() - began
        folder = self._folder / condition.name
        if folder.exists():  # of a run that was ended before it was scored
            shutil.rmtree(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        task.save(folder)
        task.close()
        return {"training": round(seconds, 2), "loss": losses[-1]}

    def _weighed(self, adapter: Adapter, data: str) -> Adapter:
        rows, _ = self._drawn(data)
        with TemporaryDirectory() as name:
            folder, file, moments = (Path(name) / part for part in ("it", "rows.jsonl", "moments"))
            write_adapter(svd_order(adapter), folder)
            lines = (json.dumps({"prompt": row.prompt, "completion": row.completion}) for row in rows)
            file.write_text("\n".join(lines))
            request = OrderRanks(adapter="it", out="weighed", base=self.base.name, data=str(file))
            deque(gather(self.base, request, str(folder), str(file), str(moments)), maxlen=0)
            return weigh(read_adapter(folder), Moments.load(moments))[0]

    def _scored(self, adapter: Adapter, data: str, ranks: Sequence[int] | None = None) -> dict[str, Any]:
        """Hits of ``adapter`` at ``ranks``, or at all of them."""
        began = time.process_time()
        _, examples = self._drawn(data)
        bank = attach(self.base.model, {"it": adapter})
        try:
            hits = {
                rank: self._hits(partial(play, bank, bank.new_gates({"it": 1.0}, {"it": rank})), examples)
                for rank in ranks or range(1, adapter.rank + 1)
            }
        finally:
            bank.detach()
        return {"hits": hits, "scoring": round(time.process_time() - began, 2)}

    def _hits(self, playing: Callable[[], Any], examples: Sequence[Example]) -> list[int]:
        steps = measure(self.base, Speaker(self.base.model, playing), examples, "exact", 75)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return [int(hit) for hit in end.value.totals]

    def _drawn(self, data: str) -> tuple[list[Row], list[Example]]:
        """The rows to train on, the examples to score on: the same for every arm and seed."""
        if data not in self._rows:
            training, heldout = (
                [Row(row["prompt"], row["completion"]) for row in rows] for rows in self._sets[data].rows()
            )
            self._rows[data] = training
            self._examples[data] = encode(self.base.tokenizer, heldout)
        return self._rows[data], self._examples[data]


def run(out: Path, conditions: Sequence[Condition] = CONDITIONS, study: Study | None = None) -> None:
    """Measure the conditions that are not in ``out`` yet, in their order (what is cut is trained before)."""
    out.mkdir(parents=True, exist_ok=True)
    for condition in conditions:
        file = out / f"{condition.name}.json"
        if file.exists():
            continue
        study = study or Study(out)
        found: dict[str, Any] = {"data": condition.data, "arm": condition.arm, "seed": condition.seed}
        found |= study.measure(condition)
        write_file(file, json.dumps(found).encode())
        gc.collect()
        means = [round(sum(hits) / len(hits), 3) for hits in found["hits"].values()]
        print(condition.name, means, found.get("training", ""), file=sys.stderr, flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m engine.starter.rank_study", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder of the results")
    parser.add_argument("--set", action="append", choices=SETS, help="only this set (again for several)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    run(arguments.out, [one for one in CONDITIONS if not arguments.set or one.data in arguments.set])


if __name__ == "__main__":
    main()
