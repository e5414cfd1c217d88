"""What a file or folder of a stranger's is, for a person: a verdict and a sentence, never an exception."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from engine import messages
from engine.formats.adapter_config import NeedsConversionError, say_base
from engine.formats.adapter_folder import (
    CONFIG,
    GATE,
    STUDIO,
    WEIGHTS,
    AdapterFile,
    fingerprint,
    read_folder,
)
from engine.formats.adapter_tensors import MAX_RANK, Landing
from engine.formats.convert import recognise
from engine.formats.errors import AdapterError
from engine.formats.plain import load_json, open_plain
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
    "is_foreign",
    "read_folder",
]


def inspect_folder(path: Path) -> messages.Inspection:
    """What a folder, or a weights file, holds and whether it can be used; a file that PEFT or we write beside
    the weights stands for its folder.

    "convert": ``engine.formats.convert`` makes an adapter of it. The facts (rank, targets, base) are given as
    far as they can be known, also of one that is refused.
    """
    folder = path.parent if path.name in (CONFIG, WEIGHTS, STUDIO, GATE) and path.is_file() else path
    try:
        file = read_folder(folder)
    except (AdapterError, OSError) as error:
        return _other(folder, error)
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
        bytes=(folder / WEIGHTS).stat().st_size,
    )


def is_foreign(source: Path) -> bool:
    """Whether what lies there has to be converted. AdapterError with the nearest reason when that is not
    possible."""
    try:
        read_folder(source)
    except AdapterError as refusal:
        try:
            if recognise(source) is not None:
                return True
        except AdapterError as reason:
            whole = (source / CONFIG).exists() and (source / WEIGHTS).exists()
            if reason.code == "refused" or not whole or isinstance(refusal, NeedsConversionError):
                raise
        raise refusal from None
    return False


def _say_kind(file: AdapterFile) -> str:
    if file.kind == "lora":
        return "dora" if file.config.dora else "rslora" if file.config.rslora else "lora"
    return file.kind


def _describe(file: AdapterFile, ranks: Counter[int]) -> str:
    method = "DoRA" if file.config.dora else "LoRA"
    scaled = f"rank-stabilised {method}" if file.config.rslora else method
    rank = f"rank {file.rank}" if len(ranks) == 1 else f"ranks {min(ranks)} to {max(ranks)}"
    order = _say_order(file)
    others = len(file.contents.replaced)
    beside = f", and {others} tensor{'s' * (others != 1)} in place of the base's own" if others else ""
    place = f"on {len(file.landings)} projections ({', '.join(file.targets)})"
    return f"A {scaled} of {rank} {place}{order}{beside}."


def _say_order(file: AdapterFile) -> str:
    low = file.cutting.low
    if file.kind == "dylora":
        return ", trained at every rank" + (f" from {low} on" if low > 1 else "")
    data = " of what it says on data" if file.cutting.weighed else ""
    return f", ordered by energy{data}" if file.kind == "svd" else ""


def _other(path: Path, error: AdapterError | OSError) -> messages.Inspection:
    """The verdict on what is no adapter as it is: converted, or refused with the nearest reason."""
    if isinstance(error, AdapterError) and not isinstance(error, NeedsConversionError) and _is_whole(path):
        return _refusal(path, error)
    try:
        foreign = recognise(path)
    except (AdapterError, OSError) as reason:
        return _refusal(path, reason)
    return _refusal(path, error) if foreign is None else foreign.becomes


def _is_whole(path: Path) -> bool:
    """Whether a folder has all that an adapter has, in the right form: then nothing else is looked for."""
    try:
        with open_plain(path / WEIGHTS) as file:
            head = file.read(9)
    except (AdapterError, OSError):
        return False
    return (path / CONFIG).exists() and (head[8:] == b"{" or int.from_bytes(head[:8], "little") < 1 << 23)


def _refusal(path: Path, error: AdapterError | OSError) -> messages.Inspection:
    if isinstance(error, OSError):
        error = AdapterError(f"It cannot be read: {error.strerror or error}.")
    try:
        raw = load_json(path / CONFIG)
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
        verdict="refuse",
        reason=str(error),
        kind=kind.lower()[:40] if isinstance(kind, str) and kind.isprintable() else "unknown",
        rank=rank if type(rank) is int and 0 <= rank <= MAX_RANK else 0,
        alpha=float(alpha) if isinstance(alpha, int | float) and abs(alpha) < 1e9 else 0.0,
        targets=sorted(modules),
        base=say_base(raw.get("base_model_name_or_path")),
        tensors=len(table),
        bytes=weights.stat().st_size if weights.is_file() else 0,
    )
