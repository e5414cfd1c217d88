"""Downloads against `hf download`, interleaved in one run; and what a verdict costs before any download.

Measured is wall-clock time from the order to files that can be used. Ours is a job for an engine that runs,
as it does behind the window; it includes the start of the process that downloads, the SHA-256 of every byte,
syncing to the disk and the entry in the library. Theirs is one command; it includes the start of Python,
compares sizes, and syncs nothing. Our own command from a standing start, engine included, is printed beside
them.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine import messages as m
from tests.hub.handle import HubServer
from tests.hub.rig import Rig, digest, write_adapter, write_base

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1200)]

REPO = "ada/large"
ROUNDS = 5
BIN = Path(sys.executable).parent


@pytest.fixture
def rig(hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    hub.enter(monkeypatch)
    with Rig(hub, tmp_path / "home") as rig:
        yield rig


def test_throughput_of_a_gigabyte(rig: Rig, tmp_path: Path) -> None:
    hub = rig.hub
    files = write_base(tmp_path / "source", 1024)
    hub.add(REPO, files)
    cache = Path(hub.environment()["HF_HUB_CACHE"])
    wanted = digest(files["model.safetensors"])
    seconds: dict[str, list[float]] = {"ours": [], "hf download": [], "our command": []}

    def ours() -> None:
        job = rig.get(REPO, f"large-{len(seconds['ours'])}", room="bases", seconds=300)
        assert job.state == "done", job

    def theirs() -> None:
        _run("hf", "download", REPO)

    def command() -> None:
        _run("adapter-studio", "--home", str(tmp_path / "command"), "hub", "download", REPO)

    def forget() -> None:
        """So that every round starts from nothing, the process that downloads included."""
        _run("adapter-studio", "--home", str(tmp_path / "command"), "engine", "stop")
        shutil.rmtree(tmp_path / "command", ignore_errors=True)
        _end_downloader(rig)
        for base in rig.ask(m.ListBases()).bases:
            if base.repo == REPO:
                rig.ask(m.RemoveBase(name=base.name))
        shutil.rmtree(cache, ignore_errors=True)
        os.sync()

    arms = dict(zip(seconds, (ours, theirs, command), strict=True))
    rig.ask(m.Status())
    dice = random.Random(0)
    for number in range(ROUNDS):
        for arm in dice.sample(list(arms), len(arms)):
            forget()
            began = time.perf_counter()
            arms[arm]()
            seconds[arm].append(time.perf_counter() - began)
            (fetched,) = cache.glob("models--*/snapshots/*/model.safetensors")
            if number == 0:
                assert digest(fetched) == wanted
    ratios = [theirs / ours for ours, theirs in zip(seconds["ours"], seconds["hf download"], strict=True)]
    print(f"\n1 GB on loopback, {ROUNDS} rounds")
    for arm, values in seconds.items():
        median = statistics.median(values)
        spread = " ".join(f"{value:.2f}" for value in values)
        print(f"  {arm:12} {median:6.2f} s   {1024 / median:6.0f} MB/s   ({spread})")
    print(f"  throughput to hf download, median of rounds: {statistics.median(ratios):.2f}")
    assert statistics.median(ratios) >= 0.95


@pytest.mark.parametrize("tensors", [256, 6000])
def test_a_verdict_costs_few_bytes_and_little_time(rig: Rig, tmp_path: Path, tensors: int) -> None:
    """Adapters on a base of the library: from the order on, in under 64 KB and one second each. The table of
    contents of the larger one has some 700 KB."""
    hub = rig.hub
    files = write_adapter(
        tmp_path / "adapter", tensors // 2, rank=max(1, 4096 // tensors), base="studio/base"
    )
    rig.ask(m.ListBases())
    spent, read = [], []
    for number in range(5):
        hub.add(f"ada/large-{number}", files, base="studio/base")
        hub.forget()
        began = time.perf_counter()
        (verdict,) = rig.ask(m.JudgeHub(repos=[f"ada/large-{number}"], base="starter-llama")).verdicts
        spent.append(time.perf_counter() - began)
        read.append(sum(each["sent"] for each in hub.requests()))
        assert verdict.fit.verdict == "red" and 0 < verdict.read <= read[-1] < 64 << 10
    print(f"\n  {tensors} tensors: {max(read):,} bytes, {max(spent) * 1e3:.0f} ms. {verdict.fit.reason}")
    assert max(spent) < 1.0


def _end_downloader(rig: Rig) -> None:
    for process in rig.engine.children(recursive=True):
        if "engine.hub" in process.cmdline():
            process.kill()
            process.wait(10)


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([BIN / program, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done
