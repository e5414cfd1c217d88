"""From the spec of a training to the task that the loop trains, and how it trains it."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from engine.dylora import DyloraTask
from engine.formats.adapter_file import fingerprint
from engine.formats.dataset import read_rows
from engine.formats.files import sha256_file
from engine.formats.mix_file import MIXER
from engine.lora import Adapter, at_rank, read_adapter
from engine.messages import StartJob, TrainDylora, TrainGate, TrainJoint, TrainLora, TrainRouter
from engine.mixer import Router, load_mix
from engine.mixer.joint import JointTask
from engine.mixer.own_gate import GateTask
from engine.mixer.training import RouterTask
from engine.runtime.base import Base
from engine.training import LoraTask, Settings

__all__ = ["TASKS", "Training", "TrainingSpec", "job_hash", "make_task", "settings_of"]

TrainingSpec = TrainLora | TrainDylora | TrainRouter | TrainJoint | TrainGate
Training = LoraTask | RouterTask | JointTask | GateTask

TASKS: dict[type, type] = {
    TrainLora: LoraTask,
    TrainDylora: DyloraTask,
    TrainRouter: RouterTask,
    TrainJoint: JointTask,
    TrainGate: GateTask,
}


def make_task(base: Base, spec: TrainingSpec, paths: Mapping[str, str]) -> Training:
    """The task of ``spec``, its bank on the model until it is closed. ``paths`` as in StartJob.

    StudioError when something that it reads cannot be used.
    """
    model, tokenizer = base.model, base.tokenizer
    options = _options(spec) | {"name": spec.out, "base": base.name}
    rows = read_rows(paths["data"]) if "data" in paths else []
    match spec:
        case TrainLora():
            return LoraTask(model, tokenizer, rows, **options)
        case TrainDylora():
            return DyloraTask(model, tokenizer, rows, **options)
        case TrainGate():
            adapter = read_adapter(paths[f"adapter:{spec.adapter}"])
            return GateTask(model, tokenizer, rows, adapter, **options)
        case TrainJoint():
            sets = {domain.expert: read_rows(paths[f"data:{domain.expert}"]) for domain in spec.domains}
            begun = [domain for domain in spec.domains if domain.adapter]
            start = {domain.expert: read_adapter(paths[f"adapter:{domain.adapter}"]) for domain in begun}
            slid = {domain.expert: domain.rank for domain in begun if domain.rank is not None}
            start |= {name: at_rank(start[name], rank) for name, rank in slid.items()}
            return JointTask(model, tokenizer, sets, start=start, **options)
        case TrainRouter():
            known: dict[str, Adapter] = {}
            options["extend"] = None
            if spec.extend:
                options["extend"], known = _mix(base, paths[f"mix:{spec.extend}"])
            folders = {name: Path(paths[f"adapter:{name}"]) for name in spec.experts if name not in known}
            experts = known | {name: read_adapter(folder) for name, folder in folders.items()}
            if spec.start == "gates":
                options["gate_folders"] = folders
            return RouterTask(model, tokenizer, rows, experts, **options)


def _options(spec: TrainingSpec) -> dict[str, Any]:
    """What a task takes from its spec as it is: every option that has the same name in both."""
    parameters = inspect.signature(TASKS[type(spec)]).parameters.values()
    options = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
    return {name: getattr(spec, name) for name in options if name in spec.__struct_fields__}


def _mix(base: Base, folder: str) -> tuple[Router, dict[str, Adapter]]:
    """The router of a mix and its experts, off the model."""
    bank, router, mix = load_mix(folder, base.model)
    bank.detach()
    return router, {name: bank.adapters[name] for name in mix.experts}


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


def _digest(folder: Path) -> str:
    if folder.is_file():
        return sha256_file(folder)
    # The card of a mix holds the hashes of all its files.
    return sha256_file(folder / MIXER) if (folder / MIXER).is_file() else fingerprint(folder)
