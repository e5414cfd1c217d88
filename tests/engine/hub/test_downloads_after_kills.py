"""Downloads whose processes are killed, whose disk is full, and which others may not see into."""

import contextlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from engine import messages as m
from engine.client import wait_for_end
from engine.formats.errors import StudioError
from tests.hub.rig import Rig, digest, refetched, stopped, write_adapter, write_base

REPO, BASE = "ada/lora", "ada/base"
CHUNK = 10 << 20
"""Bytes that a kill may cost: what `hf` fetches at once."""


@pytest.fixture
def rig(hub, monkeypatch, tmp_path):
    hub.enter(monkeypatch)
    with Rig(hub, tmp_path / "home") as rig:
        yield rig


def kill(process):
    process.kill()
    with contextlib.suppress(psutil.NoSuchProcess):
        process.wait(30)


def in_the_kernel(port):
    """Bytes on connections from this port that nobody has read: they count as sent, and as nothing else."""
    count = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        ports = [int(each.rpartition(":")[2], 16) for each in (local, remote)]
        sending, received = (int(each, 16) for each in queues.split(":"))
        count += sending * (ports[0] == port) + received * (ports[1] == port)
    return count


def kill_engine(rig):
    """The engine alone: what it started has to notice by itself."""
    engine = rig.engine
    workers = engine.children(recursive=True)
    engine.kill()
    assert wait_for_end(engine.pid, 30)
    rig.close()
    _, alive = psutil.wait_procs(workers, 60)
    assert not alive


def test_the_downloader_is_killed_again_and_again(rig, tmp_path):
    files = write_adapter(tmp_path / "adapter", 16)
    rig.hub.add(REPO, files)
    rig.hub.fault("/large/*", times=-1, rate=20 << 20)
    key = rig.submit(REPO)
    for reached in (1 << 20, 6 << 20, 11 << 20, 15 << 20):
        rig.wait_until_sent(key, reached)
        kill(rig.downloader())
    job = rig.wait(key)
    assert job.state == "done" and job.attempt == 5 and job.result["resumed_from"] > 8 << 20
    rig.has("new", files)
    assert refetched(rig.hub) < 4 * CHUNK


def test_the_engine_is_killed_with_everything_that_it_started(rig, tmp_path):
    files = write_adapter(tmp_path / "adapter", 16)
    rig.hub.add(REPO, files)
    rig.hub.fault("/large/*", times=-1, rate=20 << 20)
    key = rig.submit(REPO)
    for reached in (4 << 20, 12 << 20):
        rig.wait_until_sent(key, reached)
        kill_engine(rig)
        assert rig.job(key).state in ("queued", "running")
    assert rig.wait(key).state == "done"
    rig.has("new", files)
    assert refetched(rig.hub) < 2 * CHUNK


@pytest.mark.parametrize("room", ["adapters", "bases"])
def test_another_download_goes_on_with_what_was_cancelled_whatever_dies_in_between(rig, tmp_path, room):
    files = (write_adapter if room == "adapters" else write_base)(tmp_path / "source", 12)
    rig.hub.add(REPO, files)
    rig.hub.fault("/large/*", times=-1, rate=12 << 20)
    first = rig.submit(REPO, "first", room=room)
    rig.wait_until_sent(first, 6 << 20)
    kill(rig.downloader())
    rig.wait_until_sent(first, 8 << 20)
    rig.ask(m.CancelJob(id=first))
    kept = rig.wait(first, "cancelled").step
    assert kept > 4 << 20
    kill_engine(rig)
    second = rig.submit(REPO, "second", room=room)
    rig.wait_until_sent(second, 9 << 20)
    kill_engine(rig)
    job = rig.wait(second)
    assert job.state == "done" and job.result["resumed_from"] >= kept
    assert refetched(rig.hub) < 3 * CHUNK
    rig.ask(m.RemoveJob(id=first))
    if room == "adapters":
        rig.has("second", files)
    for name, path in files.items():
        assert digest(Path(job.result["path"]) / name) == digest(path)
    left = [path for path in rig.home.jobs.rglob("*") if path.is_file() and path.name != "job.json"]
    assert left == []


