"""The numbers of a safetensors file, looked at without torch and a megabyte at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.formats.errors import AdapterError
from engine.formats.safetensors_file import TensorInfo, read_header

__all__ = ["Numbers", "look_at_numbers"]

CHUNK = 1 << 20

# How a format lies in memory: an unsigned word, the bits of its magnitude, and the smallest magnitude that is
# no number. Of IEEE's formats that is infinity; E4M3 has NaN alone, at the very top.
_WORDS = {
    "F64": ("<u8", 0x7FFF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7FFF_FFFF, 0x7F80_0000),
    "F16": ("<u2", 0x7FFF, 0x7C00),
    "BF16": ("<u2", 0x7FFF, 0x7F80),
    "F8_E5M2": ("<u1", 0x7F, 0x7C),
    "F8_E4M3": ("<u1", 0x7F, 0x7F),
}


@dataclass(frozen=True)
class Numbers:
    """What a file's numbers are like, by tensor: which have a NaN or an infinity, which are zero throughout.

    ``digest`` (sha256, hex) is of names, formats, shapes and numbers: equal for files that hold the same
    tensors, whatever their order and metadata.
    """

    broken: tuple[str, ...]
    silent: frozenset[str]
    digest: str


def look_at_numbers(path: Path) -> Numbers:
    """Read every number of the safetensors file at ``path``, in a few megabytes of memory.

    AdapterError as ``read_header``, OSError when it cannot be read.
    """
    table = read_header(path)
    broken, silent, digests = [], set(), []
    with path.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        for info in table.values():
            file.seek(start + info.start)
            digest = hashlib.sha256(f"{info.name}:{info.dtype}:{info.shape}:".encode())
            largest = 0
            for chunk in _chunks(file, info):
                digest.update(chunk)
                largest = max(largest, _largest(info, chunk))
            digests.append(digest.hexdigest())
            if info.dtype in _WORDS and largest >= _WORDS[info.dtype][2]:
                broken.append(info.name)
            if largest == 0:
                silent.add(info.name)
    together = hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
    return Numbers(tuple(broken), frozenset(silent), together)


def _chunks(file: BinaryIO, info: TensorInfo) -> Iterator[bytes]:
    left = info.end - info.start
    while left:
        chunk = file.read(min(CHUNK, left))
        if len(chunk) < min(CHUNK, left):
            raise AdapterError("The weights file became shorter while it was read.", "Try again.")
        left -= len(chunk)
        yield chunk


def _largest(info: TensorInfo, chunk: bytes) -> int:
    """The largest magnitude in a chunk, as the bits that it is written with (they are in the same order)."""
    import numpy  # a tenth of a second that the engine's start need not wait for

    word, magnitude, _ = _WORDS.get(info.dtype, ("<u1", 0xFF, 0))
    return int((numpy.frombuffer(chunk, word) & magnitude).max(initial=0))
