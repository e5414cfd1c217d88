"""Adapters with something wrong: valid files of every kind, changed by a source of choices."""

from __future__ import annotations

import io
import json
import os
import pickletools
import shutil
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Protocol

from tests.engine.formats.hostile.specimens import (
    CONFIG,
    PICKLE,
    SETTINGS,
    WEIGHTS,
    Q,
    archive,
    members,
    pair,
    save,
    torch_file,
)


class Choices(Protocol):
    """Where the decisions come from: hypothesis, or a fuzzer's bytes."""

    def number(self, low: int, high: int) -> int: ...

    def data(self, size: int) -> bytes: ...


RICH = SETTINGS | {
    "rank_pattern": {"layers.0.*q_proj": 4},
    "alpha_pattern": {"q_proj": 8},
    "base_model_name_or_path": "tiny",
    "auto_mapping": {"base_model_class": "X", "parent_library": "transformers.models.llama.modeling_llama"},
    "task_type": "CAUSAL_LM",
    "modules_to_save": None,
}
DOWN, UP = pair().values()
KOHYA = save(
    {"lora_te_layers_0_mlp_fc1.lora_down.weight": DOWN, "lora_te_layers_0_mlp_fc1.lora_up.weight": UP}
)
OLD = save({name.replace(".weight", ".default.weight"): value for name, value in pair().items()})
ADALORA = save({f"{Q}.lora_A": DOWN, f"{Q}.lora_B": UP, f"{Q}.lora_E": DOWN[:, :1].contiguous()})
SEEDS: list[tuple[dict[str, object] | None, str, bytes]] = [
    (RICH, WEIGHTS, save(pair(), {"format": "pt"})),
    (RICH, WEIGHTS, OLD),
    (None, WEIGHTS, KOHYA),
    (SETTINGS | {"peft_type": "ADALORA", "init_r": 4, "total_step": 9}, WEIGHTS, ADALORA),
    (RICH, PICKLE, torch_file()),
    (RICH, PICKLE, torch_file(zipped=False)),
]
VALUES: list[object] = [
    None, True, -1, 0, 1025, 10**9, 1 << 62, 1 << 64, 1e308, "", "x" * 2000, "\u202e", "(a+)+$", "a{9}{9}",
    [], {}, [[]], ["q_proj"] * 50, {"(": 1}, {"q": "x"},
]  # fmt: skip


# What zipfile says of an archive that earlier changes have damaged.
_UNREADABLE = (
    zipfile.BadZipFile,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OSError,
    EOFError,
    zlib.error,
)


