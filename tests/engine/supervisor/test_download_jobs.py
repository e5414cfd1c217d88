"""Downloads as jobs: whose turn it is, what is refused, what is pinned, and what is left behind."""

import asyncio
import json
import shutil
import subprocess
import time
from pathlib import Path

import huggingface_hub as hf
import msgspec
import psutil
import pytest

from engine import messages as m
from engine.formats.errors import StudioError
from engine.hub.cache import Cache
from engine.messages import Job
from engine.supervisor import runtimes as runtimes_room
from engine.supervisor.bounds import check_spec
from engine.supervisor.home import Home
from engine.supervisor.runtimes import Runtime, Runtimes
from engine.supervisor.spec import DOWNLOADER, reached, title_of, worker_of
from engine.supervisor.store import Store
from tests.hub.handle import HubServer
from tests.hub.rig import WEIGHTS, Rig, write_adapter, write_base

SIZE = 6
LARGE = "/large/*"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_adapter(tmp_path_factory.mktemp("adapter"), SIZE)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stage")
    with pytest.MonkeyPatch.context() as patch, HubServer.start(folder / "hub") as hub:
        hub.enter(patch)
        with Rig(hub, folder / "home") as rig:
            yield rig


@pytest.fixture
def studio(stage):
    yield stage
    stage.hub.clear()
    stage.clear()
    stage.hub.forget()


def slow(studio, megabytes=1):
    studio.hub.fault(LARGE, rate=megabytes << 20, times=-1)


def states(studio, keys):
    return [studio.job(key).state for key in keys]


def test_three_at_once_and_the_others_wait(studio, files):
    slow(studio)
    repos = [f"ada/queue-{number}" for number in range(5)]
    for repo in repos:
        studio.hub.add(repo, files)
    keys = [studio.submit(repo, f"queue-{number}") for number, repo in enumerate(repos)]
    studio.wait_until_sent(keys[0], 1 << 20)
    assert states(studio, keys) == ["running"] * 3 + ["queued"] * 2
    assert studio.ask(m.Status()).runtimes == []
    studio.ask(m.CancelJob(id=keys[1]))
    studio.wait(keys[3], "running")
    assert states(studio, keys) == ["running", "cancelled", "running", "running", "queued"]
    downloaders = [child for child in studio.engine.children() if "engine.hub" in child.cmdline()]
    assert len(downloaders) == 1
    for key in keys[:1] + keys[2:]:
        studio.ask(m.CancelJob(id=key))


def test_a_second_download_of_the_same_is_refused(studio, files):
    slow(studio)
    studio.hub.add("ada/same", files)
    key = studio.submit("ada/same", "one")
    for repo, out, revision in (
        ("ada/same", "two", "main"),
        ("Ada/Same", "two", "main"),
        ("ada/other", "ONE", "x"),
    ):
        with pytest.raises(StudioError, match="already") as refusal:
            studio.submit(repo, out, revision=revision)
        assert refusal.value.code == "usage" and refusal.value.hint
    studio.ask(m.PauseJob(id=key))
    with pytest.raises(StudioError, match=r"already being downloaded, as .*: that is paused"):
        studio.submit("ada/same", "two")


@pytest.mark.parametrize(
    "about",
    [
        {"repo": "../../etc/passwd"},
        {"repo": "https://huggingface.co/ada/one"},
        {"repo": "a/b/c"},
        {"repo": ""},
        {"repo": "ada/one", "revision": "../main"},
        {"repo": "ada/one", "revision": "a\nb"},
        {"repo": "ada/one", "revision": ""},
        {"repo": "ada/one", "out": "../up"},
        {"repo": "ada/one", "out": ""},
    ],
)
def test_names_that_are_none_are_refused(studio, about):
    with pytest.raises(StudioError) as refusal:
        studio.submit(**about)
    assert refusal.value.code == "usage" and refusal.value.hint


def test_what_is_here_is_replaced_only_on_demand(studio, files, tmp_path):
    studio.hub.add("ada/again", files)
    first = studio.get("ada/again", "again")
    assert first.state == "done"
    with pytest.raises(StudioError, match="came from ada/again"):
        studio.submit("ada/again", "again")
    later = write_adapter(tmp_path / "later", SIZE, seed=1)
    commit = studio.hub.add("ada/again", later)
    second = studio.get("ada/again", "again", replace=True)
    assert second.state == "done" and second.result["revision"] == commit != first.result["revision"]
    studio.has("again", later)
    studio.hub.add("ada/stranger", files)
    with pytest.raises(StudioError, match="already is an adapter called again"):
        studio.submit("ada/stranger", "again", replace=True)


