"""A folder that transcribes, read without torch: what it is made of, and whether all of it is there.

    model.json, speech/ (speech.json, speech.safetensors, adapter/), encoder/, llm/

model.json is {"kind", "name", "ear", "eye", "llm", "speech", "license", "note"}. A part is {"path", "what",
"sha256": {file: digest}}; its path is relative to the folder and stays within it, or absolute. "llm" and
"speech" may be left out where they lie in llm/ and speech/. ``kind`` "whisper" has an ear alone, a whole
Whisper. A folder that is a Whisper itself needs no model.json.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from engine.formats.base_config import WHISPER, check_config, check_whisper, read_object
from engine.formats.errors import StudioError
from engine.formats.files import write_file
from engine.formats.plain import load_json
from engine.formats.safetensors_file import read_header
from engine.speech.avhubert.config import parse_config
from engine.speech.config import Mode, SpeechConfig, parse_speech_config
from engine.speech.shape import FPS, WHISPER_RATE
from engine.speech.widths import check_widths

__all__ = ["CARD", "Card", "Kind", "Part", "read_card", "write_card"]

Kind = Literal["demo", "whisper", "llama-avsr"]
CARD = "model.json"
_HINT = "Choose another folder, or import the model again."


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A folder, ``what`` lies in it in words, and the digests of files in it that shall be just these."""

    path: str
    what: str = ""
    sha256: dict[str, str] = {}


class _Raw(msgspec.Struct, frozen=True, kw_only=True):
    kind: Kind
    name: str = ""
    ear: Part | None = None
    eye: Part | None = None
    llm: Part | None = None
    speech: Part | None = None
    license: str = ""
    note: str = ""
    sentences: bool = False


@dataclass(frozen=True)
class Card:
    """``parts`` are the folders of "ear", "eye", "llm" and "speech" as far as it has them, all absolute.

    ``config`` is None for a Whisper. ``tokens_per_second``: what the language model reads of a second of
    sound, and of lips, at rate 1. ``bytes`` and ``parameters`` are those of all weights, each file once.
    ``sentences``: it was never taught more than one at once.
    """

    kind: Kind
    name: str
    folder: Path
    parts: dict[str, Part]
    config: SpeechConfig | None
    tokens_per_second: tuple[float, float]
    parameters: int
    bytes: int
    license: str
    note: str
    sentences: bool = False

    @property
    def modes(self) -> tuple[Mode, ...]:
        """What it can be asked for."""
        return self.config.modes if self.config else ("audio",)

    def part(self, name: str) -> Path:
        """Where that part lies."""
        return Path(self.parts[name].path)


def read_card(folder: str | Path) -> Card:
    """What the model in ``folder`` is. Every weight's table has been read, and no weight.

    StudioError says what is missing, damaged or refused.
    """
    folder = Path(folder).resolve()
    raw = _read(folder)
    parts = {name: _placed(folder, name, part) for name, part in _parts_of(raw, folder)}
    config = None if raw.kind == "whisper" else _read_config(Path(parts["speech"].path))
    rates = [0.0, 0.0]
    for place, name in enumerate(("ear", "eye")):
        if name in parts:
            rates[place] = _encoder_rate(Path(parts[name].path), name)
    if config:
        _check_senses(config, parts)
        path = Path(parts["llm"].path)
        check_config(read_object(path / "config.json"), parts["llm"].what or path.name)
    folders = {name: Path(part.path) for name, part in parts.items()}
    numbers, size = _weigh(set(folders.values()))
    if config:
        check_widths(config, folders["speech"] / "speech.safetensors", folders)
    return Card(
        kind=raw.kind,
        name=raw.name or folder.name,
        folder=folder,
        parts=parts,
        config=config,
        tokens_per_second=(0.0, 0.0) if raw.kind == "whisper" else (rates[0], rates[1]),
        parameters=numbers,
        bytes=size,
        license=raw.license,
        note=raw.note,
        sentences=raw.sentences or raw.kind == "demo",
    )


def write_card(
    folder: Path,
    kind: Kind,
    parts: dict[str, Part],
    *,
    name: str = "",
    license: str = "",
    note: str = "",
    sentences: bool = False,
) -> None:
    """Write ``folder``'s model.json. ``parts`` by "ear", "eye", "llm", "speech"."""
    raw = _Raw(kind=kind, name=name, license=license, note=note, sentences=sentences, **parts)
    text = msgspec.json.format(msgspec.json.encode(raw), indent=2)
    write_file(folder / CARD, text, doing="writing the speech model's card")


