"""A weights file, safetensors or what torch saves, as a table of where each tensor's numbers lie."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from engine.formats.convert.archive import Member, read_members
from engine.formats.convert.inert import step_over
from engine.formats.convert.pickled import MAX_PICKLE, Machine, Storage, Tensor, play, step
from engine.formats.errors import AdapterError
from engine.formats.plain import open_plain
from engine.formats.safetensors_file import DTYPE_BYTES, MAX_NAME, MAX_TENSORS, read_header

__all__ = ["Stored", "Weights", "read_weights"]

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of torch's format before 1.6, a row of pickles


@dataclass(frozen=True)
class Stored:
    """A tensor's numbers in a file: ``start`` is a byte of the file, ``strides`` count numbers."""

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    start: int

    @property
    def bytes(self) -> int:
        """Of the tensor when its numbers lie in a row."""
        return math.prod(self.shape) * DTYPE_BYTES[self.dtype]

    @property
    def in_a_row(self) -> bool:
        return self.bytes == 0 or self.strides == _strides(self.shape)


@dataclass(frozen=True)
class Weights:
    """``tensors`` by name; ``kind`` is safetensors or pickle."""

    path: Path
    kind: str
    tensors: Mapping[str, Stored]


def read_weights(path: Path, within: Sequence[str] | None = None) -> Weights:
    """The table of the file at ``path``, by its content, whatever its name says.

    Every tensor lies inside the file, and together they are no larger than it. AdapterError when it is
    damaged or of another kind; code "refused" when opening it as its makers meant would run code. With
    ``within`` it may be a whole training state: the table under the first of these keys that it has is read,
    else the state itself; everything else in it is passed over, never made, and tensors may share numbers.
    """
    with open_plain(path) as file:
        head = file.read(512)
        size = os.fstat(file.fileno()).st_size
        if head[8:9] == b"{":
            table = read_header(path)
            start = size - max((info.end for info in table.values()), default=0)
            tensors = {
                name: Stored(info.dtype, info.shape, _strides(info.shape), start + info.start)
                for name, info in table.items()
            }
            return Weights(path, "safetensors", tensors)
        if head[:4] == b"GGUF" or head[257:262] == b"ustar":
            what = "a GGUF file" if head[:4] == b"GGUF" else "a tar archive"
            raise AdapterError(f"{path.name} is {what}, which is not read.", "Ask for a safetensors file.")
        read = _zipped if head[:2] == b"PK" else _pickles
        state, places = read(file, size, step if within is None else step_over)
    for key in within or ():
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
            break
    return Weights(path, "pickle", _placed(state, places, size, shared=within is not None))


_Do = Callable[[Machine, str, Any], None]


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def _zipped(file: BinaryIO, size: int, do: _Do) -> tuple[Any, dict[str, Member]]:
    """What the archive's pickle says, and where its storages lie (torch since 1.6)."""
    members = read_members(file, size)
    roots = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise AdapterError(
            "The file is a zip archive, but not one of torch's.", "Ask its author for a safetensors file."
        )

    def content(name: str, most: int) -> bytes:
        member = members.get(roots[0] + name, Member(0, 0))
        if member.size > most:
            raise AdapterError(f"The archive's {name} is larger than any adapter's.", "Check what it is.")
        file.seek(member.start)
        return file.read(member.size)

    if content("byteorder", 99) not in (b"", b"little"):
        raise AdapterError("Its numbers are written for another kind of processor.", "Export it again.")
    state = play(io.BytesIO(content("data.pkl", MAX_PICKLE)), do)
    data = f"{roots[0]}data/"
    return state, {name.removeprefix(data): m for name, m in members.items() if name.startswith(data)}


def _pickles(file: BinaryIO, size: int, do: _Do) -> tuple[Any, dict[str, Member]]:
    """The same of torch's older format: magic, protocol, system, state, keys, then size and data of each."""
    file.seek(0)
    head = io.BytesIO(file.read(2 * MAX_PICKLE))
    if play(head) != _MAGIC or play(head) != _PROTOCOL:
        raise AdapterError(
            "The file is neither safetensors nor anything that torch saves.", "Download it again."
        )
    storages: dict[str, Storage] = {}
    system, state, keys = play(head), play(head, do, storages), play(head)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise AdapterError("Its numbers are written for another kind of processor.", "Export it again.")
    if not isinstance(keys, list) or len(keys) > MAX_TENSORS or not all(type(key) is str for key in keys):
        raise AdapterError("Its list of storages is damaged.", "Download it again.")
    widths = {key: DTYPE_BYTES[storage.dtype] for key, storage in storages.items()}
    places, at = {}, head.tell()
    for key in keys:
        if at > size:
            break
        file.seek(at)
        count = int.from_bytes(file.read(8), "little")
        places[key] = Member(at + 8, count * widths.get(key, 1))
        at += 8 + places[key].size
    if at != size:
        raise AdapterError("The weights file is cut off or has bytes too many.", "Download it again.")
    return state, places


def _tensors(state: Any) -> dict[str, Tensor]:
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise AdapterError(
            "The file holds more than a table of tensors, as whole models and training states do.",
            "Export the adapter alone with PEFT.",
        )
    return state


def _placed(state: Any, places: Mapping[str, Member], size: int, shared: bool) -> dict[str, Stored]:
    tensors = _tensors(state)
    if len(tensors) > MAX_TENSORS:
        raise AdapterError(f"The file lists {len(tensors):,} tensors.", "This is not an ordinary adapter.")
    found = {name: _place(name, tensor, places) for name, tensor in tensors.items()}
    counted = set(found.values()) if shared else found.values()
    if sum(stored.bytes for stored in counted) > size:
        raise AdapterError("Its tensors together are larger than the file.", "Do not use it.", code="refused")
    return found


def _place(name: str, tensor: Tensor, places: Mapping[str, Member]) -> Stored:
    storage: Storage = tensor.storage
    width = DTYPE_BYTES[storage.dtype]
    place = places.get(storage.key)
    if len(name) > MAX_NAME or not name.isprintable():
        raise AdapterError(
            "The weights file has a tensor with an impossible name.", "Do not use it.", name[:99]
        )
    if place is None or place.size != storage.size * width or len(tensor.shape) != len(tensor.strides):
        raise AdapterError(f"Tensor {name} has no numbers in the file.", "Download it again.")
    last = sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    if 0 in tensor.shape:
        return Stored(storage.dtype, tensor.shape, _strides(tensor.shape), place.start)
    if tensor.start + last >= storage.size or math.prod(tensor.shape) > storage.size:
        raise AdapterError(f"Tensor {name} reaches beyond its numbers.", "Do not use it.", code="refused")
    return Stored(storage.dtype, tensor.shape, tensor.strides, place.start + tensor.start * width)