def test_gauges_tell_files_speed_and_time_left(stage, studio, files):
    slow(studio, 3)
    studio.hub.add("ada/gauge", files)
    gauges = []
    from engine.client import Client, find_engine

    with Client(find_engine(studio.home), on_gauge=gauges.append) as client:
        key = studio.submit("ada/gauge", "gauge")
        until = time.monotonic() + 60
        while studio.job(key).state != "done":
            assert time.monotonic() < until
            client.listen(0.05)
    told = [gauge for gauge in gauges if isinstance(gauge, m.JobProgress) and gauge.id == key]
    middle = next(gauge for gauge in told if gauge.seconds_left is not None)
    assert 0 < middle.step < middle.steps == studio.job(key).steps
    assert {file.name for file in middle.files} == set(files) and middle.message.startswith("Fetching")
    assert sum(file.done for file in middle.files) == middle.step
    curve = studio.ask(m.ReadMetrics(id=key))
    assert curve.steps and all(speed < 20e6 for speed in curve.series["speed"])


def in_jobs_or_cache(studio):
    """Bytes that unfinished downloads take, as the person sees them, and on the disk."""
    shown = studio.ask(m.MeasureDisk()).items
    partial = [*Cache().root.rglob("*.adapter-studio"), *studio.home.jobs.rglob("partial/*.safetensors")]
    return (
        sum(item.bytes for item in shown if item.place == "jobs" or "partly fetched" in item.name),
        sum(path.stat().st_size for path in partial),
    )


@pytest.mark.parametrize("room", ["adapters", "bases"])
@pytest.mark.parametrize("end", ["cancelled", "cancelled while paused", "failed"])
def test_what_was_given_up_is_kept_until_its_job_is_removed(studio, tmp_path, room, end):
    repo = f"ada/{room}-{end.replace(' ', '-')}"
    studio.hub.add(repo, (write_adapter if room == "adapters" else write_base)(tmp_path / "files", 6))
    slow(studio, 4)
    first = studio.submit(repo, "first", room=room)
    studio.wait_until_sent(first, 3 << 20)
    if end != "cancelled":
        studio.ask(m.PauseJob(id=first))
    if end == "failed":
        studio.hub.fault("*/resolve/*", status=404, code="EntryNotFound", times=-1)
        studio.ask(m.ResumeJob(id=first))
        assert studio.wait(first).state == "failed"
        studio.hub.clear()
    else:
        studio.ask(m.CancelJob(id=first))
        message = studio.wait(first, "cancelled").message
        assert "MB are kept, and fetching it again goes on from there." in message
    shown, there = in_jobs_or_cache(studio)
    assert shown >= there > 2 << 20
    second = studio.get(repo, repo[4:], room=room)
    assert second.state == "done" and second.result["resumed_from"] >= there
    studio.ask(m.RemoveJob(id=first))
    if room == "bases":
        studio.ask(m.RemoveBase(name=repo[4:]))
    else:
        assert studio.ask(m.VerifyAdapters(name=repo[4:])).adapters[0].ok
    assert in_jobs_or_cache(studio)[1] == 0 and not (studio.home.jobs / first).exists()


def test_removing_a_cancelled_download_leaves_nothing_in_the_cache(studio, tmp_path):
    studio.hub.add("ada/away", write_base(tmp_path / "base", 6))
    slow(studio, 4)
    keys = []
    for revision in ("main", studio.hub.add("ada/away", write_base(tmp_path / "base", 6))):
        keys.append(studio.submit("ada/away", f"away-{len(keys)}", room="bases", revision=revision))
        studio.wait_until_sent(keys[-1], 1 << 20)
        studio.ask(m.CancelJob(id=keys[-1]))
        studio.hub.forget()
    partial = list(Cache().root.rglob("models--ada--away/blobs/*.adapter-studio"))
    assert len(partial) == 1
    studio.ask(m.RemoveJob(id=keys[0]))
    assert partial[0].exists(), "the other job counts on it"
    studio.ask(m.RemoveJob(id=keys[1]))
    assert not (Cache().root / "models--ada--away").exists()


def test_a_base_of_the_cache_is_taken_over_under_its_name(studio, tmp_path):
    studio.hub.add("ada/cached", write_base(tmp_path / "cached", 1))
    hf.snapshot_download("ada/cached")
    studio.engine.kill()  # the next one looks through the cache as it starts

    def sources():
        return {card.name: card.source for card in studio.ask(m.ListBases()).bases if card.repo}

    assert sources() == {"cached": "cache"}
    studio.hub.forget()
    assert studio.get("ada/cached", "cached", room="bases").result["bytes"] == 0
    assert sources() == {"cached": "hub"} and studio.sent("*/resolve/*") == 0
    with pytest.raises(StudioError, match="came from ada/cached"):
        studio.submit("ada/cached", "cached", room="bases")


def test_half_a_download_cannot_be_kept(studio, files):
    slow(studio)
    studio.hub.add("ada/half", files)
    key = studio.submit("ada/half", "half")
    with pytest.raises(StudioError, match="of no use"):
        studio.ask(m.CancelJob(id=key, keep=True))