def _read(folder: Path) -> _Raw:
    if not (folder / CARD).is_file():
        if (folder / "config.json").is_file():
            return _Raw(kind="whisper", ear=Part(path=".", what=folder.name))
        raise StudioError("adapter", f"There is no {CARD} in {folder.name}, so it is no speech model.", _HINT)
    try:
        return msgspec.convert(load_json(folder / CARD), _Raw)
    except msgspec.ValidationError as error:
        raise StudioError(
            "adapter", f"The {CARD} of {folder.name} is not one of a speech model.", _HINT, str(error)
        ) from error


def _parts_of(raw: _Raw, folder: Path) -> Iterator[tuple[str, Part]]:
    wanted = {"ear": raw.ear, "eye": raw.eye}
    if raw.kind == "whisper":
        wanted = {"ear": raw.ear or Part(path=".")}
    else:
        wanted |= {"llm": raw.llm or Part(path="llm"), "speech": raw.speech or Part(path="speech")}
    for name, part in wanted.items():
        if part is not None:
            yield name, part


def _placed(folder: Path, name: str, part: Part) -> Part:
    """``part`` with its path absolute, which is a folder that is there."""
    path = Path(part.path)
    if "\0" in part.path or (not path.is_absolute() and not (folder / path).resolve().is_relative_to(folder)):
        raise StudioError(
            "refused",
            f"The {name} of this speech model leads out of its folder.",
            "Do not use it.",
            part.path,
        )
    path = _lies((folder / path).resolve(), folder)
    if not path.is_dir():
        raise StudioError(
            "missing",
            f"The {name} of this speech model is not there any more.",
            "Import it again.",
            str(path),
        )
    for file in part.sha256:
        if Path(file).name != file:
            raise StudioError(
                "refused", f"The {name} of this speech model names a file elsewhere.", "Do not use it.", file
            )
    return msgspec.structs.replace(part, path=str(path))


def _lies(path: Path, folder: Path) -> Path:
    """Where ``path`` lies now: a studio's home that was moved took its shelves along, and ``folder`` is on
    one of them."""
    moved = folder.parent.parent.joinpath(*path.parts[-2:])
    return moved if not path.exists() and moved.is_dir() else path


def _read_config(folder: Path) -> SpeechConfig:
    raw = read_object(folder / "speech.json").get("speech")
    if not isinstance(raw, dict):
        raise StudioError("adapter", "This is no speech model's configuration.", _HINT)
    return parse_speech_config(raw)


def _encoder_rate(folder: Path, name: str) -> float:
    """Vectors a second of the Whisper (an ear only) or the AV-HuBERT in ``folder``."""
    config = read_object(folder / "config.json")
    if isinstance(config.get("encoder"), dict):
        parse_config(config["encoder"])
        return float(FPS)
    if name == "ear" and config.get("model_type") == WHISPER:
        check_whisper(config, folder.name)
        return float(WHISPER_RATE)
    known = "a Whisper or an AV-HuBERT" if name == "ear" else "an AV-HuBERT"
    raise StudioError("adapter", f"The {name} of this speech model is not {known}.", _HINT, str(folder))


def _check_senses(config: SpeechConfig, parts: dict[str, Part]) -> None:
    for name, rates in (("ear", config.audio_rates), ("eye", config.video_rates)):
        if rates and name not in parts:
            raise StudioError("adapter", f"This speech model needs an {name} and names none.", _HINT)


def _weigh(folders: set[Path]) -> tuple[int, int]:
    """(numbers, bytes) in all weights below ``folders``. StudioError where one has none, or a damaged one."""
    files: set[Path] = set()
    for folder in folders:
        found = {*folder.glob("*.safetensors"), *folder.glob("adapter/*.safetensors")}
        if not found:
            raise StudioError(
                "adapter",
                f"There are no .safetensors weights in {folder.name}.",
                "Other weights are never opened.",
                str(folder),
            )
        files |= found
    tables = [read_header(file) for file in files]
    return (
        sum(math.prod(info.shape) for table in tables for info in table.values()),
        sum(file.stat().st_size for file in files),
    )
