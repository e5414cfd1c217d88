"""What work in the jail can and cannot do, tried from inside it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from engine.formats import jail, walls
from engine.formats.errors import StudioError

HERE = Path(__file__).parent


def enter(monkeypatch, order, **limits):
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    limits = {"seconds": 10, "memory": 64 << 20, "file_size": 2 << 20} | limits
    return jail.run("wild", json.dumps(order).encode(), **limits)


@pytest.fixture
def ends(tmp_path, monkeypatch):
    (tmp_path / "input").write_bytes(b"12345")
    (tmp_path / "beside").write_bytes(b"secret")
    (tmp_path / "output").mkdir()
    order = {name: str(tmp_path / name) for name in ("input", "beside", "output", "elsewhere")}
    answer = json.loads(enter(monkeypatch, order, read=[tmp_path / "input"], write=[tmp_path / "output"]))
    assert "hf_canary" not in json.dumps(answer["environment"])
    return answer["ends"]


@pytest.fixture
def small_disk(tmp_path):
    """A filesystem of 1 MB, which only an administrator can make."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if sys.platform != "linux" or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine does not allow mounting a small tmpfs")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


LANDLOCK = ["read a file", "list a folder", "read beside", "write elsewhere", "write over the input"]
SECCOMP = ["socket", "unix socket", "fork", "program", "exec", "signal", "ptrace", "mode"]


def test_what_it_was_given_and_nothing_else(ends, tmp_path):
    assert ends["read the input"] == "did: 5" and ends["write the output"] == "did: 4"
    assert (tmp_path / "output" / "result").read_bytes() == b"done"
    assert (tmp_path / "input").read_bytes() == b"12345"
    missing = {"limits", "landlock", "seccomp"} - walls.available().keys()
    if "limits" not in missing:
        assert ends["more memory"] == "MemoryError" and ends["large file"] == "OSError"
    if "landlock" not in missing:
        assert {name: ends[name] for name in LANDLOCK} == dict.fromkeys(LANDLOCK, "PermissionError")
        assert not (tmp_path / "elsewhere").exists()
    if "seccomp" not in missing:
        assert {name: ends[name] for name in SECCOMP} == dict.fromkeys(SECCOMP, "PermissionError")
        assert (ends["thread"], ends["lift a limit"]) == ("RuntimeError", "ValueError")
        assert ends["link out"] == "PermissionError"
    if missing:
        pytest.skip(f"this system has no {' and no '.join(sorted(missing))}: what they refuse is not shown")


@pytest.mark.parametrize(
    ("do", "limits", "reason"),
    [
        ("spin", {"seconds": 0.7}, "longer than 0.7 s"),
        ("grow", {}, "more memory than it may"),
        ("flood", {}, "ended with status"),
        ("die", {}, "ended with status 3"),
    ],
)
def test_work_that_does_not_behave_is_stopped(monkeypatch, do, limits, reason):
    if do == "flood" and "limits" not in walls.available():
        pytest.skip("this system cannot limit the size of a file")
    began = time.monotonic()
    with pytest.raises(StudioError, match=reason) as caught:
        enter(monkeypatch, {"do": do}, **limits)
    assert caught.value.code == "refused" and time.monotonic() - began < 30


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_the_child_dies_with_the_process_that_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *sys.path]))
    asks = (
        "from engine.formats import jail; jail.run('wild', b'{\"do\": \"spin\"}', seconds=60, memory=1 << 26)"
    )
    parent = subprocess.Popen([sys.executable, "-c", asks])
    until = time.monotonic() + 60
    while not (children := psutil.Process(parent.pid).children()) or children[0].cpu_times().user < 0.2:
        assert time.monotonic() < until
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert gone and not alive


def test_a_full_disk_is_told_as_one(monkeypatch, small_disk):
    with pytest.raises(StudioError, match="disk is full") as caught:
        enter(monkeypatch, {"do": "fill", "folder": str(small_disk)}, write=[small_disk], file_size=64 << 20)
    assert caught.value.code == "disk"


def test_on_linux_the_walls_are_named():
    if sys.platform == "linux":
        assert "limits" in walls.available()
    assert all(walls.available().values())
