"""From the spec of a training to the task that the loop trains, and how it trains it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import msgspec

from engine.formats.adapter_file import fingerprint
from engine.formats.dataset import Row, read_rows
from engine.formats.errors import StudioError
from engine.formats.files import sha256_file
from engine.formats.mix_file import MIXER
from engine.lora import read_adapter
from engine.messages import StartJob, TrainGate, TrainJoint, TrainLora, TrainRouter
from engine.mixer.training import RouterTask
from engine.runtime.base import Base
from engine.training import LoraTask, Settings

__all__ = ["Training", "TrainingSpec", "job_hash", "make_task", "settings_of"]

TrainingSpec = TrainLora | TrainRouter | TrainJoint | TrainGate
Training = LoraTask | RouterTask

_SHARED = ("batch_size", "max_length", "seed")
_FIELDS = {
    TrainLora: ("rank", "alpha", "targets", "rslora"),
    TrainRouter: (
        "router_input",
        "null_expert",
        "temperature",
        "balance_weight",
        "entropy_weight",
        "max_examples",
    ),
}
"""What a task takes from its spec as it is, under the same name."""


def make_task(base: Base, spec: TrainingSpec, paths: Mapping[str, str]) -> Training:
    """The task of ``spec``, its bank on the model until it is closed. ``paths`` as in StartJob."""
    options = {field: getattr(spec, field) for field in _FIELDS.get(type(spec), ()) + _SHARED}
    options |= {"name": spec.out, "base": base.name}
    match spec:
        case TrainLora():
            return LoraTask(base.model, base.tokenizer, _rows(paths), **options)
        case TrainRouter(extend="", start="zero"):
            experts = {name: read_adapter(paths[f"adapter:{name}"]) for name in spec.experts}
            return RouterTask(base.model, base.tokenizer, _rows(paths), experts, **options)
    raise StudioError("failed", f"This engine cannot train {type(spec).__name__} so yet.")


def settings_of(spec: TrainingSpec, examples: int) -> Settings:
    """How the loop trains ``spec`` on so many examples."""
    steps = spec.steps
    if isinstance(spec, TrainRouter) and spec.steps is None:
        steps = spec.epochs * math.ceil(examples / spec.batch_size)
    assert steps is not None
    return Settings(
        steps=steps,
        learning_rate=spec.learning_rate,
        warmup=spec.warmup,
        weight_decay=spec.weight_decay,
        seed=spec.seed,
        checkpoint_seconds=spec.checkpoint_seconds,
    )


def job_hash(order: StartJob) -> str:
    """Names the spec and everything it reads: a checkpoint of anything else is not this job's."""
    read = {key: _digest(Path(path)) for key, path in sorted(order.paths.items())}
    return hashlib.sha256(msgspec.json.encode((order.spec, read))).hexdigest()


def _rows(paths: Mapping[str, str]) -> list[Row]:
    return read_rows(paths["data"]) if "data" in paths else []


def _digest(folder: Path) -> str:
    if folder.is_file():
        return sha256_file(folder)
    # The card of a mix holds the hashes of all its files.
    return sha256_file(folder / MIXER) if (folder / MIXER).is_file() else fingerprint(folder)
