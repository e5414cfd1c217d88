"""The makings of hostile adapters: headers that lie, pickles that act, archives that burst."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save

Q = "base_model.model.model.layers.0.self_attn.q_proj"
CONFIG, WEIGHTS, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
SETTINGS = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "bias": "none"}


def pair(path=Q, r=4, fill=1.0):
    return {
        f"{path}.lora_A.weight": torch.full((r, 6), fill),
        f"{path}.lora_B.weight": torch.full((5, r), fill),
    }


GOOD = save(pair())


def put(folder: Path, settings=SETTINGS, weights: bytes | None = GOOD, name=WEIGHTS) -> Path:
    folder.mkdir(exist_ok=True)
    raw = settings if isinstance(settings, bytes) else json.dumps(settings).encode()
    (folder / CONFIG).write_bytes(raw)
    if weights is not None:
        (folder / name).write_bytes(weights)
    return folder


def table(entries, body=b"", length=None) -> bytes:
    raw = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + body


def entry(shape, start, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


class Act:
    """Pickles as a call of ``function`` with ``arguments``."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def act(function, *arguments, protocol=2) -> bytes:
    return pickle.dumps(Act(function, *arguments), protocol)


def torch_file(tensors=None, *, zipped=True) -> bytes:
    file = io.BytesIO()
    torch.save(pair() if tensors is None else tensors, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def members(raw: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive(contents, method=zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as out:
        for name, data in contents.items() if isinstance(contents, dict) else contents:
            out.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def changed(**new: bytes) -> dict[str, bytes]:
    """A torch archive's members with some replaced: data_pkl=..., byteorder=... ."""
    found = members(torch_file())
    root = next(iter(found)).partition("/")[0]
    return found | {f"{root}/{name.replace('_', '.')}": data for name, data in new.items()}
