"""What lies in a folder of the speech shelf: a card that always can be shown, and the parts of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from engine.formats.base_config import read_object
from engine.formats.errors import StudioError
from engine.formats.safetensors_file import read_header
from engine.messages import SpeechCard
from engine.speech.avhubert.config import parse_config
from engine.speech.avhubert.layout import layout
from engine.speech.card import CARD, read_card
from engine.supervisor.entry import Origin

__all__ = ["ORIGIN", "Sense", "card_of", "encoder_of", "part_of"]

Sense = Literal["ear", "eye", "llm"]

ORIGIN = "origin.json"
"""Beside a model's files: how it came in (an Origin)."""

_CANNOT = {
    "ear": "hears with nothing that another model could use",
    "eye": "has no lip reader that another model could use",
    "llm": "has no language model that another could use",
}


def card_of(name: str, folder: Path) -> SpeechCard:
    """The card of what lies in ``folder``; one that cannot be used says why."""
    created = _created(folder)
    try:
        if encoder := encoder_of(folder):
            return _encoder_card(name, folder, encoder, created)
        found = read_card(folder)
    except (StudioError, OSError) as error:
        kind: Literal["whisper", "llama-avsr"] = "llama-avsr" if (folder / CARD).exists() else "whisper"
        path, said = str(folder), error.message if isinstance(error, StudioError) else f"{error.strerror}."
        return SpeechCard(name=name, kind=kind, path=path, modes=[], problem=said, created=created)
    config = found.config
    return SpeechCard(
        name=name,
        kind=found.kind,
        path=str(folder),
        modes=list(found.modes),
        audio_rates=sorted(config.audio_rates) if config else [],
        video_rates=sorted(config.video_rates) if config else [],
        tokens_per_second=found.tokens_per_second,
        parameters=found.parameters,
        bytes=found.bytes,
        parts={
            sense: part.what or Path(part.path).name
            for sense, part in found.parts.items()
            if sense != "speech"
        },
        license=found.license,
        note=found.note,
        created=created,
    )


def part_of(sense: Sense, folder: Path) -> Path:
    """The folder of the ear, the eye or the language model in ``folder``, which may be one itself.

    StudioError when it has none.
    """
    if not (folder / CARD).exists():
        return folder
    found = read_card(folder).parts.get(sense)
    if found is None:
        raise StudioError("usage", f"{folder.name} {_CANNOT[sense]}.", "Name another one.")
    return Path(found.path)


def encoder_of(folder: Path) -> Mapping[str, Any] | None:
    """The config.json of an AV-HuBERT that lies in ``folder`` by itself, else None."""
    if (folder / CARD).exists() or not (folder / "config.json").is_file():
        return None
    config = read_object(folder / "config.json")
    return config if isinstance(config.get("encoder"), dict) else None


def _encoder_card(name: str, folder: Path, config: Mapping[str, Any], created: float) -> SpeechCard:
    weights, expected = folder / "model.safetensors", layout(parse_config(config["encoder"]))
    if {tensor: info.shape for tensor, info in read_header(weights).items()} != expected:
        raise StudioError("adapter", "Its weights are not those that its config.json describes.")
    source = config.get("source")
    license = source.get("licence", "") if isinstance(source, dict) else ""
    return SpeechCard(
        name=name,
        kind="av-hubert",
        path=str(folder),
        modes=[],
        parameters=sum(math.prod(shape) for shape in expected.values()),
        bytes=weights.stat().st_size,
        parts={"ear": name, "eye": name},
        license=license if isinstance(license, str) else "",
        note="It transcribes nothing by itself: name it as ear or eye of a model.",
        created=created,
    )


def _created(folder: Path) -> float:
    """When it came in, in seconds since the epoch; 0 where that was not taken down."""
    try:
        return msgspec.json.decode((folder / ORIGIN).read_bytes(), type=Origin).time
    except (OSError, msgspec.DecodeError):
        return 0.0
