"""Fair timing: arms interleaved at random, one thread, medians of rounds; CPU time, or CUDA events."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest
import torch

# What is to be timed: called untimed to make ready, it returns what is timed.
Arm = Callable[[], Callable[[], object]]


@dataclass(frozen=True)
class Timing:
    """Seconds per arm and round. Arms are compared round by round, so that other people's load, which comes
    and goes, falls on both sides."""

    seconds: dict[str, list[float]]

    @property
    def medians(self) -> dict[str, float]:
        return {arm: statistics.median(values) for arm, values in self.seconds.items()}

    def ratio(self, arm: str, to: str | None = None) -> float:
        """Time of ``arm`` over that of ``to`` (absent: the first arm): the median of all rounds."""
        return statistics.median(self._ratios(arm, to or next(iter(self.seconds))))

    def interval(self, arm: str) -> tuple[float, float]:
        """95 % bootstrap interval of the ratio to the first arm."""
        dice, ratios = random.Random(1), self._ratios(arm, next(iter(self.seconds)))
        drawn = sorted(statistics.median(dice.choices(ratios, k=len(ratios))) for _ in range(400))
        return drawn[9], drawn[389]

    def _ratios(self, arm: str, to: str) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self.seconds[arm], self.seconds[to], strict=True)]

    def table(self, title: str, **floors: float) -> str:
        """One line per arm, and one for each of ``floors``: the ratio that counting alone gives."""
        first = next(iter(self.medians))
        lines = [f"\n{title}", f"  {'':24} {'ms':>9}   to {first}, 95 % interval"]
        for arm, seconds in self.medians.items():
            low, high = self.interval(arm)
            lines.append(f"  {arm:24} {seconds * 1e3:9.3f}  {self.ratio(arm):6.3f}   {low:.3f} to {high:.3f}")
        for what, ratio in floors.items():
            lines.append(f"  {'floor (' + what.replace('_', ' ') + ')':24} {'':9}  {ratio:6.3f}")
        return "\n".join(lines)


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    if device.type != "cuda":
        start = time.process_time()
        run()
        return time.process_time() - start
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    first.record()
    run()
    last.record()
    torch.cuda.synchronize()
    return first.elapsed_time(last) / 1e3


def _compare(
    arms: Mapping[str, Arm], device: torch.device, repeats: int, per: int = 1, warmups: int = 2
) -> Timing:
    """Time every arm ``repeats`` times, interleaved; seconds are divided by ``per`` (tokens in a run)."""
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    for ready in arms.values():
        for _ in range(max(5, warmups) if device.type == "cuda" else warmups):
            ready()()
    dice = random.Random(0)
    for _ in range(repeats):
        for arm in dice.sample(list(arms), len(arms)):
            seconds[arm].append(_seconds(arms[arm](), device) / per)
    return Timing(seconds)


@pytest.fixture
def compare() -> Callable[..., Timing]:
    return _compare


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(scope="session")
def kind(device: torch.device) -> torch.dtype:
    """The base's number format: bfloat16 on a GPU, float32 on a CPU."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32
