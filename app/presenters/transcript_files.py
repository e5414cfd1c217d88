"""A transcript as a file: plain text, subtitles, or all that is known of it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from engine.messages import Transcript

__all__ = ["KINDS", "Kind", "content", "write"]

Kind = Literal["txt", "srt", "vtt", "json"]
KINDS: dict[Kind, str] = {
    "txt": "Plain text",
    "srt": "SubRip subtitles",
    "vtt": "WebVTT subtitles",
    "json": "JSON, with times and confidences",
}
_BESIDE = ("type", "srt", "vtt")


def content(said: Transcript, kind: Kind) -> str:
    """What the file of that kind holds."""
    if kind == "txt":
        return said.text + "\n"
    if kind == "json":
        known = {key: value for key, value in msgspec.to_builtins(said).items() if key not in _BESIDE}
        return msgspec.json.format(msgspec.json.encode(known), indent=2).decode() + "\n"
    return said.srt if kind == "srt" else said.vtt


def write(path: Path, text: str) -> None:
    """Write ``path`` whole or not at all. OSError where that cannot be done."""
    part = path.with_name(f".{path.name}.partial")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        # Why it failed is said; what was half written goes if it can.
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
