"""Pickles under every name, protocol and wrapping: none runs, each says what it wanted to do."""

import builtins
import io
import os
import pickle
import struct
import subprocess
import tarfile
import zipfile

import pytest

from engine.formats.adapter_file import inspect_folder
from engine.formats.convert import convert
from engine.formats.errors import AdapterError
from tests.engine.formats.hostile.specimens import (
    CONFIG,
    PICKLE,
    WEIGHTS,
    Act,
    act,
    archive,
    changed,
    members,
    pair,
    put,
    torch_file,
)

NAMES = [
    PICKLE,
    WEIGHTS,
    "adapter_model.SAFETENSORS",
    "adapter_model.Bin",
    "ADAPTER_MODEL.PT",
    "weights.CkPt",
]


def refused(watched, folder, *words):
    card = watched(inspect_folder, folder)
    assert card.verdict == "refuse"
    assert any(word in card.reason for word in words), card.reason
    with pytest.raises(AdapterError) as caught:
        convert(folder, folder.parent / "new")
    assert not (folder.parent / "new").exists()
    return caught.value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", NAMES)
def test_a_call_under_any_name_and_protocol(tmp_path, watched, name, protocol):
    canary = tmp_path / "owned"
    folder = put(tmp_path / "a", weights=act(os.system, f"touch {canary}", protocol=protocol), name=name)
    error = refused(watched, folder, "posix.system")
    assert error.code == "refused" and "posix.system" in error.message and not canary.exists()