def mutate(folder: Path, choices: Choices) -> Path:
    """A valid adapter in ``folder`` (emptied first) with one to three changes in it; the path to look at."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    settings, name, weights = SEEDS[choices.number(0, len(SEEDS) - 1)]
    config = None if settings is None else json.dumps(settings).encode()
    for _ in range((1, 1, 1, 2, 3)[choices.number(0, 4)]):
        match choices.number(0, 7):
            case 0 | 1 if config is not None:
                config = _bytes(config, choices) if choices.number(0, 1) else _setting(config, choices)
            case 2 | 3:
                weights = _bytes(weights, choices)
            case 4:
                weights = _entry(weights, choices)
            case 5 | 6 if name == PICKLE:
                weights = _opcodes(weights, choices)
            case _:
                weights = _members(weights, choices) if weights[:2] == b"PK" else _bytes(weights, choices)
    if config is not None:
        (folder / CONFIG).write_bytes(config)
    (folder / name).write_bytes(weights)
    return _rearranged(folder, name, choices)


def _bytes(raw: bytes, choices: Choices) -> bytes:
    """Bytes changed, taken out, put in, repeated, or cut off."""
    place = choices.number(0, max(0, len(raw) - 1))
    match choices.number(0, 5):
        case 0:
            return raw[:place] + choices.data(1) + raw[place + 1 :]
        case 1:
            return raw[:place] + raw[place + choices.number(1, 16) :]
        case 2:
            return raw[:place] + choices.data(choices.number(1, 8)) + raw[place:]
        case 3:
            return raw[:place] + raw[place : place + 32] * choices.number(2, 9) + raw[place + 32 :]
        case 4:
            return raw[:place]
    number = [0, 1, 0x7F, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 62, (1 << 64) - 1][choices.number(0, 7)]
    return raw[:place] + struct.pack("<Q", number) + raw[place + 8 :]


def _setting(config: bytes, choices: Choices) -> bytes:
    """One value of the config replaced by an odd one; of a config that is none, some bytes."""
    try:
        settings = json.loads(config)
        key = sorted(settings)[choices.number(0, len(settings) - 1)]
    except (ValueError, TypeError, RecursionError):
        return _bytes(config, choices)
    settings[key] = VALUES[choices.number(0, len(VALUES) - 1)]
    return json.dumps(settings).encode()


def _entry(weights: bytes, choices: Choices) -> bytes:
    """A value of one entry of a safetensors header replaced, with a header that is well formed."""
    length = int.from_bytes(weights[:8], "little")
    try:
        table = json.loads(weights[8 : 8 + length])
        name = sorted(table)[choices.number(0, len(table) - 1)]
        entry = table.pop(name)
        key = sorted(entry)[choices.number(0, len(entry) - 1)]
    except (ValueError, TypeError, RecursionError, AttributeError):
        return _bytes(weights, choices)
    match choices.number(0, 3):
        case 0:
            entry[key] = VALUES[choices.number(0, len(VALUES) - 1)]
        case 1:
            entry[key] = [choices.number(0, 1 << 40), choices.number(0, 200)]
        case 2:
            name = name.replace("lora_A", ["lora_B", "hada_w1_a", "lora_A.x", "alpha"][choices.number(0, 3)])
        case _:
            name += choices.data(choices.number(0, 4)).decode("latin-1")
    raw = json.dumps(table | {name: entry}).encode()
    return struct.pack("<Q", len(raw)) + raw + weights[8 + length :]


def _opcodes(weights: bytes, choices: Choices) -> bytes:
    """Opcodes of the pickle repeated, dropped, exchanged, or put in between."""
    inside: dict[str, bytes] = {}
    name, raw = "", weights
    if weights[:2] == b"PK":
        try:
            inside = members(weights)
            name = next(each for each in inside if each.endswith("data.pkl"))
        except (*_UNREADABLE, StopIteration):
            return _bytes(weights, choices)
        raw = inside[name]
    try:
        places = [place for _, _, place in pickletools.genops(raw)] + [len(raw)]
    except (ValueError, IndexError):
        return _bytes(weights, choices)
    at = choices.number(0, len(places) - 2)
    one = raw[places[at] : places[at + 1]]
    other = choices.number(0, len(places) - 2)
    another = raw[places[other] : places[other + 1]]
    code = [one + one, b"", another, one + another, _odd_opcode(choices) + one][choices.number(0, 4)]
    raw = raw[: places[at]] + code + raw[places[at + 1] :]
    return archive(inside | {name: raw}) if inside else raw


def _odd_opcode(choices: Choices) -> bytes:
    opcodes = pickletools.opcodes
    return opcodes[choices.number(0, len(opcodes) - 1)].code.encode("latin-1")


def _members(weights: bytes, choices: Choices) -> bytes:
    """A member of the archive renamed, emptied, doubled, cut, or compressed."""
    try:
        inside = list(members(weights).items())
    except _UNREADABLE:
        return _bytes(weights, choices)
    if not inside:
        return weights
    at = choices.number(0, len(inside) - 1)
    name, data = inside[at]
    match choices.number(0, 4):
        case 0:
            inside[at] = (
                ["../" + name, "/" + name, name.upper(), name + "\u202e"][choices.number(0, 3)],
                data,
            )
        case 1:
            inside[at] = (name, b"")
        case 2:
            inside[at] = (name, data + choices.data(8))
        case 3:
            del inside[at]
        case _:
            return archive(inside, zipfile.ZIP_DEFLATED)
    return archive(inside)


def _rearranged(folder: Path, name: str, choices: Choices) -> Path:
    """The folder, mostly as it is; or with a file renamed, linked, doubled or replaced, or the file alone."""
    file = folder / name
    match choices.number(0, 15):
        case 0:
            file.rename(folder / name.upper())
        case 1:
            file.rename(folder / "adapter_model.pt")
        case 2:
            (folder / "studio.json").write_bytes(choices.data(20))
        case 3:
            file.rename(folder.parent / "elsewhere")
            file.symlink_to(folder.parent / "elsewhere")
        case 4:
            file.unlink()
            os.mkfifo(file)
        case 5:
            (folder / "other.bin").write_bytes(file.read_bytes())
        case 6:
            return file
    return folder


class Dice:
    """Choices from a run of bytes, as fuzzers make them; zeros when they run out."""

    def __init__(self, raw: bytes) -> None:
        self._raw = io.BytesIO(raw)

    def number(self, low: int, high: int) -> int:
        size = max(1, ((high - low).bit_length() + 7) // 8)
        return low + int.from_bytes(self._raw.read(size), "little") % (high - low + 1)

    def data(self, size: int) -> bytes:
        return self._raw.read(size).ljust(size, b"\0")
