"""Scoring a mix beside every honest alternative, on the same rows: a job resumed arm by arm."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import numpy
import torch

from engine.formats.dataset import Row, read_rows
from engine.formats.errors import StudioError
from engine.formats.files import sha256_file, write_file
from engine.formats.mix_file import MIXER
from engine.messages import Arm, ArmScore, ScoreMix
from engine.mixer import load_mix
from engine.runtime.arms import LEARNING, Bench, Entry, Ready, entries
from engine.runtime.base import Base
from engine.runtime.intervals import DIFFERENCE, SHARE, mean_interval
from engine.runtime.scoring import Measured, Metric, measure, read_examples
from engine.training import Mailbox
from engine.training.text import Example

__all__ = ["score_mix", "training_rows"]

Say = Callable[[int, int, str], None]
Outcome = Literal["done", "paused", "cancelled"]
Rows = dict[str, Measured]
T = TypeVar("T")

PARTS = 1000
"""Progress is told in thousandths of an arm."""

LEARNING_SHARE = 0.8
"""About how much of its time an arm that learns spends on learning."""


def score_mix(
    base: Base, spec: ScoreMix, paths: Mapping[str, str], folder: Path, mailbox: Mailbox, say: Say
) -> Generator[None, None, tuple[Outcome, dict[str, Any]]]:
    """Run the arms of ``spec`` in order: {"metric", "n", "arms": [ArmScore as builtins]}.

    Yields after every forward pass and training step. A finished arm lies in ``folder``/arms/NAME.json and is
    not run again by a later start with the same spec, mix and data; one that was cut short begins anew. An
    arm that cannot be had says why in ``missing``. With "keep" in the mailbox what is finished is the result.
    StudioError for a mix, DataError for a data set, that cannot be used.
    """
    if not spec.data:
        raise StudioError("usage", "There is nothing to score on.", "Choose at least one test set.")
    tests = {name: read_examples(base, paths[f"data:{name}"], spec.limit) for name in spec.data}
    rows = training_rows(spec, paths)
    yield
    folder = folder / "arms"
    folder.mkdir(parents=True, exist_ok=True)
    folder_of_mix = paths[f"mix:{spec.mix}"]
    bank, router, mix = load_mix(folder_of_mix, base.model, dtype=base.model.dtype, ranks=spec.ranks)
    bench = Bench(base, bank, spec, rows, router, int(mix.trained.get("examples", 0)))
    try:
        work = _Comparison(bench, tests, folder, _sign(spec, paths), say)
        running = work.run()
        while mailbox.action is None:
            try:
                next(running)
            except StopIteration:
                break
            yield
        running.close()
        if mailbox.action in ("pause", "cancel"):
            return ("paused" if mailbox.action == "pause" else "cancelled"), {}
        return "done", work.result()
    finally:
        bank.detach()


def training_rows(spec: ScoreMix, paths: Mapping[str, str]) -> list[Row]:
    """At most ``max_examples`` rows to learn from, drawn as a router's are; none without a training set."""
    if not spec.train:
        return []
    rows = read_rows(paths["train"])
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(spec.seed))
    return [rows[number] for number in order[: spec.max_examples].tolist()]


def _sign(spec: ScoreMix, paths: Mapping[str, str]) -> str:
    """Names everything that the arms depend on."""
    files = {
        key: sha256_file(Path(path) / MIXER if key.startswith("mix:") else Path(path))
        for key, path in sorted(paths.items())
    }
    return hashlib.sha256(msgspec.json.encode((spec, files))).hexdigest()


