"""The random generators of one job: its own, whatever else draws random numbers in the same process."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import torch
from torch import Tensor

__all__ = ["Randomness"]

MERSENNE = "MT19937"


class Randomness:
    """State of Python's, numpy's, torch's and (where one is in use) the GPUs' generators."""

    def __init__(self, seed: int) -> None:
        with _kept():
            random.seed(seed)
            numpy.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            self._state = _capture()

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Inside the block the process draws from these generators; outside it nobody notices."""
        with _kept():
            _restore(self._state)
            yield
            self._state = _capture()

    @property
    def position(self) -> dict[str, Any]:
        """Where the generators are now, in a form of their own."""
        return self._state

    @staticmethod
    def as_tensors(position: dict[str, Any]) -> dict[str, Tensor]:
        """A position as tensors that ``move`` reads."""
        version, words, gauss = position["python"]
        _, keys, used, has_gauss, cached = position["numpy"]
        return {
            "python": torch.tensor([version, *words], dtype=torch.int64),
            "python_gauss": torch.tensor([] if gauss is None else [gauss], dtype=torch.float64),
            "numpy": torch.from_numpy(keys.astype(numpy.int64)),
            "numpy_used": torch.tensor([used, has_gauss], dtype=torch.int64),
            "numpy_gauss": torch.tensor([cached], dtype=torch.float64),
            "torch": position["torch"],
            **{f"cuda_{index}": state for index, state in enumerate(position["cuda"])},
        }

    def move(self, tensors: dict[str, Tensor]) -> None:
        """Continue from a position."""
        version, *words = tensors["python"].tolist()
        gauss = tensors["python_gauss"].tolist()
        used, has_gauss = tensors["numpy_used"].tolist()
        keys = tensors["numpy"].numpy().astype(numpy.uint32)
        gpus = sum(name.startswith("cuda_") for name in tensors)
        self._state = {
            "python": (version, tuple(words), gauss[0] if gauss else None),
            "numpy": (MERSENNE, keys, used, has_gauss, tensors["numpy_gauss"].item()),
            "torch": tensors["torch"],
            "cuda": [tensors[f"cuda_{index}"] for index in range(gpus)],
        }


@contextmanager
def _kept() -> Iterator[None]:
    outside = _capture()
    try:
        yield
    finally:
        _restore(outside)


def _capture() -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": numpy.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if _gpu_in_use() else [],
    }


def _restore(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    numpy.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if _gpu_in_use():
        # A state taken beside more GPUs serves those that are here.
        for index, each in enumerate(state["cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(each, index)


def _gpu_in_use() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
