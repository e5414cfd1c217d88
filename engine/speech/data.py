"""What a speech model learns from: JSON lines, each a clip and what is said in it. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

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


def read_clip_list(path: str | Path, folder: str | Path | None = None, *, there: bool = True) -> list[Spoken]:
    """All lines of a list of clips, whose paths are relative to ``folder`` (default: the list's own).

    The list is read to its end or not at all: DataError names the first line that cannot be used, and why.
    With ``there`` each file must be; whether it is a clip is seen only when it is read.
    """
    path = Path(path)
    base = path.parent if folder is None else Path(folder)
    try:
        with path.open("rb") as file:
            lines = list(_lines(file))
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}.", SHAPE_HINT, str(path)) from error
    found = [_spoken(line, base, f"{path.name}, line {number}", number) for number, line in lines]
    if not found:
        raise DataError(f"{path.name} names no clips.", SHAPE_HINT)
    for one in found if there else ():
        if not one.clip.is_file():
            raise DataError(
                f"{path.name}, line {one.line}: there is no file {one.clip.name}.",
                f"Paths are taken from {base} on.",
                str(one.clip),
            )
    return found


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if line.strip() or len(line) > MAX_LINE:
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
    if "\0" in fields["clip"]:
        raise DataError(f'{where}: its "clip" is no path.', SHAPE_HINT)
    return Spoken(base / Path(fields["clip"]).expanduser(), fields["text"], number)