CALLS = {
    "builtins.exec": act(exec, "1", protocol=4),
    "builtins.eval": act(eval, "1", protocol=4),
    "builtins.getattr": act(getattr, "x", "y", protocol=5),
    "io.open": act(open, "/etc/passwd"),
    "subprocess.Popen": act(subprocess.Popen, ["true"], protocol=3),
    "torch.hub.load": b"\x80\x02ctorch.hub\nload\n(tR.",
    "torch.load": b"\x80\x02ctorch\nload\n(tR.",
    "torch._utils._rebuild_qtensor": b"\x80\x02ctorch._utils\n_rebuild_qtensor\n(tR.",
    "collections.namedtuple": b"\x80\x02ccollections\nnamedtuple\n(tR.",
    "numpy.core.multiarray._reconstruct": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(tR.",
    "functools.partial": b"\x80\x02cfunctools\npartial\n(tR.",
    "the operation INST": b"(S'true'\nios\nsystem\n.",
    "the operation OBJ": b"\x80\x02(}o.",
    "the operation NEWOBJ": b"\x80\x02})\x81.",
    "the operation EXT1": b"\x80\x02\x82\x01.",
    "the operation PERSID": b"Phello\n.",
    "the operation BYTEARRAY8": b"\x80\x05\x96" + struct.pack("<Q", 1) + b"x.",
    "the setting of an object's state": b"\x80\x02ccollections\nOrderedDict\n}b.",
}


@pytest.mark.parametrize("wanted", CALLS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_it_wanted_is_said(tmp_path, watched, wanted, wrapped):
    raw = archive(changed(data_pkl=CALLS[wanted])) if wrapped else CALLS[wanted]
    error = refused(watched, put(tmp_path / "a", weights=raw, name=PICKLE), wanted)
    assert error.code == "refused"


def test_a_call_hidden_behind_good_tensors(tmp_path, watched):
    hidden = pair() | {"extra": Act(builtins.print, "x")}
    for zipped in (True, False):
        folder = put(tmp_path / str(zipped), weights=torch_file(hidden, zipped=zipped), name=PICKLE)
        refused(watched, folder, "__builtin__.print")


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as out:
        out.addfile(tarfile.TarInfo("storages"))
    return file.getvalue()


def _legacy(*objects, tail=b"") -> bytes:
    return b"".join(pickle.dumps(each, 2) for each in objects) + tail


MAGIC = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
ROOT = next(iter(members(torch_file()))).partition("/")[0]
DAMAGED = {
    "a tar archive": (_tar(), "tar archive"),
    "a zip of something else": (archive({"x/readme": b"hello"}), "not one of torch's"),
    "two pickles": (archive({"a/data.pkl": b".", "b/data.pkl": b"."}), "not one of torch's"),
    "compressed": (archive(members(torch_file()), zipfile.ZIP_DEFLATED), "compressed"),
    "a zip bomb": (archive(changed(data_pkl=bytes(50 << 20)), zipfile.ZIP_DEFLATED), "compressed"),
    "a large pickle": (archive(changed(data_pkl=b"\x80\x02" + b"N" * (5 << 20) + b".")), "larger than any"),
    "a long pickle": (archive(changed(data_pkl=b"\x80\x02" + b"N0" * 400_000 + b".")), "longer than that"),
    "big endian": (archive(changed(byteorder=b"big")), "another kind of processor"),
    "no storage": (archive({k: v for k, v in changed().items() if not k.endswith("/data/0")}), "no numbers"),
    "a short storage": (archive(changed() | {f"{ROOT}/data/0": b"1234"}), "no numbers"),
    "cut": (torch_file()[:-40], "damaged"),
    "many members": (archive([(f"a/{i}", b"") for i in range(20_200)]), "damaged"),
    "path escapes": (archive({"../../x/data.pkl": b"\x80\x02}.", "/etc/x": b""}), "no tensor"),
    "not a table": (archive(changed(data_pkl=b"\x80\x02K\x01.")), "more than a table"),
    "itself": (archive(changed(data_pkl=b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.")), "more than a table"),
    "no end": (archive(changed(data_pkl=b"\x80\x02}")), "damaged"),
    "an empty stack": (archive(changed(data_pkl=b"\x80\x020.")), "damaged"),
    "an unknown memory": (archive(changed(data_pkl=b"\x80\x02h\x07.")), "damaged"),
    "a huge text": (archive(changed(data_pkl=b"\x80\x02X\xff\xff\xff\xffabc.")), "damaged"),
    "a huge number": (archive(changed(data_pkl=b"I" + b"9" * 100_000 + b"\n.")), "damaged"),
    "other magic": (_legacy(1, 2, 3), "neither safetensors"),
    "legacy, cut": (torch_file(zipped=False)[:-9], "cut off"),
    "legacy, many keys": (_legacy(MAGIC, 1001, SYSTEM, {}, ["0"] * 30_000), "list of storages"),
    "legacy, big endian": (_legacy(MAGIC, 1001, {"little_endian": False}, {}, []), "another kind of"),
    "legacy, a huge storage": (_legacy(MAGIC, 1001, SYSTEM, {}, ["0"], tail=bytes(7) + b"@"), "cut off"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_and_lying_files(tmp_path, watched, case):
    raw, words = DAMAGED[case]
    refused(watched, put(tmp_path / "a", weights=raw, name=PICKLE), *words.split("|"))


TENSOR = (
    b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n"
    b"FloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x18tQ%s\x89ccollections\nOrderedDict\n)RtRs."
)
VIEWS = {
    "beyond its end": (b"K\x14K\x05\x85K\x01\x85", "reaches beyond"),
    "a long stride": (b"K\x00K\x02\x85J\xff\xff\xff\x7f\x85", "reaches beyond"),
    "more numbers than there are": (b"K\x00J\xff\xff\xff\x7f\x85K\x00\x85", "reaches beyond"),
    "before its start": (b"J\xff\xff\xff\xffK\x02\x85K\x01\x85", "damaged"),
    "a negative stride": (b"K\x05K\x02\x85J\xff\xff\xff\xff\x85", "damaged"),
    "another number of strides": (b"K\x00K\x02\x85K\x01K\x01\x86", "no numbers"),
    "a size of 2**70": (b"K\x00\x8a\x09" + (1 << 70).to_bytes(9, "little") + b"\x85K\x01\x85", "damaged"),
}


@pytest.mark.parametrize("view", VIEWS)
def test_views_that_lie(tmp_path, watched, view):
    raw, words = VIEWS[view]
    members_ = {"a/data.pkl": TENSOR.replace(b"%s", raw), "a/data/0": bytes(24 * 4)}
    refused(watched, put(tmp_path / "a", weights=archive(members_), name=PICKLE), words)


def test_many_views_of_one_storage_are_no_larger_than_the_file(tmp_path, watched):
    import torch

    one = torch.ones(4096)
    many = {f"t{i}": one.view(64, 64) for i in range(500)}
    refused(watched, put(tmp_path / "a", weights=torch_file(many), name=PICKLE), "larger than the file")


def test_the_config_beside_a_pickle_is_read_first(tmp_path, watched):
    settings = {
        "peft_type": "LORA",
        "r": 4,
        "auto_mapping": {"parent_library": "os", "base_model_class": "x"},
    }
    folder = put(tmp_path / "a", settings, weights=torch_file(), name=PICKLE)
    assert (folder / CONFIG).exists()
    assert refused(watched, folder, "Python module to be imported").code == "refused"
