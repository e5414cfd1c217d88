"""Base models on disk: what a folder must hold to be one, and what its card says."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import msgspec

from engine.formats.errors import AdapterError, StudioError
from engine.formats.safetensors_file import TensorInfo, read_header
from engine.messages import BaseCard

__all__ = ["has_projections", "read_base"]

LARGEST_CONFIG = 1 << 20
HINT = "Choose the folder of a transformers model: config.json, a tokenizer and .safetensors weights."


def read_base(folder: Path, name: str, source: str = "import") -> BaseCard:
    """The card of the base model in ``folder``, its parameters counted from the headers of its weights.

    StudioError("base") when it is not a model that can be loaded, StudioError("refused") when loading it
    would run code that came with it.
    """
    config = _read_config(folder / "config.json")
    if "auto_map" in config:
        raise StudioError(
            "refused",
            f"The model {name} brings its own code, which the studio never runs.",
            "Choose a model of an architecture that transformers knows itself.",
        )
    kind = config.get("model_type")
    if not isinstance(kind, str) or not kind:
        raise StudioError("base", f"The config.json of {name} does not say which model_type it is.", HINT)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise StudioError(
            "base", f"There are no .safetensors weights in {folder}.", "Other weight files are never opened."
        )
    architectures = config.get("architectures")
    listed = isinstance(architectures, list) and architectures and isinstance(architectures[0], str)
    return BaseCard(
        name=name,
        architecture=architectures[0] if listed and isinstance(architectures, list) else kind,
        parameters=sum(_count(file) for file in weights),
        path=str(folder),
        source=source,
    )


def has_projections(folder: Path, shapes: Mapping[str, tuple[int, int]]) -> bool:
    """Whether the weights in ``folder`` look like those of the base that has ``shapes``, {projection: [d_in,
    d_out]}: some of these projections are there, and none in another size."""
    headers = [_header(file) for file in folder.glob("*.safetensors")]
    stored = {name: info.shape for header in headers for name, info in header.items()}
    found = []
    for path, shape in shapes.items():
        # A file may leave out the first part of a path, which is the model's own name.
        names = (f"{path}.weight", f"{path.partition('.')[2]}.weight")
        found += [sorted(stored[name]) == sorted(shape) for name in names if name in stored]
    return bool(found) and all(found)


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise StudioError("base", f"There is no config.json in {path.parent}.", HINT)
    if path.stat().st_size > LARGEST_CONFIG:
        raise StudioError("base", f"The config.json in {path.parent} is too large to be one.", HINT)
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise StudioError(
            "base", f"The config.json in {path.parent} cannot be read.", HINT, str(error)
        ) from error


def _count(weights: Path) -> int:
    """Parameters in one safetensors file, from its header alone."""
    return sum(prod(tensor.shape) for tensor in _header(weights).values())


def _header(weights: Path) -> dict[str, TensorInfo]:
    try:
        return read_header(weights)
    except AdapterError as error:
        raise StudioError(
            "base",
            f"The weights {weights.name} cannot be used: {error.message}",
            "Fetch the model again.",
            error.detail,
        ) from error
