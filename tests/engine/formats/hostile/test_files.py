"""Headers, configs and folders that lie: each refused with its own reason before anything is mapped."""

import json
import os
import socket
import struct
import sys
from pathlib import Path

import pytest

from engine.formats import jail
from engine.formats.adapter_file import fingerprint, inspect_folder, read_folder
from engine.formats.convert import recognise
from engine.formats.errors import AdapterError, StudioError
from engine.formats.numbers import look_at_numbers
from tests.engine.formats.hostile.specimens import (
    CONFIG,
    GOOD,
    PICKLE,
    SETTINGS,
    WEIGHTS,
    Q,
    entry,
    pair,
    put,
    save,
    table,
    torch_file,
)

DAMAGED = "table of contents is damaged"
SURROGATE = b'{"a\\ud800":' + json.dumps(entry([1], 0, 4)).encode() + b"}"
SHOUTED = {f"{Q.upper()}.LORA_A.weight": pair()[f"{Q}.lora_A.weight"]}
HEADERS = {
    "99 MB of padding": (struct.pack("<Q", 99 << 20) + b"{}" + b" " * (99 << 20), "larger than 4 MB"),
    "4 MB of padding": (table(b"{}" + b" " * ((4 << 20) + 9)), "larger than 4 MB"),
    "2**63": (table({}, length=1 << 63), "larger than 4 MB"),
    "100,000 tensors": (table({f"t{i}": entry([0], 0, 0) for i in range(100_000)}), "larger than 4 MB"),
    "30,000 tensors": (table({f"t{i}": entry([0], 0, 0) for i in range(30_000)}), DAMAGED),
    "a million values": (table(b'{"a":[' + b"[]," * 1_000_000 + b"[]]}"), DAMAGED),
    "deep": (table(b'{"a":' * 100_000), DAMAGED),
    "a shape of 2**61 squared": (table({"a": entry([1 << 61, 1 << 61], 0, 4)}, bytes(4)), "another size"),
    "a shape of true": (table({"a": entry([True], 0, 4)}, bytes(4)), "impossible shape"),
    "a shape of 1e3": (table({"a": entry([1e3], 0, 4000)}, bytes(4000)), "impossible shape"),
    "nine dimensions": (table({"a": entry([1] * 9, 0, 4)}, bytes(4)), "impossible shape"),
    "offsets beyond": (table({"a": entry([1], 0, 4)}, b"x"), "cut off"),
    "offsets that overlap": (
        table({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)),
        "overlaps another",
    ),
    "a hole": (table({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, bytes(12)), "leaves a hole"),
    "bytes behind": (table({"a": entry([1], 0, 4)}, bytes(9)), "5 bytes too many"),
    "a number of 5,000 digits": (table(b'{"a":' + b"9" * 5000 + b"}"), DAMAGED),
    "one name twice": (table(b'{"a":{},"a":{}}'), DAMAGED),
    "not UTF-8": (table(b'{"\xff":1}'), DAMAGED),
    "a lone surrogate": (table(SURROGATE, bytes(4)), "impossible name"),
    "a direction mark": (table({"a\u202eb": entry([1], 0, 4)}, bytes(4)), "impossible name"),
    "a long name": (table({"a" * 513: entry([1], 0, 4)}, bytes(4)), "impossible name"),
    "a path": (table({"../../etc/passwd": entry([1], 0, 4)}, bytes(4)), "that no LoRA has"),
    "metadata that is none": (table(b'{"__metadata__":[1]}'), DAMAGED),
    "another case": (save(pair() | SHOUTED), "that no LoRA has"),
}  # fmt: skip


@pytest.mark.parametrize("case", HEADERS)
def test_headers(tmp_path, watched, case):
    raw, words = HEADERS[case]
    folder = put(tmp_path / "a", weights=raw)
    card = watched(inspect_folder, folder)
    assert card.verdict == "refuse" and words in card.reason, card.reason
    assert card.reason.isprintable()


def test_a_header_takes_little_memory(tmp_path, monkeypatch):
    """The worst table that is still read, in a child that has 64 MB to spare."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    names = ",".join(f'"{i:x}":{{}}' for i in range(99_000)).encode()
    file = put(tmp_path / "a", weights=table(b"{" + names + b"}")) / WEIGHTS
    order = json.dumps({"do": "read a header", "file": str(file)}).encode()
    with pytest.raises(AdapterError, match="lists 99,000 tensors"):
        jail.run("wild", order, seconds=5, memory=64 << 20, read=[file])


PYTHON = "names a Python module to be imported"
CONFIGS = {
    "auto_mapping": ({"auto_mapping": {"base_model_class": "X", "parent_library": "os"}}, PYTHON),
    "megatron_core": ({"megatron_core": "evil.core"}, PYTHON),
    "megatron_config": ({"megatron_config": {"a": 1}}, PYTHON),
    "auto_map": ({"auto_map": {"AutoModel": "evil--modeling.Evil"}}, "not known here: auto_map"),
    "trust_remote_code": ({"trust_remote_code": True}, "not known here: trust_remote_code"),
    "tokenizer": ({"tokenizer_name_or_path": "/etc"}, "not known here: tokenizer_name_or_path"),
    "a tokenizer that": ({"tokenizer_kwargs": {"trust_remote_code": True}}, "here: tokenizer_kwargs"),
    "cache_file": ({"cache_file": "/tmp/evil.pt"}, "not known here: cache_file"),
    "a hidden name": ({"x\u202ecod\x1b[2Je": 1}, "not known here: x\\u202ecod\\x1b[2Je"),
    "an unpaired surrogate": ({"\ud800": "\udfff"}, "not known here: \\ud800"),
    "rank 10**9": ({"r": 10**9}, "rank is 1,000,000,000"),
    "rank 10**4000": ({"r": 10**4000}, "at most 1024"),
    "rank in words": ({"r": "4; rm -rf"}, "impossible value for r"),
    "an alpha of 1e999": (b'{"peft_type":"LORA","r":4,"lora_alpha":1e999}', "value for lora_alpha"),
    "an alpha of NaN": (b'{"peft_type":"LORA","r":4,"lora_alpha":NaN}', "is damaged"),
    "an alpha of -Infinity": (b'{"peft_type":"LORA","r":4,"lora_alpha":-Infinity}', "is damaged"),
    "one name twice": (b'{"peft_type":"LORA","r":4,"r":1,"lora_alpha":1}', "is damaged"),
    "a long regex": ({"target_modules": "(a+)+" * 1000}, "at most 1000"),
    "a slow regex": ({"rank_pattern": {r"(\w|\.|[a-z])+\d": 4}}, "takes too long to match"),
    "a nested regex": ({"rank_pattern": {"(" * 500 + ")" * 500: 4}}, "takes too long|not a regular"),
    "a repeated regex": ({"rank_pattern": {"(?:(?:a{999}){999}){999}": 4}}, "takes too long|not a regular"),
    "20,001 patterns": ({"alpha_pattern": {f"m{i}": 1 for i in range(20_001)}}, "value for alpha_pattern"),
    "a kind with code": ({"peft_type": "LORA\n\x1b]0;x"}, "of the kind unknown"),
    "a task with code": ({"task_type": "__import__('os')"}, "impossible value for task_type"),
    "350,000 lists": (b'{"a":[' + b"[]," * 340_000 + b"[]]}", "is damaged"),
    "deep": (b'{"a":' * 170_000, "is damaged"),
    "a bomb": (b" " * (2 << 20), "larger than 1 MB"),
}  # fmt: skip


@pytest.mark.parametrize("case", CONFIGS)
def test_configs(tmp_path, watched, case):
    changes, words = CONFIGS[case]
    folder = put(tmp_path / "a", changes if isinstance(changes, bytes) else SETTINGS | changes)
    card = watched(inspect_folder, folder)
    assert card.verdict == "refuse" and any(word in card.reason for word in words.split("|")), card.reason
    assert card.reason.isprintable() and card.base.isprintable() and card.kind.isprintable()


NAMES = ["модель", "模型/适配器", "paypаl", "\u202egpj.x", "x\x00y", "\ud800", "e\u0301" * 400]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_in_other_scripts_are_shown_or_left_out(tmp_path, watched, name):
    card = watched(inspect_folder, put(tmp_path / "a", SETTINGS | {"base_model_name_or_path": name}))
    assert card.verdict == "ok" and card.base in (name, "") and card.base.isprintable()
    assert (card.base == "") == (not name.isprintable() or len(name) > 500)


def links(folder, outside):
    """How a link may lie in a folder: {what: where}."""
    return {
        "a config elsewhere": (CONFIG, outside / CONFIG),
        "weights elsewhere": (WEIGHTS, outside / WEIGHTS),
        "a password file": ("studio.json", "/etc/passwd"),
        "a folder": (WEIGHTS, outside),
        "itself": (CONFIG, folder / CONFIG),
        "nowhere": ("gate.safetensors", "/nowhere"),
    }


@pytest.mark.parametrize("case", links(Path(), Path()))
def test_links_out_of_the_folder(tmp_path, watched, case):
    outside, folder = put(tmp_path / "outside"), put(tmp_path / "a")
    name, target = links(folder, outside)[case]
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(target)
    card = watched(inspect_folder, folder)
    assert card.verdict == "refuse" and f"{name} is a link" in card.reason
    with pytest.raises(AdapterError) as caught:
        read_folder(folder)
    assert caught.value.code == "refused"


def test_a_link_to_a_pickle_and_a_file_that_is_a_link(tmp_path, watched):
    put(tmp_path / "outside", weights=torch_file(), name=PICKLE)
    folder = put(tmp_path / "a", weights=None)
    (folder / PICKLE).symlink_to(tmp_path / "outside" / PICKLE)
    assert "is a link" in watched(inspect_folder, folder).reason
    assert "is a link" in watched(inspect_folder, folder / PICKLE).reason


def test_a_snapshot_of_the_hugging_face_cache_is_made_of_links(tmp_path, watched):
    repo = tmp_path / "models--user--name"
    (repo / "blobs").mkdir(parents=True)
    snapshot = repo / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    plain = put(tmp_path / "plain")
    for name in (CONFIG, WEIGHTS):
        (repo / "blobs" / name[:9]).write_bytes((plain / name).read_bytes())
        (snapshot / name).symlink_to(f"../../blobs/{name[:9]}")
    assert watched(inspect_folder, snapshot).verdict == "ok"
    assert fingerprint(snapshot) == fingerprint(plain)
    (snapshot / WEIGHTS).unlink()
    (snapshot / WEIGHTS).symlink_to(plain / WEIGHTS)
    assert "is a link" in watched(inspect_folder, snapshot).reason


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, PICKLE])
@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "device"])
def test_what_is_no_file_is_never_opened(tmp_path, watched, name, kind):
    folder = put(tmp_path / "a")
    for each in (name, *([WEIGHTS] if name == PICKLE else [])):
        (folder / each).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(folder / name)
    elif kind == "socket":
        listener = socket.socket(socket.AF_UNIX)
        here = os.getcwd()  # noqa: PTH109
        os.chdir(folder)
        listener.bind(name)
        os.chdir(here)
        listener.close()
    elif kind == "folder":
        (folder / name).mkdir()
    else:
        try:
            os.mknod(folder / name, 0o020600, os.makedev(1, 5))  # /dev/zero
        except PermissionError:
            pytest.skip("devices can only be made by root")
    card = watched(inspect_folder, folder)
    assert card.verdict == "refuse" and "not an ordinary file" in card.reason, card.reason
    with pytest.raises(StudioError) as caught:
        recognise(folder)
    assert caught.value.code == "refused"


def test_a_folder_of_3_000_files_and_a_readme_of_100_mb(tmp_path, watched):
    folder = put(tmp_path / "a")
    with (folder / "README.md").open("wb") as file:
        file.truncate(100 << 20)
    (folder / "Adapter_Config.json").write_bytes(b"{")
    assert watched(inspect_folder, folder).verdict == "ok"
    many = put(tmp_path / "many", weights=None)
    for i in range(3_000):
        (many / f"{i}.safetensors").touch()
    assert "3000 files that could be" in watched(inspect_folder, many).reason


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_found(tmp_path, watched, value):
    look_at_numbers(put(tmp_path / "a") / WEIGHTS)  # imports what it needs
    folder = put(tmp_path / "a", weights=save(pair(fill=value)))
    assert len(watched(look_at_numbers, folder / WEIGHTS).broken) == 2


def test_the_guard_would_notice(tmp_path, watched, audit):
    for wild in (
        lambda: compile("1", "x", "eval"),
        lambda: open("/etc/hostname").close(),  # noqa: PTH123
        lambda: (tmp_path / "new").write_bytes(b"x"),
        lambda: socket.socket().close(),
        lambda: os.system("true"),
    ):
        with pytest.raises(AssertionError):
            watched(wild)
    assert sys.modules and GOOD
