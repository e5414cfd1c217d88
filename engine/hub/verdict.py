"""The verdict on an adapter of which little was read, by the code that reads and converts what comes in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.formats.adapter_config import AdapterConfig, NeedsConversionError, parse_config, say_base
from engine.formats.adapter_tensors import MAX_RANK, Contents, sort_tensors
from engine.formats.base_shapes import BaseShapes
from engine.formats.convert.foreign import plan_of
from engine.formats.convert.weights import Stored, Weights
from engine.formats.cut_header import parse_cut
from engine.formats.errors import AdapterError
from engine.formats.fit import judge, judge_error, judge_part
from engine.formats.plain import parse_json
from engine.formats.safetensors_file import TensorInfo
from engine.formats.studio_file import STUDIO, Cutting, parse_studio
from engine.hub.peek import Peek
from engine.messages import Fit, HubVerdict

__all__ = ["adapter_verdict", "wished_base"]


def adapter_verdict(peek: Peek, base: BaseShapes | None) -> HubVerdict:
    """What is known of an adapter, and whether it plays on ``base`` (None: on one that is not here)."""
    raw: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    fit = peek.fit
    try:
        raw = _config(peek)
        if fit is None:
            table, share = parse_cut(peek.table, peek.size)
            facts["tensors"] = len(table)
            if share < 1:
                config, was = parse_config(raw), ""
                highest = max(config.rank, *(rank for _, rank in config.rank_pattern), 1)
                fit = judge_part(config, table, base, share)
            else:
                config, contents, was = _understand(peek, raw, table)
                facts |= _landed(contents)
                highest = facts["rank"]
                found = judge(config, contents, base)
                fit = _converted(was, found)
                facts["converted"] = was if found.verdict == "green" else ""
            cutting = Cutting() if was else _cutting(peek, config, highest)
            facts |= _configured(config, cutting)
            fit = _ranked(fit, cutting, highest)
    except AdapterError as error:
        fit = peek.fit or judge_error(error)
    said: dict[str, Any] = _claimed(raw) | facts
    return HubVerdict(
        repo=peek.repo,
        commit=peek.commit,
        size=peek.size,
        read=peek.read,
        fit=fit,
        **said,
    )


def wished_base(peek: Peek) -> str:
    """The base that an adapter names, "" when it names none."""
    try:
        return say_base(_config(peek).get("base_model_name_or_path"))
    except AdapterError:
        return ""


def _config(peek: Peek) -> dict[str, Any]:
    if peek.config is None:
        return {}
    try:
        return parse_json(peek.config)
    except (ValueError, RecursionError) as error:
        raise AdapterError("Its adapter_config.json is damaged.", "", str(error)) from error


def _understand(
    peek: Peek, raw: Mapping[str, Any], table: Mapping[str, TensorInfo]
) -> tuple[AdapterConfig, Contents, str]:
    """What the adapter is, or becomes when it is converted, and then what it was."""
    if peek.config is not None:
        try:
            config = parse_config(raw)
            return config, sort_tensors(config, table), ""
        except NeedsConversionError:
            pass  # by the plan that it will be converted by
    # The numbers in kohya's alphas are not here, and change no shape.
    stored = {name: _stored(info) for name, info in table.items() if not name.endswith(".alpha")}
    weights = Weights(Path(peek.weights), "safetensors", stored)
    plan = plan_of(weights, raw if peek.config is not None else None, peek.weights)
    if plan is None:
        raise AdapterError("It is no LoRA that is known here.")
    return parse_config(plan.config), plan.check(), plan.format


def _stored(info: TensorInfo) -> Stored:
    strides = tuple(math.prod(info.shape[place + 1 :]) for place in range(len(info.shape)))
    return Stored(info.dtype, info.shape, strides, info.start)


def _converted(was: str, fit: Fit) -> Fit:
    if not was or fit.verdict == "red":
        return fit
    reason = f"It is converted from {was} when it comes in: {fit.reason[0].lower()}{fit.reason[1:]}"
    return Fit(verdict="amber", reason=reason)


def _landed(contents: Contents) -> dict[str, Any]:
    return {
        "rank": max(landing.rank for landing in contents.landings),
        "targets": sorted({landing.module.rpartition(".")[2] for landing in contents.landings}),
    }


def _cutting(peek: Peek, config: AdapterConfig, highest: int) -> Cutting:
    """How it may be cut; AdapterError where it contradicts itself, as it would once it is here."""
    if peek.studio is None:
        return Cutting()
    try:
        card = parse_json(peek.studio)
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"Its {STUDIO} is damaged.", "", str(error)) from error
    return parse_studio(card, config, highest)


def _ranked(fit: Fit, cutting: Cutting, highest: int) -> Fit:
    """With a word of what it can beyond a plain LoRA."""
    if cutting.kind != "dylora" or fit.verdict == "red":
        return fit
    return Fit(
        verdict=fit.verdict, reason=f"{fit.reason} DyLoRA, every rank from {cutting.low} to {highest}."
    )


def _configured(config: AdapterConfig, cutting: Cutting) -> dict[str, Any]:
    plain = "dora" if config.dora else "rslora" if config.rslora else "lora"
    return {
        "kind": plain if cutting.kind == "lora" else cutting.kind,
        "low": cutting.low,
        "alpha": config.alpha,
        "base": config.base,
    }


def _claimed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as a config states them that may be refused: bounded, and no more than claims."""
    kind, rank, alpha = raw.get("peft_type"), raw.get("r"), raw.get("lora_alpha")
    return {
        "kind": kind.lower()[:40] if isinstance(kind, str) and kind.isprintable() else "",
        "rank": rank if type(rank) is int and 0 < rank <= MAX_RANK else 0,
        "alpha": float(alpha) if isinstance(alpha, int | float) and abs(alpha) < 1e9 else 0.0,
        "base": say_base(raw.get("base_model_name_or_path")),
    }
