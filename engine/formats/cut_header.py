"""The beginning of a safetensors header: as many entries as lie in it whole, by the same strict rules."""

from __future__ import annotations

import codecs
import json

import regex  # type: ignore[import-untyped]  # it can tell the beginning of a match from what is none

from engine.formats.errors import AdapterError
from engine.formats.safetensors_file import MAX_HEADER, TensorInfo, parse_header, read_entry

__all__ = ["header_end", "parse_cut"]

_STRING = r'"(?:[^"\\\x00-\x1f]|\\.)*+"'
_ENTRY = regex.compile(rf'\s*+({_STRING})\s*+:\s*+(\{{(?:[^{{}}"]|{_STRING})*+\}})\s*+([,}}])')
SECONDS = 1.0


def header_end(head: bytes) -> int:
    """How many bytes of the file the header takes, its length's own eight included; 8 where ``head`` is not
    the beginning of a safetensors file that would be read."""
    length = int.from_bytes(head[:8], "little") if len(head) >= 8 else MAX_HEADER + 1
    return 8 + length if length <= MAX_HEADER and head[8:9] in (b"{", b"") else 8


def parse_cut(head: bytes, size: int) -> tuple[dict[str, TensorInfo], float]:
    """The table of a file of ``size`` bytes that begins with ``head``, and which part of it that is: 1 for
    all of it, checked as ``parse_header`` does; else the entries whose text is whole.

    AdapterError as ``parse_header``; also where ``head`` cannot be the beginning of a sound table.
    """
    end = header_end(head)
    if not len(head) < end <= size:
        return parse_header(head, size), 1.0
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head[8:])
        found = _entries(text)
    except (ValueError, RecursionError, TimeoutError) as error:
        raise AdapterError(
            "The weights file's table of contents is damaged.",
            "Ask its author to export it again.",
            str(error),
        ) from error
    tensors = sorted(
        (read_entry(name, entry) for name, entry in found.items() if name != "__metadata__"),
        key=lambda info: (info.start, info.end),
    )
    place = 0
    for info in tensors:
        if info.start < place or info.end > size - end:
            raise AdapterError(
                f"Tensor {info.name} overlaps another one or lies outside of the file.",
                "Ask its author to export it again.",
            )
        place = info.end
    return {info.name: info for info in tensors}, len(head) / end


def _entries(text: str) -> dict[str, object]:
    """The whole entries of an object that is cut off. ValueError where it is none."""
    if not text[:1] == "{":
        raise ValueError("not an object")
    found: dict[str, object] = {}
    place = 1
    while match := _ENTRY.match(text, place, timeout=SECONDS):
        name = json.loads(match[1])
        if name in found:
            raise ValueError("a name occurs twice")
        found[name] = json.loads(match[2])
        place = match.end()
        if match[3] == "}":
            if text[place:].strip(" "):
                raise ValueError("something follows the end")
            return found
    if not _ENTRY.fullmatch(text, place, partial=True, timeout=SECONDS):
        raise ValueError("not a table of tensors")
    return found
