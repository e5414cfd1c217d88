"""Opening a stranger's file: an ordinary one, that lies where it seems to lie."""

from __future__ import annotations

import io
import json
import os
import stat
from pathlib import Path
from typing import Any

from engine.formats.errors import AdapterError

__all__ = ["load_json", "open_plain", "parse_json", "refuse_link"]

MAX_JSON = 1 << 20
_AGAIN = "Download or export it again."


def open_plain(path: Path) -> io.BufferedReader:
    """The file at ``path``, opened to be read; a pipe, a device or a folder is not even opened.

    AdapterError(code="refused") for those, OSError when there is none.
    """
    seen = path.stat()
    if stat.S_ISREG(seen.st_mode):
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        file = open(os.open(path, flags), "rb")  # noqa: PTH123, SIM115
        now = os.fstat(file.fileno())
        if stat.S_ISREG(now.st_mode) and (now.st_dev, now.st_ino) == (seen.st_dev, seen.st_ino):
            return file
        file.close()
    raise AdapterError(
        f"{path.name} is not an ordinary file, but a folder, a pipe or a device.",
        "Do not use it.",
        str(path),
        code="refused",
    )


def refuse_link(path: Path) -> None:
    """AdapterError(code="refused") for a link, unless it is how a Hugging Face cache keeps its snapshots."""
    if path.is_symlink() and not _is_blob(path):
        raise AdapterError(
            f"{path.name} is a link to a file elsewhere.",
            "Put the file itself in its place.",
            code="refused",
        )


def _is_blob(path: Path) -> bool:
    """Whether ``path``, .../models--X/snapshots/COMMIT/..., leads to a file of .../models--X/blobs."""
    for folder in path.parent.resolve().parents:
        if folder.name == "snapshots" and folder.parent.name.startswith("models--"):
            return path.resolve().parent == folder.parent / "blobs"
    return False


def load_json(path: Path) -> dict[str, Any]:
    """The JSON object in the file at ``path``, of at most 1 MB.

    AdapterError when it is damaged, too large, has a name twice, or a number that is none.
    """
    with open_plain(path) as file:
        raw = file.read(MAX_JSON + 1)
    if len(raw) > MAX_JSON:
        raise AdapterError(
            f"{path.name} is larger than 1 MB, which no adapter needs.", "Check where it comes from."
        )
    try:
        return parse_json(raw)
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{path.name} is damaged.", _AGAIN, str(error)) from error


def parse_json(raw: bytes) -> dict[str, Any]:
    """The object in ``raw``. ValueError or RecursionError when it is none, names something twice, or has so
    many values that reading them would take much more memory than ``raw``."""
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > MAX_VALUES:
        raise ValueError("too many values")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name occurs twice")
        return found

    def refuse_constant(text: str) -> float:
        raise ValueError(f"{text} is not a number")

    value = json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse_constant)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


# 20,000 tensors of two dimensions have eight each; with names of two letters they take some 40 MB.
MAX_VALUES = 200_000
