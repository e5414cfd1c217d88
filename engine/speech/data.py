"""What a speech model learns from: JSON lines, each a clip and what is said in it. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine.formats.dataset import MAX_LINE
from engine.formats.errors import DataError

__all__ = ["Spoken", "read_clip_list"]

SHAPE_HINT = 'Each line needs "clip", the path of a sound or video file, and "text", what is said in it.'


@dataclass(frozen=True)
class Spoken:
    """``text`` is said in the file ``clip``; ``line`` of the list says so."""

    clip: Path
    text: str
    line: int


def read_clip_list(path: str | Path, folder: str | Path | None = None) -> list[Spoken]:
    """All lines of a list of clips, whose paths are relative to ``folder`` (default: the list's own).

    The list is read to its end or not at all: DataError names the first line that cannot be used, and why.
    Whether a clip can be read is seen only when it is.
    """
    path = Path(path)
    base = path.parent if folder is None else Path(folder)
    try:
        with path.open("rb") as file:
            found = [_spoken(line, base, f"{path.name}, line {n}", n) for n, line in _lines(file)]
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}.", SHAPE_HINT, str(path)) from error
    if not found:
        raise DataError(f"{path.name} names no clips.", SHAPE_HINT)
    return found


def _lines(file: Any) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if line.strip():
            yield number, line


def _spoken(line: bytes, base: Path, where: str, number: int) -> Spoken:
    if len(line) > MAX_LINE:
        raise DataError(f"{where}: it is longer than {MAX_LINE >> 20} MiB.", SHAPE_HINT)
    try:
        fields = msgspec.json.decode(line.decode())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{where}: it is not JSON.", SHAPE_HINT, str(error)) from error
    if not isinstance(fields, dict):
        raise DataError(f"{where}: it is no object.", SHAPE_HINT)
    for key in ("clip", "text"):
        if not isinstance(fields.get(key), str) or not fields[key].strip():
            raise DataError(f'{where}: it has no "{key}".', SHAPE_HINT)
    if not any(letter.isalnum() for letter in fields["text"]):
        raise DataError(f'{where}: there are no words in its "text".', SHAPE_HINT)
    clip = base / Path(fields["clip"]).expanduser()
    if "\0" in fields["clip"] or not clip.is_file():
        raise DataError(
            f"{where}: there is no file {fields['clip']}.", f"Its path is taken from {base} on.", str(clip)
        )
    return Spoken(clip, fields["text"], number)
