"""One start of a download in this process: pinned, steered, quarantined, and told as it goes."""

import shutil
import threading
import time
from pathlib import Path

import msgspec
import pytest

from engine.formats.errors import StudioError
from engine.hub import download as room
from engine.hub.cache import Cache
from engine.hub.download import DownloadRun
from engine.hub.kept import PLAN, at_work, discard, take_over
from engine.hub.places import place_of
from engine.hub.plan import Plan
from engine.hub.process import Downloader
from engine.messages import (
    Call,
    Cancel,
    Download,
    Failure,
    JobEnded,
    JobStep,
    RuntimeReady,
    StartJob,
    SteerJob,
)
from tests.hub.rig import write_adapter, write_base

WEIGHTS = "adapter_model.safetensors"
LARGE = "/large/*"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_adapter(tmp_path_factory.mktemp("adapter"), 4)


@pytest.fixture
def site(hub, monkeypatch):
    hub.enter(monkeypatch)
    return hub


class Job:
    """A download's folder, and its starts."""

    def __init__(self, folder, **spec):
        self.folder, self.spec, self.epoch, self.steps = folder, Download(**spec), 0, []
        folder.mkdir(exist_ok=True)

    def order(self):
        self.epoch += 1
        return StartJob(
            id="job",
            epoch=self.epoch,
            spec=self.spec,
            paths={},
            folder=str(self.folder),
            checkpoint=None,
        )

    def start(self):
        """A run at work, and a list that its end will be in."""
        run, ends = DownloadRun(self.order(), self.steps.append), []
        thread = threading.Thread(target=lambda: ends.append(run.run()))
        thread.start()
        return run, thread, ends

    def run(self):
        return DownloadRun(self.order(), self.steps.append).run()

    def stop(self, hub, word, at):
        """Start, say ``word`` when so much has come, and give back how it ended."""
        hub.fault(LARGE, rate=4 << 20, times=-1)
        run, thread, ends = self.start()
        until = time.monotonic() + 60
        while not self.steps or (self.steps[-1].steps_done or [0])[-1] < at:
            assert time.monotonic() < until
            time.sleep(0.01)
        run.post(word)
        thread.join(30)
        hub.clear()
        return ends[0]


@pytest.fixture
def job(site, files, tmp_path):
    site.add("ada/one", files)
    return Job(tmp_path / "job", repo="ada/one", out="one")


def test_it_ends_with_a_checked_adapter_in_quarantine(job, files):
    ended = job.run()
    assert ended.outcome == "done" and Path(ended.output).parent == job.folder
    for name, path in files.items():
        assert Path(ended.output, name).read_bytes() == path.read_bytes()
    assert ended.result["resumed_from"] == 0 and ended.result["bytes"] == ended.step == job.steps[-1].steps
    assert set(ended.result["sha256"]) == set(files) and len(ended.result["revision"]) == 40


def test_it_says_how_far_each_file_is_how_fast_and_for_how_long(site, job, files):
    site.fault(LARGE, rate=2 << 20, times=-1)
    began = time.monotonic()
    assert job.run().outcome == "done"
    assert len(job.steps) <= 6 * (time.monotonic() - began) + 8
    messages = [step.message for step in job.steps]
    assert messages[0] == "Asking the Hub." and f"Fetching {WEIGHTS}." in messages
    middle = next(step for step in job.steps if step.seconds_left is not None)
    sizes = {name: path.stat().st_size for name, path in files.items()}
    assert {file.name: file.total for file in middle.files} == sizes
    assert middle.steps == sum(sizes.values())
    assert middle.steps_done == [sum(file.done for file in middle.files)] != [0]
    speeds = [values["speed"] for step in job.steps for values in step.metrics]
    assert speeds and 1e5 < max(speeds) < 4e6
    assert 0 <= middle.seconds_left < 20


def test_pause_keeps_the_bytes_and_the_commit(site, job, files, tmp_path):
    paused = job.stop(site, "pause", 1 << 20)
    assert paused.outcome == "paused" and paused.step >= 1 << 20
    later = site.add("ada/one", write_adapter(tmp_path / "later", 4, seed=1))
    site.forget()
    ended = job.run()
    assert ended.outcome == "done" and ended.result["revision"] != later
    assert Path(ended.output, WEIGHTS).read_bytes() == files[WEIGHTS].read_bytes()
    assert ended.result["resumed_from"] + ended.result["bytes"] == ended.step
    assert ended.result["resumed_from"] >= 1 << 20
    assert site.requests("/api/*") == []


def test_what_is_whole_is_not_read_or_fetched_again(site, job, monkeypatch):
    job.run()
    site.down()
    monkeypatch.setattr("engine.hub.places.fetch", lambda *about: pytest.fail("it was fetched again"))
    ended = job.run()
    assert ended.outcome == "done" and ended.result["bytes"] == 0


