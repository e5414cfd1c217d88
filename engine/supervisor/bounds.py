"""What a job's spec may say: the bounds of its numbers, and what must be named, once, and how."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.formats.errors import StudioError
from engine.hub.address import is_repo, is_revision
from engine.hub.text import clean
from engine.messages import (
    Domain,
    Download,
    ExportMix,
    JobSpec,
    ScoreMix,
    TrainDylora,
    TrainJoint,
    TrainRouter,
    TrainSpeech,
)

__all__ = ["check_spec"]

_LIMITS: dict[str, tuple[float, float]] = {
    "rank": (1, 1024),
    "low": (1, 1024),
    "alpha": (1e-6, 1e6),
    "steps": (1, 10_000_000),
    "epochs": (1, 10_000),
    "max_examples": (1, 10_000_000),
    "limit": (1, 10_000_000),
    "batch_size": (1, 65536),
    "top_k": (1, 1024),
    "hard_share": (0.0, 0.99),
    "learning_rate": (1e-9, 10.0),
    "router_learning_rate": (1e-9, 10.0),
    "warmup": (0.0, 1.0),
    "weight_decay": (0.0, 10.0),
    "max_length": (2, 1_048_576),
    "temperature": (1e-3, 1e3),
    "balance_weight": (0.0, 1e3),
    "entropy_weight": (-1e3, 1e3),
    "band_weight": (0.0, 1e3),
    "preserve_weight": (0.0, 1e6),
    "distill_steps": (0, 10_000_000),
    "seed": (0, 2**63 - 1),
    "checkpoint_seconds": (0.0, 86400.0),
    "hidden": (1, 65536),
    "heldout": (0.0, 0.9),
    "score_every": (1, 10_000_000),
}

LARGEST_RATE = 64
"""Vectors of an encoder that may become one for a language model."""

MANY = 64
"""Data sets that one job may read, and experts that one mix may have."""


def check_spec(spec: JobSpec) -> None:
    """StudioError("usage") naming the first field that is out of its bounds."""
    untrained = isinstance(spec, TrainRouter) and spec.start != "zero" and not spec.extend
    for field, (low, high) in _LIMITS.items():
        value = getattr(spec, field, None)
        if field == "steps" and untrained:
            low = 0
        if value is not None and not (math.isfinite(value) and low <= value <= high):
            name = "lowest rank" if field == "low" else field.replace("_", " ")
            raise StudioError(
                "usage", f"The {name} cannot be {value:g}.", f"Choose a value from {low:g} to {high:g}."
            )
    match spec:
        case TrainDylora():
            _check_dylora(spec)
        case TrainRouter():
            _check_router(spec, untrained)
        case TrainJoint(domains=domains):
            _check_domains(domains)
        case TrainSpeech():
            _check_speech(spec)
        case ScoreMix():
            _check_scores(spec)
        case ExportMix():
            _check_export(spec)
        case Download():
            _check_download(spec)


def _check_dylora(spec: TrainDylora) -> None:
    if spec.low > spec.rank:
        raise StudioError(
            "usage",
            f"The lowest rank, {spec.low}, is above the highest, {spec.rank}.",
            f"Choose a lowest rank from 1 to {spec.rank}.",
        )


def _check_router(spec: TrainRouter, untrained: bool) -> None:
    if not spec.experts:
        raise StudioError("usage", "A mix needs at least one expert.", "Name experts with --expert.")
    _check_names(spec.experts, "expert")
    if spec.extend and spec.start != "zero":
        raise StudioError(
            "usage", "A router that is extended keeps its own start.", "Leave --start or --extend out."
        )
    if not spec.data and not (untrained and spec.steps == 0):
        raise StudioError(
            "usage",
            "Without data nothing can be trained.",
            "Name data with --data, or start from prototypes or gates with --steps 0.",
        )


def _check_domains(domains: Sequence[Domain]) -> None:
    if len(domains) < 2:
        raise StudioError(
            "usage", "Joint training needs at least two experts.", "Name each with its own data."
        )
    _check_names([domain.expert for domain in domains], "expert")
    _check_names([domain.adapter for domain in domains if domain.adapter], "adapter")


def _check_speech(spec: TrainSpeech) -> None:
    if not spec.model:
        if not spec.llm:
            raise StudioError("usage", "A speech model needs a language model.", "Name one with --llm.")
        if not (spec.ear or spec.eye):
            raise StudioError(
                "usage", "A speech model needs to hear or to see.", "Name an encoder with --ear or --eye."
            )
    senses = (("sound", spec.ear, spec.audio_rates), ("lips", spec.eye, spec.video_rates))
    for what, part, rates in senses:
        wanted = bool(part) and not spec.model
        if not all(0 < rate <= LARGEST_RATE for rate in rates) or len(set(rates)) < len(rates) > 0:
            raise StudioError(
                "usage",
                f"Rates of {what} cannot be {', '.join(map(str, rates))}.",
                f"Name each once, from 1 to {LARGEST_RATE}.",
            )
        if wanted and not rates:
            raise StudioError(
                "usage", f"There is no rate at which {what} shall be read.", "Name one or more."
            )


def _check_scores(spec: ScoreMix) -> None:
    if not spec.data:
        raise StudioError("usage", "There is nothing to score on.", "Name test sets with --data.")
    if not spec.arms:
        raise StudioError("usage", "There is nothing to score.", "Name arms with --arm.")
    _check_names(spec.arms, "arm")
    _check_names(spec.data, "data set")


def _check_export(spec: ExportMix) -> None:
    _check_names(spec.data, "data set")
    if spec.folder != os.path.normpath(spec.folder) or not Path(spec.folder).is_absolute():
        raise StudioError(
            "usage", f"The folder {spec.folder} is not named in full.", "Give it from the root on."
        )
    if spec.gates == "domain" and not spec.data:
        raise StudioError(
            "usage",
            "One LoRA for each domain needs a data set for each.",
            "Name them with --data NAME=FILE.",
        )
    if spec.distill_steps and not spec.data:
        raise StudioError("usage", "Distilling needs data to learn on.", "Name it with --data.")


def _check_download(spec: Download) -> None:
    if not is_repo(spec.repo):
        raise StudioError("usage", f"“{clean(spec.repo)}” names no repository.", "One looks like user/model.")
    if not is_revision(spec.revision):
        raise StudioError(
            "usage", f"“{clean(spec.revision)}” names no revision.", "Name a branch, a tag or a commit."
        )


def _check_names(names: Iterable[str], what: str) -> None:
    """StudioError("usage") for too many, for one that is named twice, or for one that names no file."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise StudioError("usage", f"The {what} {name} is named twice.", f"Name each {what} once.")
        if not name or name != Path(name).name or not name.isprintable() or len(name) > 200:
            raise StudioError("usage", f"“{name[:80]}” cannot name a {what}.", "Use letters and digits.")
        seen.add(name.casefold())
    if len(seen) > MANY:
        raise StudioError("usage", f"{len(seen)} are too many.", f"Name {MANY} at most.")
