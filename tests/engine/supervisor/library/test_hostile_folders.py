"""Folders that are not what they seem, and what a name may be: refused, or taken as what they are."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy
import pytest
from safetensors.numpy import save_file

from engine.formats.errors import StudioError
from engine.formats.files import sha256_file
from engine.supervisor import adapter_folders
from engine.supervisor.home import Home
from engine.supervisor.soundness import look_into
from tests.engine.supervisor.library.conftest import WEIGHTS
from tests.engine.supervisor.library.test_coming_in import as_kohya


@pytest.fixture
def small_disk(tmp_path):
    """A filesystem of 4 MB, which only an administrator can make."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine does not allow mounting a small tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def left_nothing(room, name):
    assert name not in room.names()
    assert list(room.home.tmp.iterdir()) == [] and not (room.home.adapters / name).exists()


@pytest.mark.parametrize("file", ["README.md", "gate.safetensors", "studio.json"])
def test_a_file_beside_the_weights_that_is_far_too_large(room, file):
    folder = room.make("mine", factor=2.0)
    with (folder / file).open("wb") as out:
        out.truncate(3 << 30)
    with pytest.raises(StudioError, match="larger than"):
        room.bring(folder)
    left_nothing(room, "mine")


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes that lie in folders")
@pytest.mark.parametrize("file", ["README.md", "gate.safetensors", "studio.json"])
def test_a_pipe_in_the_place_of_a_file_is_refused_and_never_opened(room, file):
    folder = room.make("mine", factor=2.0)
    (folder / file).unlink(missing_ok=True)
    os.mkfifo(folder / file)
    with pytest.raises(StudioError, match="not an ordinary file"):
        room.bring(folder)
    left_nothing(room, "mine")


@pytest.mark.parametrize("when", ["before the copy", "after the copy"])
def test_weights_swapped_between_the_check_and_the_copy(room, monkeypatch, when):
    """What is kept is what was looked at, whatever lies in the folder by then."""
    folder, other = room.make("mine", factor=2.0), room.make("other", factor=numpy.float32("nan"))
    copy, before = adapter_folders._copy_files, sha256_file(folder / WEIGHTS)

    def swap(source, work):
        if when == "after the copy":
            copy(source, work)
        shutil.copyfile(other / WEIGHTS, folder / WEIGHTS)
        if when == "before the copy":
            copy(source, work)

    monkeypatch.setattr(adapter_folders, "_copy_files", swap)
    if when == "before the copy":
        with pytest.raises(StudioError, match="NaN"):
            room.bring(folder)
        left_nothing(room, "mine")
    else:
        room.bring(folder)
        assert room.library._entry("adapters", "mine").files[WEIGHTS] == before
        assert room.do("verify", "mine")[0].ok


def test_a_folder_that_vanishes_while_it_is_read(room, monkeypatch):
    folder, copy = room.make("mine", factor=2.0), adapter_folders._copy_files

    def vanish(source, work):
        shutil.rmtree(folder)
        copy(source, work)

    monkeypatch.setattr(adapter_folders, "_copy_files", vanish)
    with pytest.raises(StudioError):
        room.bring(folder)
    left_nothing(room, "mine")


def test_two_imports_of_one_folder_at_once(room):
    folder = room.make("mine", factor=2.0)

    async def at_once():
        names = ("mine", "mine", "yours")
        coming = [room.library.import_adapter(str(folder), name) for name in names]
        return await asyncio.gather(*coming, return_exceptions=True)

    first, second, third = asyncio.run(at_once())
    assert first[0].name == "mine" and second.code == "usage" and "already" in third.message
    assert list(room.home.tmp.iterdir()) == []


def test_the_home_itself_and_what_lies_in_it(room):
    room.bring(room.make("mine", factor=2.0))
    for place in (room.home.root, room.home.adapters):
        with pytest.raises(StudioError, match=r"no adapter_config\.json"):
            room.bring(place, "again")
    with pytest.raises(StudioError, match="already in the library as mine"):
        room.bring(room.home.adapters / "mine", "again")
    assert room.do("verify", "mine")[0].ok