def test_a_kill_between_the_last_byte_and_the_note_costs_nothing(site, job):
    first = job.run()
    (job.folder / room.CHECKED).unlink()
    second = job.run()
    assert second.result["sha256"] == first.result["sha256"] and second.result["bytes"] == 0


def test_an_adapter_that_is_unsound_is_refused(site, job, files, tmp_path):
    broken = tmp_path / "broken.safetensors"
    shutil.copy(files[WEIGHTS], broken)
    with broken.open("r+b") as file:
        file.write(b"\xff" * 8)
    site.add("ada/one", files | {WEIGHTS: broken})
    ended = job.run()
    assert (ended.outcome, ended.output) == ("failed", "") and ended.error.code in ("adapter", "refused")


def test_an_adapter_of_the_cache_is_copied_and_not_fetched(site, job, files):
    import huggingface_hub as hf

    hf.snapshot_download("ada/one")
    site.forget()
    ended = job.run()
    assert ended.outcome == "done" and ended.result["bytes"] == 0 and site.requests(LARGE) == []
    assert ended.result["resumed_from"] == ended.step
    for name, path in files.items():
        assert Path(ended.output, name).read_bytes() == path.read_bytes()
        assert not Path(ended.output, name).is_symlink()


def test_what_is_damaged_in_the_cache_is_fetched(site, job, files):
    import huggingface_hub as hf

    folder = Path(hf.snapshot_download("ada/one"))
    with (folder / WEIGHTS).open("r+b") as file:
        file.seek(3_000_000)
        file.write(b"\0" * 100)
    ended = job.run()
    assert ended.outcome == "done" and ended.result["notes"]
    assert Path(ended.output, WEIGHTS).read_bytes() == files[WEIGHTS].read_bytes()


@pytest.fixture
def base(site, tmp_path):
    site.add("ada/base", write_base(tmp_path / "base", 4))
    return Job(tmp_path / "job", repo="ada/base", out="base", room="bases")


def test_a_base_lands_in_the_cache_as_a_snapshot(site, base):
    ended = base.run()
    assert ended.outcome == "done"
    assert Path(ended.output) == Cache().snapshot("ada/base", ended.result["revision"])
    assert sorted(path.name for path in Path(ended.output).iterdir()) == sorted(ended.result["sha256"])
    assert not list(Cache().root.rglob("*.adapter-studio"))


def test_cancelling_keeps_what_had_come(site, base):
    assert base.stop(site, "cancel", 1 << 20).outcome == "cancelled"
    (partial,) = Cache().root.rglob("*.adapter-studio")
    assert partial.stat().st_size >= 1 << 20
    discard(base.folder)
    assert not (Cache().root / "models--ada--base").exists()


def test_another_download_goes_on_with_the_bytes_of_the_first(site, base, tmp_path):
    base.stop(site, "pause", 2 << 20)
    other = Job(tmp_path / "other", repo="ada/base", out="other", room="bases")
    ended = other.run()
    assert ended.outcome == "done" and ended.result["resumed_from"] >= 2 << 20


def test_nothing_is_taken_from_a_job_at_work_of_another_file_or_that_is_just_removed(
    site, job, files, tmp_path
):
    job.stop(site, "cancel", 1 << 20)
    weights = job.folder / "partial" / WEIGHTS
    site.add("ada/other", write_adapter(tmp_path / "elsewhere", 4, seed=3))
    plan, other = room.make_plan("ada/one", "main", "adapters", ""), tmp_path / "other"
    other.mkdir()
    with at_work(job.folder):
        take_over(plan, other, [job.folder, tmp_path / "removed"])
    take_over(room.make_plan("ada/other", "main", "adapters", ""), other, [job.folder])
    assert weights.exists() and list(other.rglob("*.safetensors")) == []
    size = weights.stat().st_size
    take_over(plan, other, [job.folder])
    assert not weights.exists() and (other / "partial" / WEIGHTS).stat().st_size == size > 1 << 20
    ended = Job(other, repo="ada/one", out="two").run()
    assert ended.outcome == "done" and ended.result["resumed_from"] >= size
    assert job.run().outcome == "done", "what was taken from it is fetched again"


def test_what_is_cleaned_away_meanwhile_is_said_and_fetched_by_a_resume(site, base):
    assert base.run().outcome == "done"
    plan = msgspec.json.decode((base.folder / PLAN).read_bytes(), type=Plan)
    shutil.rmtree(Cache().root / "models--ada--base" / "blobs")
    with pytest.raises(StudioError, match="went from the Hugging Face cache"):
        place_of(plan, base.folder).finish("main")
    ended = base.run()
    assert ended.outcome == "done" and ended.result["bytes"] == ended.step


