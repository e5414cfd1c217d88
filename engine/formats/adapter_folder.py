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
from engine.formats.studio_file import STUDIO, Cutting, read_studio

__all__ = ["CONFIG", "GATE", "STUDIO", "WEIGHTS", "AdapterFile", "fingerprint", "read_folder"]

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
GATE = "gate.safetensors"

_OURS = (CONFIG, WEIGHTS, STUDIO, GATE)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True)
class AdapterFile:
    """A folder that passed every check short of reading its numbers."""

    folder: Path
    config: AdapterConfig
    cutting: Cutting
    contents: Contents

    @property
    def kind(self) -> str:
        """lora, svd (ordered) or dylora (trained at every rank)."""
        return self.cutting.kind

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
    contents = sort_tensors(config, read_header(_weights_path(folder)))
    highest = max(landing.rank for landing in contents.landings)
    return AdapterFile(folder, config, read_studio(folder, config, highest), contents)


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
