"""What a file or folder that is no adapter of today's PEFT is, and how it would become one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import messages
from engine.formats.adapter_config import parse_config
from engine.formats.adapter_folder import CONFIG, WEIGHTS
from engine.formats.convert.kinds import KINDS, plan_kind
from engine.formats.convert.kohya import is_kohya, plan_kohya
from engine.formats.convert.peft_layouts import plan_peft
from engine.formats.convert.plan import Plan
from engine.formats.convert.weights import Weights, read_weights
from engine.formats.errors import AdapterError
from engine.formats.plain import load_json, refuse_link

__all__ = ["Foreign", "find_plan", "plan_of", "recognise"]

MAX_ENTRIES = 10_000
_ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True)
class Foreign:
    """An adapter of another format that can be converted exactly: what it is, and what it would become."""

    format: str
    weights: Path
    becomes: messages.Inspection


def recognise(path: Path) -> Foreign | None:
    """What the file or folder at ``path`` is, by its content; None: an adapter of today's PEFT, or nothing
    of which anything is known here.

    AdapterError with the reason when it is known and cannot be converted exactly; code "refused" when it
    is unsafe. Nothing is executed, and of the numbers only kohya's alphas are read.
    """
    plan = find_plan(path)
    if plan is None:
        return None
    contents = plan.check()
    ranks = [landing.rank for landing in contents.landings]
    return Foreign(
        plan.format,
        plan.weights.path,
        messages.Inspection(
            verdict="convert",
            reason=f"It can be converted exactly, from {plan.format} to a LoRA of rank {max(ranks)} on "
            f"{len(ranks)} projections.",
            kind="lora",
            rank=max(ranks),
            alpha=float(plan.config["lora_alpha"]),
            targets=sorted({landing.module.rpartition(".")[2] for landing in contents.landings}),
            base=parse_config(plan.config).base,
            tensors=len(plan.weights.tensors),
            bytes=plan.weights.path.stat().st_size,
        ),
    )


def find_plan(path: Path) -> Plan | None:
    """How what lies at ``path`` becomes an adapter; None and AdapterError as ``recognise``."""
    folder, file = _locate(path)
    if file is None:
        return None
    refuse_link(file)
    config = folder / CONFIG
    raw: Mapping[str, Any] | None = None
    if config.is_symlink() or config.exists():
        refuse_link(config)
        raw = load_json(config)
    return plan_of(read_weights(file), raw, file.name)


def plan_of(weights: Weights, raw: Mapping[str, Any] | None, name: str) -> Plan | None:
    """The same of tables that are known already: those of the file ``name``, and the config beside it."""
    kind = None if raw is None else raw.get("peft_type")
    if is_kohya(weights.tensors) and kind is None:
        return plan_kohya(weights)
    if raw is None:
        raise AdapterError(
            f"Beside {name} there is no {CONFIG}, so its strength (alpha) cannot be known.",
            "Choose the whole folder of the adapter.",
        )
    if isinstance(kind, str) and kind in KINDS:
        return plan_kind(weights, raw)
    plan = plan_peft(weights, raw)
    if plan is None and name != WEIGHTS:
        return Plan(
            "an adapter under another file name", weights, raw, {name: name for name in weights.tensors}
        )
    return plan


def _locate(path: Path) -> tuple[Path, Path | None]:
    """(folder, its weights file). AdapterError when it holds several."""
    if not path.is_dir():
        return path.parent, path if path.exists() or path.is_symlink() else None
    if (path / WEIGHTS).is_symlink() or (path / WEIGHTS).exists():
        return path, path / WEIGHTS
    entries = itertools.islice(path.iterdir(), MAX_ENTRIES)
    found = sorted(entry for entry in entries if entry.name.lower().endswith(_ENDINGS))
    named = [entry for entry in found if entry.name.lower().startswith("adapter_model.")] or found
    if len(named) > 1:
        raise AdapterError(
            f"The folder holds {len(named)} files that could be the adapter's weights: "
            f"{', '.join(entry.name[:60] for entry in named[:4])}.",
            "Choose one of the files.",
        )
    return path, next(iter(named), None)
