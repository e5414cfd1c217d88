"""The header of a safetensors file, read with bounds and without torch before anything is mapped."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.formats.errors import AdapterError
from engine.formats.plain import open_plain, parse_json

__all__ = ["DTYPE_BYTES", "MAX_HEADER", "TensorInfo", "parse_header", "read_entry", "read_header"]

MAX_HEADER = 4 << 20
MAX_TENSORS = 20_000
MAX_DIMENSIONS = 8
MAX_NAME = 512

DTYPE_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1,
    "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4,
    "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip

_HINT = "Download or export it again, and check the file's size at its source."


@dataclass(frozen=True)
class TensorInfo:
    """One tensor as the header promises it; ``start`` and ``end`` count bytes after the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(path: Path) -> dict[str, TensorInfo]:
    """The tensor table of the safetensors file at ``path``, in the order of its bytes.

    AdapterError when the file is not safetensors (whatever its name says), is truncated, has trailing or
    overlapping bytes, or promises more than 4 MiB of header or 20,000 tensors.
    """
    with open_plain(path) as file:
        length = int.from_bytes(file.read(8), "little")
        file.seek(0)
        return parse_header(file.read(8 + min(length, MAX_HEADER)), os.fstat(file.fileno()).st_size)


def parse_header(head: bytes, size: int) -> dict[str, TensorInfo]:
    """``read_header`` of a file of ``size`` bytes that begins with ``head`` (all, or 8 bytes + 4 MiB)."""
    if head[8:9] != b"{" and (head[:2] == b"PK" or head[:1] == b"\x80"):
        raise AdapterError(
            "This file is a Python pickle, which can run code when it is opened; only safetensors is read.",
            "Ask its author for a safetensors file.",
            code="refused",
        )
    if len(head) < 8:
        raise AdapterError("The weights file is cut off: it ends before its own table of contents.", _HINT)
    length = int.from_bytes(head[:8], "little")
    if length > MAX_HEADER:
        raise AdapterError(
            "The weights file is not safetensors, or its table of contents is larger than 4 MB.", _HINT
        )
    if 8 + length > min(size, len(head)):
        raise AdapterError("The weights file is cut off: it ends before its own table of contents.", _HINT)
    table = _decode(head[8 : 8 + length])
    tensors = sorted(
        (read_entry(name, entry) for name, entry in table), key=lambda info: (info.start, info.end)
    )
    _check_layout(tensors, size - 8 - length)
    return {info.name: info for info in tensors}


def _decode(raw: bytes) -> list[tuple[str, Any]]:
    try:
        table = parse_json(raw)
    except (ValueError, RecursionError) as error:
        raise AdapterError("The weights file's table of contents is damaged.", _HINT, str(error)) from error
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise AdapterError("The weights file's table of contents is damaged.", _HINT, "odd metadata")
    if len(table) > MAX_TENSORS:
        raise AdapterError(
            f"The weights file lists {len(table):,} tensors; at most {MAX_TENSORS:,} are read.",
            "This is not an ordinary adapter; check what it is.",
        )
    return list(table.items())


def _natural(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def read_entry(name: str, entry: Any) -> TensorInfo:
    """One entry of the table, checked by itself; AdapterError when it is damaged."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise AdapterError("The weights file's table of contents is damaged.", _HINT, f"entry {name[:99]!r}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if len(name) > MAX_NAME or not name.isprintable():
        raise AdapterError("The weights file has a tensor with an impossible name.", _HINT, repr(name[:99]))
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise AdapterError(f"Tensor {name} has an unknown number format.", _HINT, repr(dtype)[:99])
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS or not all(map(_natural, shape)):
        raise AdapterError(f"Tensor {name} has an impossible shape.", _HINT, repr(shape)[:99])
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_natural, offsets)):
        raise AdapterError(f"Tensor {name} has an impossible place in the file.", _HINT, repr(offsets)[:99])
    start, end = offsets
    if end - start != math.prod(shape) * DTYPE_BYTES[dtype]:
        raise AdapterError(f"Tensor {name} has another size than its shape says.", _HINT)
    return TensorInfo(name, dtype, tuple(shape), start, end)


def _check_layout(tensors: list[TensorInfo], room: int) -> None:
    """The tensors must tile the rest of the file: no hole, no overlap, nothing left over."""
    place = 0
    for info in tensors:
        if info.start != place:
            raise AdapterError(f"Tensor {info.name} overlaps another one or leaves a hole.", _HINT)
        place = info.end
    if place > room:
        raise AdapterError(
            f"The weights file is cut off: {place - room:,} of {place:,} bytes are missing.", _HINT
        )
    if place < room:
        raise AdapterError(f"The weights file has {room - place:,} bytes too many at its end.", _HINT)