@pytest.mark.parametrize("name", ["con", "NUL", "aux.v1", "Com1", "lpt9.x"])
def test_names_that_one_system_keeps_for_devices(room, name):
    with pytest.raises(StudioError, match="cannot be a name"):
        room.bring(room.make("mine", factor=2.0), name)
    assert room.bring(room.make("mine", factor=2.0), f"{name[:3]}sole")


def test_a_name_in_another_script_asks_for_one(room):
    with pytest.raises(StudioError, match="cannot be a name") as caught:
        room.bring(room.make("модель", factor=2.0))
    assert "--name" in caught.value.hint
    assert room.bring(room.make("модель", factor=2.0), "model")[0].name == "model"


# --- looking before anything is taken ---


def test_what_would_be_refused_is_refused_when_it_is_looked_at(room):
    bad = room.make("bad", factor=numpy.float32("nan"))
    seen = look_into(bad)
    assert seen.verdict == "refuse" and "NaN" in seen.reason and seen.rank == 8
    quiet = room.make(
        "quiet", weights=lambda t: {k: numpy.zeros_like(v) if "lora_B" in k else v for k, v in t.items()}
    )
    assert look_into(quiet).verdict == "ok" and "no effect" in look_into(quiet).reason
    assert look_into(room.make("good", factor=2.0)).verdict == "ok"


@pytest.mark.parametrize("file", [WEIGHTS, "adapter_config.json"])
def test_a_file_of_an_adapter_stands_for_its_folder(room, file):
    folder = room.make("mine", factor=2.0)
    assert look_into(folder / file) == look_into(folder)
    (folder / WEIGHTS).unlink()
    assert "no adapter_model.safetensors" in look_into(folder / "adapter_config.json").reason


def test_a_path_that_would_steer_a_terminal_is_in_no_command(room):
    folder = room.folder / "a\x1b]0;owned\x07b\u202ec"
    shutil.copytree(room.make("odd", factor=2.0), folder)
    room.bring(folder, "odd")
    told = room.library.provenance("adapters", "odd")
    assert told.command == "" and all(value.isprintable() for _, value in told.facts)


# --- conversion ---


def test_what_would_become_too_large_a_lora_is_refused_with_that_reason(room):
    folder = room.make("loha")
    place = "base_model.model.model.layers.0.self_attn.q_proj.hada_"
    parts = {"w1_a": (64, 40), "w1_b": (40, 64), "w2_a": (64, 40), "w2_b": (40, 64)}
    save_file(
        {place + part: numpy.ones(shape, numpy.float32) for part, shape in parts.items()}, folder / WEIGHTS
    )
    config = {"peft_type": "LOHA", "r": 40, "alpha": 8, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    assert "rank 1,600" in look_into(folder).reason
    with pytest.raises(StudioError, match="rank 1,600"):
        room.bring(folder)


def test_a_disk_that_fills_during_a_conversion(room, small_disk):
    """The child's own trouble with the disk is told as that, not as something wrong with the file."""
    file = as_kohya(room.make("one", factor=1.25), room.folder / "kohya.safetensors")
    room.home = Home(small_disk / "home")
    room.home.prepare()
    room.open()
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    (small_disk / "filler").write_bytes(bytes(free - (256 << 10)))
    with pytest.raises(StudioError) as caught:
        room.bring(file)
    assert caught.value.code == "disk" and "full" in caught.value.message
    left_nothing(room, "kohya")
    (small_disk / "filler").unlink()
    assert room.bring(file)[0].converted == "kohya"
    room.close()


def test_an_engine_killed_in_a_conversion_leaves_no_child_and_nothing_half_made(room, monkeypatch):
    file = as_kohya(room.make("one", factor=1.25), room.folder / "kohya.safetensors")
    room.close()
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(subprocess.Popen, "wait", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        room.open()
        room.bring(file)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    room.open()
    left_nothing(room, "kohya")
    assert room.complaints == [] and room.bring(file)[0].converted == "kohya"
