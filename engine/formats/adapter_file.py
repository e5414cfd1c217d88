"""A PEFT adapter folder, checked and understood without torch: what it is, or why it is not taken."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import messages
from engine.formats.adapter_config import AdapterConfig, NeedsConversionError, parse_config, say_base
from engine.formats.adapter_tensors import MAX_RANK, Contents, Landing, sort_tensors
from engine.formats.errors import AdapterError
from engine.formats.safetensors_file import read_header

__all__ = [
    "CONFIG",
    "GATE",
    "STUDIO",
    "WEIGHTS",
    "AdapterFile",
    "Landing",
    "fingerprint",
    "inspect_folder",
    "read_folder",
]

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
STUDIO = "studio.json"
GATE = "gate.safetensors"
MAX_JSON = 1 << 20
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True)
class AdapterFile:
    """A folder that passed every check short of reading its numbers. ``kind`` is lora or svd (ordered)."""

    folder: Path
    config: AdapterConfig
    kind: str
    contents: Contents

    @property
    def landings(self) -> tuple[Landing, ...]:
        """The adapted modules."""
        return self.contents.landings

    @property
    def rank(self) -> int:
        """The largest rank of any projection."""
        return max(landing.rank for landing in self.landings)

    @property
    def targets(self) -> list[str]:
        """The projections' last names, sorted."""
        return sorted({landing.module.rpartition(".")[2] for landing in self.landings})


def read_folder(folder: Path) -> AdapterFile:
    """Check an adapter folder: config through the allow-list, tensor table, every tensor accounted for.

    AdapterError with the reason; ``NeedsConversionError`` when it is of another kind that could become a
    LoRA; ``code="refused"`` when it asks for something unsafe. No number is read: NaN is found by
    ``read_adapter``.
    """
    config = parse_config(_load_json(folder, CONFIG))
    table = read_header(_weights_path(folder))
    return AdapterFile(folder, config, _kind(folder), sort_tensors(config, table))


def inspect_folder(path: Path) -> messages.Inspection:
    """What a folder holds and whether it can be used: a verdict and a sentence, never an exception.

    The facts (rank, targets, base) are given as far as they can be known, also of a folder that is refused.
    """
    try:
        file = read_folder(path)
    except AdapterError as error:
        return _refusal(path, error)
    except OSError as error:
        return _refusal(path, AdapterError(f"The folder cannot be read: {error.strerror or error}."))
    ranks = Counter(landing.rank for landing in file.landings)
    return messages.Inspection(
        verdict="ok",
        reason=_describe(file, ranks),
        kind=_say_kind(file),
        rank=file.rank,
        alpha=file.config.alpha,
        targets=file.targets,
        base=file.config.base,
        tensors=len(file.contents.tensors),
        bytes=(path / WEIGHTS).stat().st_size,
    )


def fingerprint(folder: Path) -> str:
    """SHA-256 in hex over what decides an adapter's output: config, weights, studio.json and its own gate."""
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS, STUDIO, GATE):
        if (folder / name).exists():
            with (folder / name).open("rb") as file:
                digest.update(f"{name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _say_kind(file: AdapterFile) -> str:
    if file.kind == "lora":
        return "dora" if file.config.dora else "rslora" if file.config.rslora else "lora"
    return file.kind


def _describe(file: AdapterFile, ranks: Counter[int]) -> str:
    method = "DoRA" if file.config.dora else "LoRA"
    scaled = f"rank-stabilised {method}" if file.config.rslora else method
    rank = f"rank {file.rank}" if len(ranks) == 1 else f"ranks {min(ranks)} to {max(ranks)}"
    order = ", ordered by energy" if file.kind == "svd" else ""
    others = len(file.contents.replaced)
    beside = f", and {others} tensor{'s' * (others != 1)} in place of the base's own" if others else ""
    place = f"on {len(file.landings)} projections ({', '.join(file.targets)})"
    return f"A {scaled} of {rank} {place}{order}{beside}."


def _refusal(path: Path, error: AdapterError) -> messages.Inspection:
    try:
        raw = _load_json(path, CONFIG)
    except (AdapterError, OSError):
        raw = {}
    try:
        table = read_header(path / WEIGHTS)
    except (AdapterError, OSError):
        table = {}
    rank, alpha, kind = raw.get("r"), raw.get("lora_alpha"), raw.get("peft_type")
    modules = {name.rpartition(".lora_")[0].rpartition(".")[2] for name in table if ".lora_" in name}
    weights = path / WEIGHTS
    return messages.Inspection(
        verdict="convert" if isinstance(error, NeedsConversionError) else "refuse",
        reason=str(error),
        kind=kind.lower()[:40] if isinstance(kind, str) and kind.isprintable() else "unknown",
        rank=rank if type(rank) is int and 0 <= rank <= MAX_RANK else 0,
        alpha=float(alpha) if isinstance(alpha, int | float) and abs(alpha) < 1e9 else 0.0,
        targets=sorted(modules),
        base=say_base(raw.get("base_model_name_or_path")),
        tensors=len(table),
        bytes=weights.stat().st_size if weights.is_file() else 0,
    )


def _load_json(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if not folder.is_dir():
        raise AdapterError(f"There is no folder {folder.name}.", "An adapter is a folder in PEFT's format.")
    if not path.is_file():
        others = [entry.name for entry in folder.iterdir() if entry.suffix.lower() == ".safetensors"]
        hint = "Files of other programs (kohya, MLX, GGUF) have to be converted to PEFT's format first."
        raise AdapterError(
            f"The folder has no {name}.", hint if others else "Choose an adapter's own folder."
        )
    if path.stat().st_size > MAX_JSON:
        raise AdapterError(
            f"{name} is larger than 1 MB, which no adapter needs.", "Check where it comes from."
        )

    def refuse_constant(text: str) -> float:
        raise ValueError(f"{text} is not a number")

    try:
        raw = json.loads(path.read_bytes().decode("utf-8"), parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{name} is damaged.", "Download or export it again.", str(error)) from error
    if not isinstance(raw, dict):
        raise AdapterError(f"{name} is damaged.", "Download or export it again.", "not an object")
    return raw


def _weights_path(folder: Path) -> Path:
    weights = folder / WEIGHTS
    if weights.is_file():
        return weights
    pickles = [entry.name for entry in folder.iterdir() if entry.suffix.lower() in _PICKLES]
    if pickles:
        raise AdapterError(
            f"Its weights are a Python pickle ({sorted(pickles)[0][:80]}), which can run code when opened; "
            "only safetensors is read.",
            "Ask its author for a safetensors file.",
            code="refused",
        )
    raise AdapterError(f"The folder has no {WEIGHTS}.", "Download or export the adapter again.")


def _kind(folder: Path) -> str:
    if not (folder / STUDIO).is_file():
        return "lora"
    kind = _load_json(folder, STUDIO).get("kind")
    if kind not in ("lora", "svd"):
        raise AdapterError(
            f"This version cannot play adapters of the kind {str(kind)[:40]!r}.",
            "A newer version of the studio wrote it.",
        )
    return str(kind)
