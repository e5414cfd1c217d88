"""Published speech checkpoints, which are pickles, made into safetensors without opening one as a pickle.

    found = inspect(path)                       # what it is, its configuration, its licence; nothing is made
    convert(path, target, accepted=True)        # after a person has read and accepted found.licence

The work is done in a jail that reads the one file, writes the one folder, and can do nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from engine.formats import jail
from engine.formats.errors import AdapterError, StudioError
from engine.formats.files import atomic_folder, sha256_file
from engine.formats.safetensors_file import read_header
from engine.speech.avhubert.config import AvHubertConfig
from engine.speech.config import SpeechConfig
from engine.speech.convert.licence import Licence
from engine.speech.convert.parts import ADAPTER, LIPS, Asked, Parts, find_parts

__all__ = ["Asked", "Found", "Licence", "convert", "inspect"]

SECONDS = 600.0
MEMORY = 512 << 20
SPARE = 4 << 20


@dataclass(frozen=True)
class Found:
    """What a checkpoint is: "AV-HuBERT" or "Llama-AVSR", the encoder and the speech model in it, the width of
    the language model and of the Whisper that it belongs to (0: none, or not to be told from the file, nor
    then the rate of sound), bytes to be written."""

    kind: str
    licence: Licence
    encoder: AvHubertConfig | None
    speech: SpeechConfig | None
    llm_width: int
    audio_width: int
    bytes: int


def inspect(path: Path, asked: Asked | None = None) -> Found:
    """What the checkpoint at ``path`` is, from its tables alone. AdapterError says why it cannot be used."""
    parts = find_parts(path, asked or Asked())
    return Found(
        parts.kind,
        parts.licence,
        parts.encoder.config if parts.encoder else None,
        parts.speech.config if parts.speech else None,
        parts.speech.llm_width if parts.speech else 0,
        parts.speech.audio_width if parts.speech and parts.speech.config.audio_rates else 0,
        _largest(parts),
    )


def convert(path: Path, target: Path, *, accepted: bool, asked: Asked | None = None) -> Found:
    """Make the checkpoint at ``path`` into the new folder ``target``, and say what it was.

    An AV-HuBERT becomes a folder as ``engine.speech.avhubert.file`` reads it; a Llama-AVSR one as
    ``engine.speech.file`` reads it, with its lip encoder in ``lips/``. StudioError("refused") unless its
    licence has been ``accepted``; AdapterError when it cannot be converted.
    """
    found = inspect(path, asked)
    if not accepted:
        raise StudioError(
            "refused",
            f"The terms of {found.licence.name} have not been accepted.",
            "Read and accept them first.",
        )
    if found.speech and found.speech.audio_rates and not found.audio_width:
        raise AdapterError(
            f"{path.name} does not tell which Whisper it hears with.",
            "Name the one that it was trained with.",
        )
    source = path.resolve()
    with atomic_folder(target, doing="converting the checkpoint") as folder:
        if found.speech:
            (folder / ADAPTER).mkdir()
        if found.speech and found.encoder:
            (folder / LIPS).mkdir()
        order = {
            "path": str(source),
            "target": str(folder.resolve()),
            "asked": (asked or Asked()).as_json(),
            "source": {"file": path.name, "sha256": sha256_file(source), "licence": found.licence.name},
        }
        jail.run(
            "engine.speech.convert.work",
            json.dumps(order).encode(),
            seconds=SECONDS,
            memory=MEMORY,
            file_size=found.bytes + SPARE,
            read=[source],
            write=[folder.resolve()],
        )
        for place, plan in find_parts(path, asked or Asked()).files():
            if read_header(folder / place) != plan.table():
                raise AdapterError("What was written is not what was planned.", "Report this.", place)
    return found


def _largest(parts: Parts) -> int:
    """Bytes of the largest file that will be written."""
    return max(max((info.end for info in plan.table().values()), default=0) for _, plan in parts.files())
