"""A step must be noticed by whoever keeps something worked out from the parameters, as a bank does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.training import Loss, Settings, train


class _Slope:
    def __init__(self) -> None:
        self.weight = torch.nn.Parameter(torch.zeros(3))

    def parameters(self) -> dict[str, Tensor]:
        return {"weight": self.weight}

    def batches(self, order: torch.Generator) -> list[int]:
        return [0]

    def loss(self, batch: int) -> Loss:
        return Loss(self.weight.sum(), 1)

    def save(self, folder: Path) -> dict[str, Any]:
        return {}


def test_every_step_changes_the_version_of_the_parameters() -> None:
    task = _Slope()
    versions = [task.weight._version]
    for _ in train(task, Settings(steps=3, learning_rate=0.1)):
        versions.append(task.weight._version)
    assert len(set(versions)) == 4