class _Comparison:
    """The arms one after the other; those that are done have a score and their rows."""

    def __init__(
        self, bench: Bench, tests: Mapping[str, Sequence[Example]], folder: Path, sign: str, say: Say
    ) -> None:
        self._bench = bench
        self._spec = bench.spec
        self._tests = tests
        self._folder = folder
        self._sign = sign
        self._say = say
        self._entries = self._lines(self._spec.arms)
        self._experts = self._lines(("experts",))
        needed = (self._experts if entry.arm == "oracle" else [entry] for entry in self._entries)
        self._plan = list(dict.fromkeys(entry for some in needed for entry in some))
        self._scores: dict[str, ArmScore] = {}
        self._rows: dict[str, Rows] = {}

    def _lines(self, arms: Sequence[Arm]) -> list[Entry]:
        return entries(arms, self._spec.top_k, self._bench.bank.experts, self._spec.ranks)

    def run(self) -> Generator[None, None, None]:
        for number, entry in enumerate(self._plan):
            if not self._read(entry):
                yield from self._one(entry, number)

    def result(self) -> dict[str, Any]:
        for entry in self._entries:
            if entry.arm == "oracle" and all(each.name in self._rows for each in self._experts):
                rows = self._rows[entry.name] = self._oracle()
                self._scores[entry.name] = _summary(entry, rows, self._spec.metric)
        arms = [msgspec.to_builtins(self._score(entry)) for entry in self._entries]
        n = sum(len(examples) for examples in self._tests.values())
        return {"metric": self._spec.metric, "n": n, "arms": arms}

    def _score(self, entry: Entry) -> ArmScore:
        score = self._scores.get(entry.name) or _missing(entry, STOPPED)
        mix = next((name for name in MIX if name in self._rows), entry.name)
        if score.missing or entry.name == mix:
            return score
        beside = _beside(self._rows[entry.name], self._rows[mix], self._spec.metric)
        return msgspec.structs.replace(score, beside_mix=beside)

    def _one(self, entry: Entry, number: int) -> Generator[None, None, None]:
        """Make one arm ready, score it on every set, and write what came out."""

        def tell(part: float, doing: str) -> None:
            self._say(int(PARTS * (number + part)), PARTS * len(self._plan), f"{entry.label}: {doing}.")

        def learning(step: int, steps: int) -> None:
            tell(first * step / steps, f"learning, step {step} of {steps}")

        def scoring(place: int, name: str, part: float) -> None:
            tell(first + (1 - first) * (place + part) / len(self._tests), f"scoring {name}")

        first = LEARNING_SHARE if entry.arm in LEARNING else 0.0
        began = time.monotonic()
        found: Rows = {}
        with ExitStack() as stack:
            try:
                ready = yield from self._bench.ready(entry, stack, learning)
                for place, name in enumerate(self._tests):
                    found[name] = yield from self._measured(ready, name, partial(scoring, place, name))
            except StudioError as error:
                self._scores[entry.name] = _missing(entry, f"{error.message} {error.hint}".strip())
                return
        score = _summary(entry, found, self._spec.metric, ready, time.monotonic() - began)
        self._keep(entry, score, found)

    def _measured(
        self, ready: Ready, name: str, tell: Callable[[float], None]
    ) -> Generator[None, None, Measured]:
        examples = self._tests[name]
        steps = measure(self._bench.base, ready.speaker, examples, self._spec.metric, self._spec.batch_size)
        tell(0.0)
        while True:
            try:
                seen = next(steps)
            except StopIteration as end:
                measured: Measured = end.value
                return measured
            if seen:
                tell(len(seen.totals) / len(examples))
            yield

    def _oracle(self) -> Rows:
        """Those of the expert that does best on each set, chosen on the very rows that it is scored on."""
        best = max if self._spec.metric == "exact" else min
        experts = [self._rows[each.name] for each in self._experts]
        return {
            name: best((each[name] for each in experts), key=lambda one: one.value) for name in self._tests
        }

    def _keep(self, entry: Entry, score: ArmScore, rows: Rows) -> None:
        self._scores[entry.name], self._rows[entry.name] = score, rows
        kept = {
            "sign": self._sign,
            "score": msgspec.to_builtins(score),
            "rows": {name: [each.totals.tolist(), each.counts.tolist()] for name, each in rows.items()},
        }
        write_file(self._file(entry), json.dumps(kept).encode())

    def _read(self, entry: Entry) -> bool:
        """Whether an earlier start has finished this arm, on the same inputs."""
        file = self._file(entry)
        kept = json.loads(file.read_bytes()) if file.exists() else {}
        if kept.get("sign") != self._sign:
            return False
        self._scores[entry.name] = msgspec.convert(kept["score"], ArmScore)
        self._rows[entry.name] = {
            name: Measured(*(numpy.array(part) for part in pair)) for name, pair in kept["rows"].items()
        }
        return True

    def _file(self, entry: Entry) -> Path:
        return self._folder / f"{entry.name.replace(':', '-')}.json"


MIX: tuple[Arm, ...] = ("soft", "topk", "hard")
"""Ways to play the mix; the others are held against the first of them that was scored."""

STOPPED = "The comparison was ended before its turn came."


def _missing(entry: Entry, why: str) -> ArmScore:
    return ArmScore(name=entry.name, label=entry.label, arm=entry.arm, missing=why)


def _summary(
    entry: Entry, rows: Rows, metric: Metric, ready: Ready | None = None, seconds: float = 0.0
) -> ArmScore:
    """The sets' values with their intervals, and their mean with its own."""
    sets = {name: (each.value, *each.interval(metric)) for name, each in rows.items()}
    pairs = [(each.totals, each.counts) for each in rows.values()]
    alone = next(iter(sets.values()))[1:]
    return ArmScore(
        name=entry.name,
        label=entry.label,
        arm=entry.arm,
        value=sum(value for value, _, _ in sets.values()) / len(sets),
        interval=alone if len(sets) == 1 else mean_interval(pairs, SHARE if metric == "exact" else None),
        sets=sets,
        trained=ready.trained if ready else 0,
        parameters=ready.parameters if ready else 0,
        seconds=round(seconds, 3),
    )


def _beside(rows: Rows, mix: Rows, metric: Metric) -> tuple[float, float, float]:
    """How much greater the mean over the sets is than that of the mix, and the interval of that."""
    gaps = [(each.totals - mix[name].totals, each.counts) for name, each in rows.items()]
    value = sum(float(totals.sum() / counts.sum()) for totals, counts in gaps) / len(gaps)
    return value, *mean_interval(gaps, DIFFERENCE if metric == "exact" else None)