def test_a_cache_that_is_cleaned_under_a_running_download_is_said(site, base):
    site.fault(LARGE, rate=4 << 20, times=-1)
    _, thread, ends = base.start()
    until = time.monotonic() + 60
    while not list(Cache().root.rglob("*.adapter-studio")) or not site.requests(LARGE):
        assert time.monotonic() < until
        time.sleep(0.01)
    shutil.rmtree(Cache().root / "models--ada--base")
    thread.join(20)
    assert ends[0].outcome == "failed" and "went from the Hugging Face cache" in ends[0].error.message
    assert base.run().outcome == "done"


def test_two_that_fetch_the_same_do_it_once(site, base, tmp_path):
    site.fault(LARGE, rate=4 << 20, times=-1)
    other = Job(tmp_path / "other", repo="ada/base", out="other", room="bases")
    at_work = [base.start(), other.start()]
    for _, thread, _ in at_work:
        thread.join(20)
    assert [ends[0].outcome for _, _, ends in at_work] == ["done", "done"]
    large = [each for each in site.requests(LARGE) if each["status"] in (200, 206)]
    assert len(large) == 1
    assert any("Waiting for another program" in step.message for step in base.steps + other.steps)


def test_a_poisoned_base_is_refused_before_its_weights_come(site, base, tmp_path):
    files = write_base(tmp_path / "poisoned", 4)
    config = files["config.json"].read_text()
    files["config.json"].write_text(config.replace("{", '{"auto_map": {"AutoModel": "own.Model"}, ', 1))
    site.add("ada/base", files)
    ended = base.run()
    assert ended.outcome == "failed" and ended.error.code == "refused"
    assert site.requests(LARGE) == [] and not list(Cache().root.rglob("snapshots"))


def test_an_error_that_nobody_thought_of_is_a_report_too(job, monkeypatch):
    monkeypatch.setattr(room, "make_plan", lambda *about: 1 / 0)
    ended = job.run()
    assert ended.outcome == "failed" and "ZeroDivisionError" in ended.error.message


# --- the process ---


class FakeWire:
    """The messages that are to come in, and those that went out."""

    def __init__(self):
        self.busy, self.sent, self.coming = "", [], []

    def send(self, message):
        self.sent.append(message)

    def received(self, wait):
        while self.coming:
            yield self.coming.pop(0)
        raise EOFError

    def give(self, downloader, *messages):
        """What is answered to these."""
        self.coming, before = list(messages), len(self.sent)
        with pytest.raises(EOFError):
            downloader.serve()
        return self.sent[before:]

    def wait_for_end(self):
        until = time.monotonic() + 60
        while not any(isinstance(message, JobEnded) for message in self.sent):
            assert time.monotonic() < until
            time.sleep(0.01)
        return next(message for message in self.sent if isinstance(message, JobEnded))


def test_the_downloader_is_a_worker_like_any_other(site, job):
    site.fault(LARGE, rate=1 << 20, times=-1)
    wire = FakeWire()
    downloader = Downloader(wire, "secret", time.monotonic())
    assert isinstance(wire.sent[0], RuntimeReady) and wire.sent[0].token == "secret"
    order = job.order()
    wire.give(downloader, Call(id="1", body=order))
    assert wire.busy
    late = SteerJob(id="job", epoch=order.epoch - 1, action="pause")
    answers = wire.give(
        downloader,
        Call(id="2", body=order),
        Call(id="3", body=late),
        Call(id="4", body=SteerJob(id="other", epoch=1, action="pause")),
        Cancel(id="1"),
    )
    refusals = {answer.id: answer.error.code for answer in answers if isinstance(answer, Failure)}
    assert refusals == {"2": "busy", "3": "missing", "4": "missing"}
    wire.give(downloader, Call(id="5", body=SteerJob(id="job", epoch=order.epoch, action="cancel")))
    assert wire.wait_for_end().outcome == "cancelled"
    assert wire.busy == "" and all(isinstance(message, JobStep) for message in job.steps)


def test_after_its_end_a_job_may_be_ordered_at_once(site, job):
    class Eager(FakeWire):
        def send(self, message):
            super().send(message)
            if isinstance(message, JobEnded) and message.epoch < 3:
                again = self.give(downloader, Call(id=f"again {message.epoch}", body=job.order()))
                assert not any(isinstance(answer, Failure) for answer in again)

    wire = Eager()
    downloader = Downloader(wire, "secret", time.monotonic())
    wire.give(downloader, Call(id="1", body=job.order()))
    until = time.monotonic() + 60
    while sum(isinstance(message, JobEnded) for message in wire.sent) < 3:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert all(message.outcome == "done" for message in wire.sent if isinstance(message, JobEnded))
