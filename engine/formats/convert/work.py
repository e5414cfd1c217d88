"""The jail's part of a conversion: the plan is worked out again from the file itself, and carried out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy

from engine.formats.adapter_folder import CONFIG, WEIGHTS
from engine.formats.convert.foreign import find_plan
from engine.formats.convert.plan import Made, Plan
from engine.formats.convert.weights import Stored
from engine.formats.errors import AdapterError
from engine.formats.plain import open_plain
from engine.formats.safetensors_file import DTYPE_BYTES

__all__ = ["in_jail"]

CHUNK = 1 << 20
_WORDS = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<u8"}
_FLOATS = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}


def in_jail(work: bytes) -> bytes:
    """JSON {"path", "target"} in, the format's name out; the adapter then lies in the folder ``target``."""
    order = json.loads(work)
    plan = find_plan(Path(order["path"]))
    if plan is None:
        raise AdapterError("There is nothing to convert: it is an adapter of today's PEFT.", "Import it.")
    plan.check()
    target = Path(order["target"])
    with open_plain(plan.weights.path) as file, (target / WEIGHTS).open("wb") as out:
        write(plan, file, out)
    (target / CONFIG).write_text(json.dumps(plan.config, indent=2) + "\n")
    return plan.format.encode()


def write(plan: Plan, file: BinaryIO, out: BinaryIO) -> None:
    """The plan's tensors as a safetensors file, one after the other."""
    table = plan.table()
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for name, info in table.items():
        header[name] = {"dtype": info.dtype, "shape": info.shape, "data_offsets": [info.start, info.end]}
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    out.write(len(raw).to_bytes(8, "little") + raw)
    for name in table:
        source = plan.tensors[name]
        if isinstance(source, Made):
            made = source.make(*(_numbers(file, plan.weights.tensors[old]) for old in source.sources))
            if made.shape != source.shape:
                raise AdapterError(f"{name[:160]} became another size than planned.", "Report this.")
            out.write(numpy.ascontiguousarray(made, "<f4").tobytes())
        else:
            for chunk in _bytes(file, plan.weights.tensors[source]):
                out.write(chunk)


def _bytes(file: BinaryIO, stored: Stored) -> Iterator[bytes]:
    """A tensor's numbers in a row."""
    if not stored.in_a_row:
        yield _array(file, stored).tobytes()
        return
    file.seek(stored.start)
    left = stored.bytes
    while left:
        chunk = file.read(min(left, CHUNK))
        if not chunk:
            raise AdapterError("The weights file became shorter while it was read.", "Try again.")
        left -= len(chunk)
        yield chunk


def _array(file: BinaryIO, stored: Stored) -> numpy.ndarray[Any, Any]:
    """A tensor as unsigned words of its width, in its own shape."""
    width = DTYPE_BYTES[stored.dtype]
    reach = 1 + sum((n - 1) * stride for n, stride in zip(stored.shape, stored.strides, strict=True))
    file.seek(stored.start)
    raw = file.read(reach * width)
    if len(raw) != reach * width:
        raise AdapterError("The weights file became shorter while it was read.", "Try again.")
    words = numpy.frombuffer(raw, _WORDS[width])
    steps = [stride * width for stride in stored.strides]
    return numpy.ascontiguousarray(numpy.lib.stride_tricks.as_strided(words, stored.shape, steps))


def _numbers(file: BinaryIO, stored: Stored) -> numpy.ndarray[Any, Any]:
    """A tensor as float64."""
    if stored.bytes == 0:
        return numpy.zeros(stored.shape)
    words = _array(file, stored)
    if stored.dtype == "BF16":
        return (words.astype("<u4") << 16).view("<f4").astype("<f8")
    return words.view(_FLOATS[stored.dtype]).astype("<f8")
