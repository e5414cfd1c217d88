"""``python -m engine.starter.study --out DIR``: every way of using the six starter experts, measured.

Each condition (an arm, a number of training rows, a seed) is trained with the same number of steps, scored
on held-out words of the six tasks and of blend, and kept as one small file in DIR, so that the study goes on
where it was stopped. ``engine.starter.study_report`` turns the files into tables and a picture.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from engine.formats.dataset import Row, read_rows
from engine.formats.files import write_file
from engine.lora import Adapter, attach, read_adapter
from engine.messages import Arm, GateMode, ScoreMix
from engine.mixer.training import RouterTask
from engine.runtime.arms import Bench, Entry
from engine.runtime.base import Base, load_base
from engine.runtime.scoring import Speaker, measure, read_examples
from engine.starter.pack import BASE_NAME
from engine.starter.tasks import BLEND, TASKS
from engine.training import Settings, train
from engine.training.play import play
from engine.training.text import Example

__all__ = ["CONDITIONS", "Condition", "Study", "run"]

T = TypeVar("T")
PACK = Path(__file__).parents[2] / "resources" / "starter"
SEEDS = (0, 1, 2)
SIZES = (100, 300, 1000, 2000)
STEPS = 250
"""Training steps of every condition: four passes over 2,000 rows in batches of 32."""
HELDOUT = 150
"""Held-out words per task."""
ROUTER_RATE = 1e-2
TOP_K = 3
PLAYS: tuple[GateMode, ...] = ("soft", "topk", "hard")
WHOLE = 2000

ROUTERS: dict[str, dict[str, Any]] = {
    "context": {},
    "local": {"router_input": "local"},
    "as printed": {"entropy_weight": 0.05},
    "flipped": {"entropy_weight": -0.05},
    "band": {"band_weight": 0.005},
}
"""How the routers differ; what is not said is the default of ``RouterTask``."""

FIXED: tuple[Arm, ...] = ("base", "uniform", "arrow")


@dataclass(frozen=True)
class Condition:
    """One file of the study. ``arm`` is a key of ROUTERS, an arm of a comparison, or "expert:NAME"."""

    arm: str
    rows: int
    seed: int

    @property
    def file(self) -> str:
        return f"{self.arm.replace(' ', '_').replace(':', '-')}-{self.rows}-{self.seed}.json"


def _conditions() -> Iterator[Condition]:
    """The untrained arms once; then seed after seed, so that the first results cover everything."""
    for arm in (*FIXED, *(f"expert:{task.name}" for task in TASKS)):
        yield Condition(arm, 0, 0)
    for seed in SEEDS:
        for arm in ("context", "lora", "learned", "local", "as printed", "flipped"):
            yield Condition(arm, WHOLE, seed)
        for rows in SIZES[:-1]:
            yield Condition("context", rows, seed)
            yield Condition("lora", rows, seed)
        yield Condition("xlora", WHOLE, seed)
        yield Condition("band", WHOLE, seed)


CONDITIONS = tuple(_conditions())


class Study:
    """The starter pack loaded once. ``hits`` of a play are one 0 or 1 per held-out word."""

    def __init__(self, pack: Path = PACK, heldout: int = HELDOUT, steps: int = STEPS) -> None:
        self.steps = steps
        self.base: Base = load_base(pack / "base", BASE_NAME, "cpu")
        self.experts: dict[str, Adapter] = {
            task.name: read_adapter(pack / "adapters" / task.name) for task in TASKS
        }
        self.rows: Sequence[Row] = read_rows(pack / "data" / "mixed-blend.jsonl")
        self.tests: Mapping[str, Sequence[Example]] = {
            task.name: read_examples(self.base, str(pack / f"data/{task.name}.heldout.jsonl"), heldout)
            for task in (*TASKS, BLEND)
        }

    def measure(self, condition: Condition) -> dict[str, Any]:
        """{"plays": {how it is played: {set: hits}}, "parameters", "training": CPU seconds, "scoring"}."""
        with ExitStack() as stack:
            if condition.arm in ROUTERS:
                return self._router(condition, stack)
            return self._other(condition, stack)

    def drawn(self, condition: Condition) -> list[Row]:
        """The rows that a condition learns from, the same for every arm, and drawn as ``RouterTask`` does."""
        order = torch.randperm(len(self.rows), generator=torch.Generator().manual_seed(condition.seed))
        return [self.rows[number] for number in order[: condition.rows].tolist()]

    def _router(self, condition: Condition, stack: ExitStack) -> dict[str, Any]:
        began = time.process_time()
        task = RouterTask(
            self.base.model,
            self.base.tokenizer,
            self.drawn(condition),
            self.experts,
            seed=condition.seed,
            **ROUTERS[condition.arm],
        )
        stack.callback(task.close)
        for _ in train(task, Settings(steps=self.steps, learning_rate=ROUTER_RATE, seed=condition.seed)):
            pass
        trained = time.process_time()
        plays: dict[str, Any] = {}
        for mode in PLAYS:
            playing = task.router.play(mode, top_k=TOP_K)
            gates = task.bank.new_gates(dict.fromkeys(self.experts, 1.0), router=playing)
            plays[mode] = self._hits(Speaker(self.base.model, partial(play, task.bank, gates)))
        return _result(plays, task.router.size, began, trained)

    def _other(self, condition: Condition, stack: ExitStack) -> dict[str, Any]:
        began = time.process_time()
        bank = attach(self.base.model, self.experts)
        stack.callback(bank.detach)
        spec = ScoreMix(base=self.base.name, mix="", data={}, top_k=TOP_K, seed=condition.seed)
        bench = Bench(self.base, bank, spec, self.drawn(condition), steps=self.steps)
        arm, _, expert = condition.arm.partition(":")
        entry = Entry("experts" if expert else arm, condition.arm, "", expert)  # type: ignore[arg-type]
        ready = _end(bench.ready(entry, stack, lambda step, steps: None))
        trained = time.process_time()
        return _result({"alone": self._hits(ready.speaker)}, ready.parameters, began, trained)

    def _hits(self, speaker: Speaker) -> dict[str, list[int]]:
        return {
            name: [int(hit) for hit in _end(measure(self.base, speaker, examples, "exact", 75)).totals]
            for name, examples in self.tests.items()
        }


def _result(plays: dict[str, Any], parameters: int, began: float, trained: float) -> dict[str, Any]:
    return {
        "plays": plays,
        "parameters": parameters,
        "training": round(trained - began, 2),
        "scoring": round(time.process_time() - trained, 2),
    }


def _end(work: Generator[Any, None, T]) -> T:
    while True:
        try:
            next(work)
        except StopIteration as end:
            value: T = end.value
            return value


def run(out: Path, conditions: Sequence[Condition] = CONDITIONS, study: Study | None = None) -> None:
    """Measure the conditions that are not in ``out`` yet; several processes may share the work by arms."""
    out.mkdir(parents=True, exist_ok=True)
    for condition in conditions:
        if (out / condition.file).exists():
            continue
        study = study or Study()
        found: dict[str, Any] = {"arm": condition.arm, "rows": condition.rows, "seed": condition.seed}
        found |= study.measure(condition)
        write_file(out / condition.file, json.dumps(found).encode())
        gc.collect()
        means = {how: _mean(sets) for how, sets in found["plays"].items()}
        print(condition.file, means, found["training"], found["scoring"], file=sys.stderr, flush=True)


def _mean(sets: Mapping[str, Sequence[int]]) -> float:
    return round(sum(sum(hits) / len(hits) for hits in sets.values()) / len(sets), 3)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m engine.starter.study", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder of the results")
    parser.add_argument("--arm", action="append", help="only this arm (again for several)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    run(arguments.out, [one for one in CONDITIONS if not arguments.arm or one.arm in arguments.arm])


if __name__ == "__main__":
    main()