@pytest.mark.parametrize("kills", [3, pytest.param(60, marks=[pytest.mark.study, pytest.mark.timeout(900)])])
def test_kills_at_any_moment_leave_nothing_half(rig, tmp_path, kills):
    """The engine dies again and again, also while a download is verified, taken in, and told: at each start
    the library has all of it or nothing."""
    files = write_adapter(tmp_path / "adapter", 4)
    rig.hub.add(REPO, files)
    chance = random.Random(kills)
    key = rig.submit(REPO)
    for _ in range(kills):
        time.sleep(chance.uniform(0.0, 0.9))
        kill_engine(rig)
        job = rig.job(key)
        if rig.card("new") is not None:
            rig.has("new", files)
            rig.wait(key, "done")
            rig.ask(m.RemoveAdapter(name="new"))
            key = rig.submit(REPO)
        else:
            assert job.state in ("queued", "running", "done"), job
    assert rig.wait(key).state == "done"
    rig.has("new", files)


@pytest.mark.parametrize("room", ["adapters", "bases"])
@pytest.mark.parametrize(
    "megabytes", [64, pytest.param(1024, marks=[pytest.mark.bench, pytest.mark.timeout(600)])]
)
def test_a_kill_at_90_percent_costs_one_chunk(rig, tmp_path, room, megabytes, capsys):
    write = write_adapter if room == "adapters" else write_base
    files = write(tmp_path / "source", megabytes)
    rig.hub.add(REPO, files)
    size = megabytes << 20
    rig.hub.fault("/large/*", times=-1, rate=min(size, 250 << 20))
    key = rig.submit(REPO, room=room)
    rig.wait_until_sent(key, size // 10)
    downloader = rig.downloader()
    rig.wait_until_sent(key, size * 9 // 10, seconds=300)
    downloader.suspend()
    held = in_the_kernel(rig.hub.port)
    kill(downloader)
    rig.hub.clear()
    job = rig.wait(key, seconds=300)
    assert job.state == "done"
    twice = refetched(rig.hub)
    with capsys.disabled():
        print(
            f"\n  {megabytes} MB of {room}, killed at 90 %: {twice:,} bytes were sent twice, "
            f"of which the kernel held {held:,}"
        )
    assert twice - held <= CHUNK
    assert job.result["resumed_from"] >= size * 9 // 10 - held - CHUNK
    if room == "adapters":
        rig.has("new", files)
    else:
        for name, path in files.items():
            assert digest(Path(job.result["path"]) / name) == digest(path)


def test_a_base_lies_where_other_programs_look_for_it(rig, tmp_path, hub):
    files = write_base(tmp_path / "base", 4)
    commit = hub.add(BASE, files)
    job = rig.get(BASE, "mine", room="bases")
    assert job.state == "done" and job.result["revision"] == commit
    (card,) = [card for card in rig.ask(m.ListBases()).bases if card.name == "mine"]
    assert (card.repo, card.commit, card.architecture) == (BASE, commit, "LlamaForCausalLM")
    hub.forget()
    hf = Path(sys.executable).with_name("hf")
    done = subprocess.run(
        [hf, "download", BASE], env=os.environ | hub.environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert hub.requests("/large/*") == [] and rig.sent("*/resolve/*") == 0
    verified = subprocess.run(
        [hf, "cache", "verify", BASE], env=os.environ | hub.environment(), capture_output=True, text=True
    )
    assert verified.returncode == 0, verified.stderr + verified.stdout


def test_what_hf_has_fetched_is_not_fetched_again(rig, tmp_path, hub):
    files = write_base(tmp_path / "base", 4)
    hub.add(BASE, files)
    hf = Path(sys.executable).with_name("hf")
    subprocess.run([hf, "download", BASE], env=os.environ | hub.environment(), check=True, timeout=60)
    hub.forget()
    job = rig.get(BASE, "mine", room="bases")
    assert job.state == "done" and job.result["bytes"] == 0
    assert hub.requests("/large/*") == [] and rig.sent("*/resolve/*") == 0


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 MB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount a disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_is_too_small_is_said_before_the_first_byte(hub, monkeypatch, small_disk, tmp_path):
    hub.enter(monkeypatch)
    hub.add(REPO, write_adapter(tmp_path / "adapter", 56))
    with Rig(hub, small_disk / "home") as rig:
        error = stopped(rig.wait(rig.submit(REPO), "paused"), "paused")
        assert error.code == "disk" and "MB" in error.message
        assert hub.requests("/large/*") == []
        rig.has_nothing_new()


def test_a_disk_that_fills_up_pauses_and_goes_on_when_there_is_room(hub, monkeypatch, small_disk, tmp_path):
    hub.enter(monkeypatch)
    files = write_adapter(tmp_path / "adapter", 12)
    hub.add(REPO, files)
    hub.fault("/large/*", times=-1, rate=8 << 20)
    with Rig(hub, small_disk / "home") as rig:
        key = rig.submit(REPO)
        rig.wait_until_sent(key, 4 << 20)
        filler = small_disk / "somebody-elses"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(2**16))
        error = stopped(rig.wait(key, "paused"), "paused")
        assert error.code == "disk"
        rig.has_nothing_new()
        filler.unlink()
        rig.ask(m.ResumeJob(id=key))
        job = rig.wait(key)
        assert job.state == "done" and job.result["resumed_from"] > 2 << 20
        rig.has("new", files)
        assert refetched(hub) < CHUNK


def test_the_token_is_nowhere_but_in_its_file(rig, tmp_path):
    """No log, no argument list, no environment, no stray file has it; and nothing listens meanwhile."""
    canary = rig.hub.account("ada", token="hf_canary" + "Q7" * 20)
    files = write_adapter(tmp_path / "adapter", 8)
    rig.hub.add("ada/secret", files, private=True)
    said = [rig.ask(m.SignIn(token=canary))]
    rig.hub.fault("/large/*", times=-1, rate=8 << 20)
    rig.hub.fault("/large/*", drop_at=3 << 20)
    rig.hub.fault("*/resolve/*", status=500)
    key = rig.submit("ada/secret")
    rig.wait_until_sent(key, 2 << 20)
    processes = [rig.engine, *rig.engine.children(recursive=True)]
    assert any("engine.hub" in process.cmdline() for process in processes)
    for process in processes:
        assert canary not in " ".join(process.cmdline())
        assert canary not in " ".join(process.environ().values())
        listening = [each for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN]
        assert listening == []
    assert rig.wait(key).state == "done"
    refusals = [m.ShowHub(repo="ada/not-there"), m.JudgeHub(repos=["ada/secret"]), m.SearchHub(text="secret")]
    rig.hub.fault("/api/*", times=-1, status=403)
    for request in [*refusals, m.PublishAdapter(name="sort", repo="ada/mine"), m.AskAccount()]:
        with contextlib.suppress(StudioError):
            said.append(repr(rig.ask(request, said.append)))
    rig.hub.clear()
    rig.hub.revoke(canary)
    stopped(rig.get("ada/secret", "again"))
    assert [path.name for path in where(tmp_path, canary)] == ["hub-token.json"]
    assert (rig.home.root / "hub-token.json").stat().st_mode & 0o777 == 0o600
    assert canary not in repr(said) + repr(rig.events) + repr(rig.ask(m.ListJobs()))
    rig.ask(m.SignOut())
    assert where(tmp_path, canary) == []


def where(folder, word):
    """The files beneath that contain it, in any of their bytes."""
    needle = word.encode()
    return [path for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]