def test_the_token_is_written_down_nowhere(stage, studio, files):
    canary = studio.hub.account("eve", token="hf_canaryCANARYcanary0123456789")
    studio.hub.add("eve/private", files, private=True)
    slow(studio, 2)
    studio.ask(m.SignIn(token=canary))
    try:
        key = studio.submit("eve/private", "private")
        studio.wait_until_sent(key, 1 << 20)
        process = studio.downloader()
        assert canary not in " ".join(process.cmdline()) and canary not in str(process.environ())
        assert studio.wait(key).state == "done"
    finally:
        studio.ask(m.SignOut())
    holders = [
        path
        for folder in (studio.home.root, Cache().root)
        for path in folder.rglob("*")
        if path.is_file() and canary.encode() in path.read_bytes()
    ]
    assert holders == []


# --- what jobs read is theirs ---


def test_a_job_keeps_what_it_reads(rig, adapter):
    config = adapter / "adapter_config.json"
    config.write_text(config.read_text().replace("starter-llama", "tiny"))
    rig.ask(m.ImportAdapter(path=str(adapter), name="mine"))
    rig.submit("before", steps=400)
    spec = m.TrainGate(base="tiny", adapter="mine", data=str(rig.data), out="gated", steps=5)
    rig.ask(m.SubmitJob(id="gated", spec=spec))
    record = json.loads((rig.home.jobs / "gated" / "job.json").read_text())
    pinned = Path(record["paths"]["adapter:mine"])
    assert pinned == rig.home.jobs / "gated" / "inputs" / "adapter" / "mine"
    source = rig.home.adapters / "mine"
    assert (pinned / WEIGHTS).samefile(source / WEIGHTS)
    rig.ask(m.RemoveAdapter(name="mine"))
    rig.ask(m.EmptyTrash())
    assert (pinned / config.name).read_bytes() == config.read_bytes()
    rig.ask(m.CancelJob(id="before"))
    assert rig.wait_for("gated", "done", "failed").state == "done"
    rig.wait_until(lambda: not (rig.home.jobs / "gated" / "inputs").exists())


def test_a_job_that_an_earlier_version_queued_gets_what_it_reads(rig, adapter):
    config = adapter / "adapter_config.json"
    config.write_text(config.read_text().replace("starter-llama", "tiny"))
    rig.ask(m.ImportAdapter(path=str(adapter), name="mine"))
    rig.submit("before", steps=400)
    for key in ("old", "lost"):
        spec = m.TrainGate(base="tiny", adapter="mine", data=str(rig.data), out=key, steps=5)
        rig.ask(m.SubmitJob(id=key, spec=spec))
    rig.stop()
    store = Store(rig.home.database)
    for record in store.jobs():  # earlier ones noted no more than the data
        if record.job.id != "before":
            record.paths = {"data": record.paths["data"]}
            spec = msgspec.structs.replace(
                record.job.spec, adapter={"old": "mine"}.get(record.job.id, "gone")
            )
            record.job = msgspec.structs.replace(record.job, spec=spec)
            store.save_job(record)
            shutil.rmtree(rig.home.jobs / record.job.id / "inputs")
    store.close()
    rig.start()
    pinned = rig.home.jobs / "old" / "inputs" / "adapter" / "mine"
    assert (pinned / WEIGHTS).samefile(rig.home.adapters / "mine" / WEIGHTS)
    rig.ask(m.RemoveAdapter(name="mine"))
    rig.ask(m.CancelJob(id="before"))
    assert rig.wait_for("old", "done", "failed").state == "done"
    lost = rig.wait_for("lost", "done", "failed")
    assert lost.state == "failed" and "no adapter called gone" in lost.error.message and lost.error.hint


# --- in words ---


def test_a_download_is_spoken_of_in_bytes():
    spec = m.Download(repo="ada/one", out="one")
    job = Job(id="a", kind="download", name="one", state="paused", step=0, steps=0, message="", spec=spec)
    assert reached(job, 10, " at") == ""
    job = Job(
        id="a", kind="download", name="one", state="paused", step=0, steps=20_000_000, message="", spec=spec
    )
    assert reached(job, 5_000_000, " at") == " at 5.00 MB of 20.0 MB"
    assert (worker_of(spec), title_of(spec)) == (DOWNLOADER, "The download of ada/one")
    check_spec(spec)


def test_an_idle_downloader_is_stopped_whatever_memory_there_is(tmp_path):
    async def look():
        home = Home(tmp_path / "home")
        home.prepare()
        runtimes = Runtimes(home, send=lambda *about: True, changed=lambda: None, died=pytest.fail, threads=1)
        sleeping = await asyncio.create_subprocess_exec(
            "sleep", "60", start_new_session=True, stdout=subprocess.DEVNULL
        )
        ready = asyncio.get_running_loop().create_future()
        ready.set_result(None)
        now = time.monotonic()
        idle = Runtime(
            name=DOWNLOADER,
            process=sleeping,
            token="",
            ready=ready,
            beat=now,
            used=now - runtimes_room.IDLE - 1,
            busy="downloads",
        )
        runtimes._by_name[DOWNLOADER] = idle
        runtimes.look_after()
        assert not idle.stopping and psutil.pid_exists(sleeping.pid)
        idle.busy = ""
        runtimes.look_after()
        assert idle.stopping and await sleeping.wait() == -9

    asyncio.run(look())
