"""A PEFT adapter folder, checked and understood without torch: what it is, or why it is not taken."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import messages
from engine.formats.adapter_config import AdapterConfig, NeedsConversionError, parse_config, say_base
from engine.formats.errors import AdapterError
from engine.formats.safetensors_file import TensorInfo, read_header

__all__ = [
    "CONFIG",
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
MAX_JSON = 1 << 20
MAX_RANK = 1024
_FLOATS = {"F64", "F32", "F16", "BF16"}
_PREFIX = "base_model.model."
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True)
class Landing:
    """One adapted projection: its two tensors in the file, its rank and its whole scale (alpha over rank)."""

    module: str
    a: TensorInfo
    b: TensorInfo
    rank: int
    scale: float


@dataclass(frozen=True)
class AdapterFile:
    """A folder that passed every check short of reading its numbers. ``kind`` is lora or svd (ordered)."""

    folder: Path
    config: AdapterConfig
    kind: str
    landings: tuple[Landing, ...]

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
    return AdapterFile(folder, config, _kind(folder), tuple(_land(config, table)))


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
        kind="rslora" if file.config.rslora and file.kind == "lora" else file.kind,
        rank=file.rank,
        alpha=file.config.alpha,
        targets=file.targets,
        base=file.config.base,
        tensors=2 * len(file.landings),
        bytes=(path / WEIGHTS).stat().st_size,
    )


def fingerprint(folder: Path) -> str:
    """SHA-256 in hex over what decides an adapter's output: config, weights and studio.json."""
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS, STUDIO):
        if (folder / name).exists():
            with (folder / name).open("rb") as file:
                digest.update(f"{name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _describe(file: AdapterFile, ranks: Counter[int]) -> str:
    scaled = "rank-stabilised LoRA" if file.config.rslora else "LoRA"
    rank = f"rank {file.rank}" if len(ranks) == 1 else f"ranks {min(ranks)} to {max(ranks)}"
    order = ", ordered by energy" if file.kind == "svd" else ""
    return f"A {scaled} of {rank} on {len(file.landings)} projections ({', '.join(file.targets)}){order}."


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


def _land(config: AdapterConfig, table: dict[str, TensorInfo]) -> list[Landing]:
    """Pair lora_A with lora_B; every tensor lands or is named in the error."""
    halves: dict[str, dict[str, TensorInfo]] = {}
    for name, info in table.items():
        module, side = _place(name)
        halves.setdefault(module, {})[side] = info
    if not halves:
        raise AdapterError("The weights file holds no tensor at all.", "Export the adapter again.")
    ranks, alphas = config.ranks(list(halves)), config.alphas(list(halves))
    return [_pair(config, module, pair, ranks[module], alphas[module]) for module, pair in halves.items()]


_REASONS = (
    ("lora_magnitude_vector", "It is a DoRA adapter (weight-decomposed), which this version does not play."),
    ("lora_embedding_", "It adapts the token embeddings, which this version does not play."),
    ("lora_B.bias", "It has biases of its own (lora_bias), which this version does not play."),
    ("modules_to_save", "It replaces whole modules of the base (modules_to_save)."),
    ("trainable_tokens", "It brings new or changed tokens (trainable_token_indices)."),
)


def _place(name: str) -> tuple[str, str]:
    for ending, side in ((".lora_A.weight", "A"), (".lora_B.weight", "B")):
        if name.endswith(ending):
            return name.removesuffix(ending).removeprefix(_PREFIX), side
    for mark, reason in _REASONS:
        if mark in name:
            raise AdapterError(reason, "Train or export it as a plain LoRA.", name)
    if name.startswith(_PREFIX) and name.endswith(
        (".base_layer.weight", "lm_head.weight", "embed_tokens.weight")
    ):
        raise AdapterError(
            "It carries a copy of the base's own embeddings or output head, which would replace the base's.",
            "If it did not train them, save it again: save_pretrained(..., save_embedding_layers=False).",
            name,
        )
    if any(mark in name for mark in (".hada_", ".lokr_", ".oft_", ".ia3_", ".lora_E", ".vera_")):
        raise NeedsConversionError(
            "It is not a plain LoRA: its tensors belong to another method.",
            "Convert it to a LoRA with PEFT first.",
            name,
        )
    raise AdapterError(
        f"The weights file holds a tensor that no LoRA has: {name[:160]}.",
        "Nothing was loaded, so that no part of it is lost in silence.",
    )


def _pair(
    config: AdapterConfig, module: str, pair: dict[str, TensorInfo], rank: int, alpha: float
) -> Landing:
    if len(pair) != 2:
        there, missing = ("A", "B") if "A" in pair else ("B", "A")
        raise AdapterError(f"{module} has lora_{there} but no lora_{missing}.", "Export the adapter again.")
    a, b = pair["A"], pair["B"]
    if a.dtype not in _FLOATS or b.dtype not in _FLOATS:
        raise AdapterError(
            f"{module} is stored as {a.dtype} and {b.dtype}; LoRA needs floating point.",
            "Export the adapter in float32, float16 or bfloat16.",
        )
    if len(a.shape) == 4 or len(b.shape) == 4:
        raise AdapterError(
            f"{module} is a convolution, which this version does not play.",
            "Train or export it on linear projections only.",
        )
    if len(a.shape) != 2 or len(b.shape) != 2 or min(*a.shape, *b.shape) == 0:
        raise AdapterError(
            f"{module} has factors of shape {list(a.shape)} and {list(b.shape)}; LoRA needs two matrices.",
            "Experts stacked in three dimensions are not played.",
        )
    if a.shape[0] != b.shape[1]:
        raise AdapterError(
            f"{module}: lora_A has rank {a.shape[0]} and lora_B has rank {b.shape[1]}.",
            "Export the adapter again.",
        )
    if a.shape[0] > MAX_RANK:
        raise AdapterError(
            f"{module} has rank {a.shape[0]}; at most {MAX_RANK} is read.", "Check what it is."
        )
    if a.shape[0] != rank:
        raise AdapterError(
            f"{module} has rank {a.shape[0]}, but the config says {rank}, so its strength cannot be known.",
            "Export the adapter again with PEFT.",
        )
    return Landing(module, a, b, rank, alpha / math.sqrt(rank) if config.rslora else alpha / rank)
