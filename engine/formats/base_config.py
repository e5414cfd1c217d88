"""A stranger's config.json of a base: read within bounds, refused where it would run code or fill memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from engine.formats.architectures import ARCHITECTURES
from engine.formats.errors import StudioError
from engine.formats.footprint import read_sizes

__all__ = ["HINT", "check_config", "parse_object", "read_object"]

LARGEST = 1 << 20
HINT = "Choose the folder of a transformers model: config.json, a tokenizer and .safetensors weights."


def read_object(path: Path, largest: int = LARGEST) -> dict[str, Any]:
    """The JSON object in a file of a base; StudioError("base") when it is missing, too large or damaged."""
    if not path.is_file():
        raise StudioError("base", f"There is no {path.name} in {path.parent}.", HINT)
    if path.stat().st_size > largest:
        raise StudioError("base", f"The {path.name} in {path.parent} is too large to be one.", HINT)
    return parse_object(path.read_bytes(), f"{path.name} in {path.parent}")


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in ``data``; StudioError("base") when it is none."""
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise StudioError("base", f"The {what} cannot be read.", HINT, str(error)) from error


def check_config(config: Mapping[str, Any], name: str) -> None:
    """StudioError unless a base with this ``config`` can be played: "refused" when loading it would fetch or
    run code, or fill the memory; "base" when it is of a kind or in a form that is not played."""
    for key, value in _entries(config):
        plain = key.lstrip("_")
        if plain == "auto_map":
            raise StudioError(
                "refused",
                f"The base {name} brings its own code, which the studio never runs.",
                "Choose a base of an architecture that transformers itself knows.",
            )
        if plain.startswith("attn_implementation") and isinstance(value, str) and "/" in value:
            raise StudioError(
                "refused",
                f"The config.json of {name} names a program to be fetched for its attention.",
                "Do not use it.",
                f"{key} = {value[:200]}",
            )
    if config.get("quantization_config"):
        raise StudioError(
            "base", f"The base {name} is stored in a quantised form.", "Choose its full-precision version."
        )
    kind = config.get("model_type")
    if not isinstance(kind, str) or not kind:
        raise StudioError("base", f"The config.json of {name} does not say which model_type it is.", HINT)
    if kind not in ARCHITECTURES:
        raise StudioError(
            "base",
            f"The base {name} is of the kind {kind[:40]!r}, which is not supported.",
            f"Supported are {', '.join(sorted(ARCHITECTURES))}.",
        )
    read_sizes(config)


def _entries(value: object) -> Iterator[tuple[str, object]]:
    """Every key and value, at any depth."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            yield from each.items()
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
