"""The zoo itself: folders that PEFT wrote, each once a session, and the book of what was compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import Tensor

from tests.engine.lora.zoo.bases import answer, apart, build
from tests.engine.lora.zoo.recipes import RECIPES, of
from tests.engine.lora.zoo.writing import load, play, write


@dataclass
class Book:
    """Relative errors: {kind of comparison: {what was compared: error}}."""

    errors: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))

    def compare(self, kind: str, what: str, ours: Tensor, theirs: Tensor) -> float:
        self.errors[kind][what] = error = apart(ours, theirs)
        return error


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def book() -> Book:
    return Book()


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a recipe; PEFT writes it when it is first asked for."""
    root = tmp_path_factory.mktemp("zoo")
    return cache(lambda name: write(name, RECIPES[name], root / name))


@pytest.fixture(scope="session")
def peft_alone(zoo: Callable[[str], Path]) -> Callable[[str], Tensor]:
    """What a fresh base answers under PEFT with one folder."""

    def logits(name: str) -> Tensor:
        base = RECIPES[name].base
        return answer(play(load(build(base), {name: zoo(name)}), {name: 1.0}), base)

    return cache(logits)


@pytest.fixture(scope="session")
def peft_sum(zoo: Callable[[str], Path]) -> Callable[[str, Mapping[str, float]], Tensor]:
    """What a base answers under PEFT with several active adapters, where PEFT's sum is exact."""

    @cache
    def keeper(base: str) -> PeftModel:
        return load(build(base), {name: zoo(name) for name in of(base) if RECIPES[name].additive})

    return lambda base, weights: answer(play(keeper(base), weights), base)
