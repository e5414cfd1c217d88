"""What a job may ask for: the bounds of every number in its spec, and how many steps it will take."""

from __future__ import annotations

import math

from engine.formats.errors import StudioError
from engine.messages import JobSpec, TrainLora, TrainRouter

__all__ = ["check_spec", "planned_steps"]

_LIMITS: dict[str, tuple[float, float]] = {
    "rank": (1, 1024),
    "alpha": (1e-6, 1e6),
    "steps": (1, 10_000_000),
    "epochs": (1, 10_000),
    "max_examples": (1, 10_000_000),
    "batch_size": (1, 65536),
    "learning_rate": (1e-9, 10.0),
    "warmup": (0.0, 1.0),
    "weight_decay": (0.0, 10.0),
    "max_length": (2, 1_048_576),
    "temperature": (1e-3, 1e3),
    "balance_weight": (0.0, 1e3),
    "entropy_weight": (-1e3, 1e3),
    "seed": (0, 2**63 - 1),
    "checkpoint_seconds": (0.0, 86400.0),
}


def check_spec(spec: JobSpec) -> None:
    """StudioError("usage") naming the first field that is out of its bounds."""
    for field, (low, high) in _LIMITS.items():
        value = getattr(spec, field, None)
        if value is not None and not (math.isfinite(value) and low <= value <= high):
            name = field.replace("_", " ")
            raise StudioError(
                "usage", f"The {name} cannot be {value:g}.", f"Choose a value from {low:g} to {high:g}."
            )
    if isinstance(spec, TrainRouter):
        if not spec.experts:
            raise StudioError("usage", "A mix needs at least one expert.", "Name experts with --expert.")
        twice = sorted({name for name in spec.experts if spec.experts.count(name) > 1})
        if twice:
            raise StudioError("usage", f"The expert {twice[0]} is named twice.", "Name each expert once.")


def planned_steps(spec: JobSpec, rows: int) -> int:
    """Optimizer steps of a job on ``rows`` examples."""
    if isinstance(spec, TrainLora):
        return spec.steps
    if spec.steps is not None:
        return spec.steps
    return spec.epochs * math.ceil(min(rows, spec.max_examples) / spec.batch_size)
