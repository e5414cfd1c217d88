"""Ten thousand mutations of valid adapters: each ends in a clear verdict, soon, in little memory, and none
passes for the original."""

from __future__ import annotations

import io
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import messages
from engine.formats.adapter_config import parse_config
from engine.formats.adapter_file import inspect_folder
from engine.formats.adapter_folder import CONFIG, GATE, STUDIO, WEIGHTS, fingerprint, read_folder
from engine.formats.adapter_tensors import sort_tensors
from engine.formats.convert.foreign import find_plan
from engine.formats.convert.work import write
from engine.formats.errors import AdapterError
from engine.formats.safetensors_file import parse_header
from tests.engine.formats.mutations import SEEDS, Choices, Dice, mutate

MUTANTS = 10_000
SPARE = 64 << 20


def look(path: Path) -> messages.Inspection:
    """The verdict, with all that must hold for any verdict. Nothing but AdapterError is ever raised."""
    began = time.thread_time()
    card = inspect_folder(path)
    assert time.thread_time() - began < 1.0
    assert len(card.reason) > 10 and card.reason.isprintable() and card.kind.isprintable()
    try:
        file = read_folder(path if path.is_dir() else path.parent)
    except AdapterError as error:
        assert error.message and error.hint
        assert card.verdict != "ok"
    else:
        assert card.verdict == "ok" or not path.is_dir()
        assert all(landing.a.shape[0] == landing.rank for landing in file.landings)
    if card.verdict == "convert":
        plan = find_plan(path)
        assert plan is not None
        out = io.BytesIO()
        with plan.weights.path.open("rb") as weights:
            write(plan, weights, out)
        made = parse_header(out.getvalue(), out.tell())
        assert made == plan.table() and sort_tensors(parse_config(plan.config), made).landings
    return card


def test_ten_thousand_mutants_in_little_memory(tmp_path):
    """In a process of its own, whose peak is measured after the same work on sound files."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.engine.formats.test_mutations", str(tmp_path), str(MUTANTS)],
        capture_output=True, text=True, timeout=280, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    verdicts = dict(item.split("=") for item in ran.stdout.split())
    assert (
        int(verdicts["refuse"]) > MUTANTS / 2 and int(verdicts["ok"]) > 100 and int(verdicts["convert"]) > 100
    )
    assert int(verdicts["memory"]) < SPARE


class Drawn:
    """Choices from hypothesis, which remembers what failed and makes it small."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def number(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def data(self, size: int) -> bytes:
        return self._data.draw(st.binary(min_size=size, max_size=size))


@settings(max_examples=400, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(st.data())
def test_no_property_is_broken(tmp_path, data):
    look(mutate(tmp_path / "a", Drawn(data)))


@settings(max_examples=300, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.data())
def test_no_mutant_has_the_original_s_fingerprint(tmp_path, data):
    """Where a hash is known, no changed file passes for the one it is of."""
    folder = tmp_path / "a"
    path = mutate(folder, Drawn(data))
    if path != folder or any(file.is_symlink() or not file.is_file() for file in folder.iterdir()):
        return
    now = {file.name: file.read_bytes() for file in folder.iterdir()}
    for number, seed in enumerate(SEEDS):
        if seed[1] == WEIGHTS:
            put_seed(tmp_path / f"sound{number}", *seed)
            sound = {file.name: file.read_bytes() for file in (tmp_path / f"sound{number}").iterdir()}
            same = all(now.get(name) == sound.get(name) for name in (CONFIG, WEIGHTS, STUDIO, GATE))
            assert (fingerprint(folder) == fingerprint(tmp_path / f"sound{number}")) == same


def put_seed(folder: Path, config, name: str, weights: bytes) -> None:
    folder.mkdir(exist_ok=True)
    if config is not None:
        (folder / CONFIG).write_text(json.dumps(config))
    (folder / name).write_bytes(weights)


@pytest.mark.study
def test_mutants_that_reach_new_code(tmp_path):
    """Coverage-guided, by atheris, for as many runs as ADAPTER_STUDIO_FUZZ says (default 200,000)."""
    runs = os.environ.get("ADAPTER_STUDIO_FUZZ", "200000")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.engine.formats.fuzz", str(tmp_path), f"-runs={runs}", "-max_len=400",
         "-rss_limit_mb=600", "-timeout=5", f"-artifact_prefix={tmp_path}/", "-seed=1"],
        capture_output=True, text=True, timeout=3000, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    print(ran.stderr[-2000:])
    assert ran.returncode == 0, ran.stderr[-5000:]


def _main(folder: Path, count: int) -> None:
    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    dice = random.Random(4)
    verdicts: Counter[str] = Counter()
    for number, seed in enumerate(SEEDS):
        put_seed(folder / f"sound{number}", *seed)
        look(folder / f"sound{number}")
    before = peak()
    for _ in range(count):
        choices: Choices = Dice(dice.randbytes(400))
        verdicts[look(mutate(folder / "a", choices)).verdict] += 1
    print(*(f"{verdict}={n}" for verdict, n in verdicts.items()), f"memory={peak() - before}")


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]))
