"""A PEFT adapter folder, checked and understood without torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.formats.adapter_config import AdapterConfig, parse_config
from engine.formats.adapter_tensors import Contents, Landing, sort_tensors
from engine.formats.errors import AdapterError
from engine.formats.plain import load_json, open_plain, refuse_link
from engine.formats.safetensors_file import read_header

__all__ = ["CONFIG", "GATE", "SCALING", "STUDIO", "WEIGHTS", "AdapterFile", "fingerprint", "read_folder"]

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
STUDIO = "studio.json"
GATE = "gate.safetensors"
SCALING = {"svd": "constant", "dylora": "alpha/rank"}
"""By kind of adapter what becomes of its scale when columns are cut. A file that does not say it would be
played too loud or too soft in silence."""

_OURS = (CONFIG, WEIGHTS, STUDIO, GATE)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True)
class AdapterFile:
    """A folder that passed every check short of reading its numbers. ``kind`` is lora, svd (ordered) or
    dylora (trained at every rank)."""

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

    AdapterError with the reason; ``NeedsConversionError`` when ``engine.formats.convert`` can make it into
    an adapter; ``code="refused"`` when it asks for something unsafe. No number is read: NaN is found by
    ``read_adapter``.
    """
    config = parse_config(_json(folder, CONFIG))
    table = read_header(_weights_path(folder))
    return AdapterFile(folder, config, _kind(folder, config), sort_tensors(config, table))


def fingerprint(folder: Path) -> str:
    """SHA-256 in hex over what decides an adapter's output: config, weights, studio.json and its own gate."""
    digest = hashlib.sha256()
    for name in _OURS:
        if (folder / name).exists():
            with open_plain(folder / name) as file:
                digest.update(f"{name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _json(folder: Path, name: str) -> dict[str, Any]:
    if not folder.is_dir():
        raise AdapterError(f"There is no folder {folder.name}.", "An adapter is a folder in PEFT's format.")
    for ours in _OURS:
        refuse_link(folder / ours)
    if not (folder / name).exists():
        raise AdapterError(f"The folder has no {name}.", "Choose an adapter's own folder.")
    return load_json(folder / name)


def _weights_path(folder: Path) -> Path:
    weights = folder / WEIGHTS
    if weights.exists():
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


def _kind(folder: Path, config: AdapterConfig) -> str:
    if not (folder / STUDIO).exists():
        return "lora"
    card = load_json(folder / STUDIO)
    kind, scaling = str(card.get("kind")), card.get("scaling")
    if kind == "lora":
        return kind
    if kind not in SCALING:
        raise AdapterError(
            f"This version cannot play adapters of the kind {kind[:40]!r}.",
            "A newer version of the studio wrote it.",
        )
    if scaling != SCALING[kind]:
        said = f"says {str(scaling)[:40]!r}" if scaling else "does not say"
        raise AdapterError(
            f"Its {STUDIO} {said} how its scale changes with its rank, so its strength cannot be known.",
            f"Of this kind it is {SCALING[kind]!r}; export the adapter again.",
        )
    if kind == "dylora" and (config.dora or config.rslora):
        method = "a DoRA" if config.dora else "rank-stabilised"
        raise AdapterError(
            f"It says to be trained at every rank and to be {method}; the two contradict each other.",
            "Export the adapter again.",
        )
    return kind
