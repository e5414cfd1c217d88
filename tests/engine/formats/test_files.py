"""Files and folders appear whole or not at all, and a full disk is a sentence."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import stat
import subprocess
import sys

import pytest

from engine.formats import files
from engine.formats.errors import AdapterError, DataError, StudioError
from engine.formats.files import atomic_folder, sha256_file, write_file


def test_a_folder_appears_whole(tmp_path):
    with atomic_folder(tmp_path / "x") as work:
        (work / "a.txt").write_text("a")
        (work / "sub").mkdir()
        (work / "sub" / "b").write_bytes(b"b")
        (work / "a.txt").chmod(0o600)
        assert not (tmp_path / "x").exists()
    assert sorted(p.name for p in (tmp_path / "x").rglob("*")) == ["a.txt", "b", "sub"]
    assert stat.S_IMODE((tmp_path / "x" / "a.txt").stat().st_mode) == 0o644
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_broken_block_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "x") as work:
        (work / "a").write_text("a")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_kept_or_replaced(tmp_path):
    with atomic_folder(tmp_path / "x") as work:
        (work / "old").write_text("old")
    with pytest.raises(StudioError, match="already there"), atomic_folder(tmp_path / "x") as work:
        (work / "new").write_text("new")
    assert [p.name for p in (tmp_path / "x").iterdir()] == ["old"]
    with atomic_folder(tmp_path / "x", replace=True) as work:
        (work / "new").write_text("new")
    assert [p.name for p in (tmp_path / "x").iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


KILLED = """
import os, signal, sys
from pathlib import Path
from engine.formats.files import atomic_folder
with atomic_folder(Path(sys.argv[1])) as work:
    (work / "half").write_text("written")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_attempt_left_goes_with_the_next_one(tmp_path):
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "x[1]")]).returncode == -9
    (left,) = tmp_path.iterdir()
    assert [p.name for p in left.iterdir()] == ["half"]
    with atomic_folder(tmp_path / "x[1]") as first:
        assert not left.exists()
        with atomic_folder(tmp_path / "x[1]", replace=True):
            assert first.exists()  # what is still being written is let alone
        with atomic_folder(tmp_path / "other"):
            assert first.exists()
        (tmp_path / "x[1]").rmdir()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "x[1]"]


def test_a_link_has_no_place(tmp_path):
    with pytest.raises(StudioError, match="a link"), atomic_folder(tmp_path / "x") as work:
        (work / "l").symlink_to("/etc/hostname")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(errno.ENOSPC, "disk is full"), (errno.EACCES, "may not be written"), (errno.EIO, "reported an error")],
)
def test_what_the_disk_says(tmp_path, monkeypatch, number, sentence):
    def fail(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    write_file(tmp_path / "f", b"old")
    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(StudioError, match=sentence) as caught, atomic_folder(tmp_path / "x") as work:
        (work / "a").write_text("a")
    assert caught.value.code == "disk" and caught.value.hint
    with pytest.raises(StudioError, match=sentence):
        write_file(tmp_path / "f", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


def test_a_missing_folder(tmp_path):
    with pytest.raises(StudioError) as caught:
        write_file(tmp_path / "no" / "f", b"x")
    assert caught.value.code == "disk"


def test_hash_and_mode(tmp_path):
    data = os.urandom(3 << 20)
    write_file(tmp_path / "f", data, mode=0o600)
    assert sha256_file(tmp_path / "f") == hashlib.sha256(data).hexdigest()
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "error",
    [
        StudioError("base", "A.", "B.", "c"),
        AdapterError("A.", "B.", code="refused"),
        DataError("A.", detail="c"),
    ],
)
def test_errors_travel(error):
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is type(error) and other.as_message() == error.as_message()
    assert str(error) == f"A. {error.hint}".strip()


def test_the_formats_are_torch_free():
    import subprocess
    import sys

    code = (
        "import sys, engine.formats.adapter_file, engine.formats.mix_file, engine.formats.files;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
