"""A stranger's config.json of a base: read within bounds, refused where it would run code or fill memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from engine.formats.architectures import ARCHITECTURES
from engine.formats.errors import StudioError
from engine.formats.footprint import read_sizes

__all__ = ["HINT", "WHISPER", "check_config", "check_whisper", "parse_object", "read_object"]

LARGEST = 1 << 20
WHISPER = "whisper"
_WHISPER_SIZES = {
    "d_model": 1 << 14,
    "encoder_layers": 256,
    "decoder_layers": 256,
    "encoder_ffn_dim": 1 << 16,
    "decoder_ffn_dim": 1 << 16,
    "num_mel_bins": 1024,
    "max_source_positions": 1 << 16,
    "max_target_positions": 1 << 16,
    "vocab_size": 1 << 20,
}
"""The sizes in a Whisper's config, and the most that they may be."""
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
    kind = _check_form(config, name)
    if kind not in ARCHITECTURES:
        raise StudioError(
            "base",
            f"The base {name} is of the kind {kind[:40]!r}, which is not supported.",
            f"Supported are {', '.join(sorted(ARCHITECTURES))}.",
        )
    read_sizes(config)


def check_whisper(config: Mapping[str, Any], name: str) -> None:
    """StudioError unless this ``config`` is of a Whisper that can be loaded, as of ``check_config``."""
    if _check_form(config, name) != WHISPER:
        raise StudioError(
            "base", f"{name} is no Whisper.", "Choose one of transformers' own: openai/whisper-…"
        )
    sizes = {key: config.get(key) for key in _WHISPER_SIZES}
    for key, value in sizes.items():
        if type(value) is not int or not 0 < value <= _WHISPER_SIZES[key]:
            raise StudioError(
                "refused", f"A Whisper as the config.json of {name} says cannot be.", "Do not use it.", key
            )


def _check_form(config: Mapping[str, Any], name: str) -> str:
    """The model_type of a config whose model may be loaded, whatever it is."""
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
    return kind


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
