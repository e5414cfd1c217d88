"""Whether the parts of a speech model are as wide as its bridges were made for, from tables alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.formats.base_config import read_object
from engine.formats.errors import StudioError
from engine.formats.safetensors_file import read_header
from engine.speech.config import SpeechConfig

__all__ = ["check_widths", "encoder_width"]

_NAMES = ("hidden_size", "n_embd", "d_model")
"""What language models call the width of their vectors."""


def encoder_width(config: Mapping[str, Any]) -> int:
    """Of the vectors of the Whisper or AV-HuBERT with this config.json; 0 where it does not say."""
    encoder = config.get("encoder")
    width = encoder.get("width") if isinstance(encoder, dict) else config.get("d_model")
    return width if type(width) is int else 0


def check_widths(config: SpeechConfig, weights: Path, parts: Mapping[str, Path]) -> None:
    """StudioError where "ear", "eye" or "llm", the folders in ``parts``, is of another width than the bridges
    in the file ``weights`` were made for. What says no width is left to whoever opens it."""
    shapes = {name: info.shape for name, info in read_header(weights).items()}
    for name, sense, rates in (("ear", "audio", config.audio_rates), ("eye", "video", config.video_rates)):
        for rate in rates:
            pooled = config.compression == "pool"
            first = shapes.get(f"{sense}.projectors.{'shared' if pooled else rate}.0.weight")
            if first is not None and len(first) == 2:
                _check(
                    name,
                    encoder_width(read_object(parts[name] / "config.json")),
                    first[1],
                    1 if pooled else rate,
                )
    llm = read_object(parts["llm"] / "config.json")
    width = next((llm[key] for key in _NAMES if type(llm.get(key)) is int), 0)
    tags = shapes.get("tags")
    if tags is not None and len(tags) == 2:
        _check("language model", width, tags[1])


def _check(name: str, width: int, read: int, rate: int = 1) -> None:
    if width and width * rate != read:
        made = f"one of {read // rate}" if read % rate == 0 else "another"
        raise StudioError(
            "adapter",
            f"The {name} of this speech model is {width} wide, and the model was made for {made}.",
            f"Name the {name} that it was made with.",
        )
