"""The queue against runtimes that live, die, hang and lie, over the real wire."""

import json
import random
import threading
import time

import msgspec
import psutil
import pytest
import zmq

from engine import messages as m
from engine.formats.errors import StudioError
from engine.formats.files import sha256_file
from engine.supervisor.store import Store
from tests.hub.rig import write_base


def test_a_job_runs_and_its_result_joins_the_library(rig):
    job = rig.submit("first", steps=12)
    assert job.state in ("queued", "running") and job.steps == 12
    done = rig.wait_for("first", "done")
    assert (done.step, done.result["loss"], done.attempt) == (12, 0.5, 1)
    cards = {card.name: card for card in rig.ask(m.ListAdapters()).adapters}
    assert cards["first"].source == "training" and cards["first"].path.startswith(str(rig.home.adapters))
    curve = rig.ask(m.ReadMetrics(id="first"))
    assert curve.steps == list(range(1, 13)) and curve.series["loss"][1] == 0.5
    assert rig.ask(m.ReadMetrics(id="first", since=11)).steps == [11, 12]
    words = [line.text for line in rig.ask(m.ReadLog(id="first")).lines]
    assert words[0] == "Queued." and "Checkpoint at step 10." in words and words[-1] == "Done after 12 steps."
    rig.wait_until(lambda: [path.name for path in (rig.home.jobs / "first").iterdir()] == ["job.json"])


def test_the_same_submission_twice_is_one_job(rig):
    rig.submit("once", steps=500)
    again = rig.submit("once", steps=500)
    assert again.id == "once" and len(rig.ask(m.ListJobs()).jobs) == 1
    with pytest.raises(StudioError, match="Another job already has the id"):
        rig.submit("twice", key="once")
    rig.ask(m.CancelJob(id="once"))


def test_one_at_a_time_then_the_next(rig):
    for name in ("one", "two", "three"):
        rig.submit(name, steps=20)
    seen = set()
    while (jobs := rig.ask(m.ListJobs()).jobs)[-1].state != "done":
        seen.add(tuple(job.state for job in jobs))
        rig.client.listen(0.02)
    assert ("running", "queued", "queued") in seen and ("done", "done", "running") in seen
    assert all(states.count("running") <= 1 for states in seen)


def test_pause_resume_cancel(rig):
    rig.submit("long", steps=2000)
    rig.wait_for_step("long", 8)
    paused = rig.ask(m.PauseJob(id="long"))
    assert paused.state == "paused" and paused.checkpoint_step == paused.step
    assert rig.ask(m.ResumeJob(id="long")).state == "running"
    rig.wait_for_step("long", paused.step + 3)
    assert rig.ask(m.ReadMetrics(id="long")).steps[: paused.step + 1] == list(range(1, paused.step + 2))
    assert rig.ask(m.CancelJob(id="long")).state == "cancelled"
    rig.wait_until(lambda: not list((rig.home.jobs / "long").glob("checkpoint-*")))
    with pytest.raises(StudioError, match="long is cancelled and cannot be resumed"):
        rig.ask(m.ResumeJob(id="long"))
    rig.ask(m.RemoveJob(id="long"))
    assert rig.ask(m.ListJobs()).jobs == [] and not (rig.home.jobs / "long").exists()


def test_stop_and_keep(rig):
    rig.submit("enough", steps=2000)
    rig.wait_for_step("enough", 4)
    rig.ask(m.CancelJob(id="enough", keep=True))
    job = rig.wait_for("enough", "done")
    assert "kept" in job.message and job.step < 2000
    assert "enough" in [card.name for card in rig.ask(m.ListAdapters()).adapters]


@pytest.mark.parametrize("state", ["paused", "queued", "failed", "held"])
def test_what_a_stopped_job_has_learned_can_be_kept(rig, state):
    if state == "held":
        rig.submit("poison")
        rig.wait_for("poison", "held")
        with pytest.raises(StudioError, match="no checkpoint yet, so there is nothing to keep"):
            rig.ask(m.CancelJob(id="poison", keep=True))
        return
    if state == "queued":
        rig.submit("front", steps=2000)
    rig.submit("enough", steps=2000)
    if state == "queued":
        with pytest.raises(StudioError, match="no checkpoint yet"):
            rig.ask(m.CancelJob(id="enough", keep=True))
        rig.ask(m.CancelJob(id="front"))
    rig.wait_for_step("enough", 6)
    paused = rig.ask(m.PauseJob(id="enough"))
    if state == "failed":
        rig.kill()
        store = Store(rig.home.database)
        (record,) = store.jobs()
        record.job = msgspec.structs.replace(record.job, state="failed")
        store.save_job(record)
        store.close()
        rig.start()
    job = rig.ask(m.CancelJob(id="enough", keep=True))
    assert (job.state, job.step) == ("done", paused.step) and "kept" in job.message
    assert "enough" in [card.name for card in rig.ask(m.ListAdapters()).adapters]


def test_only_a_router_at_work_can_be_heard(rig):
    rig.submit("plain", steps=2000)
    for job, sentence in [("plain", "plain is not a mix in training"), ("nobody", "no job")]:
        with pytest.raises(StudioError, match=sentence):
            rig.ask(m.Generate(base="tiny", prompt="a", mixing=m.Mixing(job=job)))
    rig.ask(m.CancelJob(id="plain"))


def test_a_queued_job_can_be_paused_and_cancelled(rig):
    rig.submit("front", steps=2000)
    rig.submit("back")
    assert rig.ask(m.PauseJob(id="back")).state == "paused"
    assert rig.ask(m.ResumeJob(id="back")).state == "queued"
    assert rig.ask(m.CancelJob(id="back")).state == "cancelled"
    rig.ask(m.CancelJob(id="front"))


def test_a_dead_runtime_is_a_sentence_and_the_job_goes_on(rig):
    rig.submit("fragile", steps=12)
    job = rig.wait_for("fragile", "done")
    assert (job.attempt, job.step) == (2, 12)
    death = "The runtime of tiny stopped unexpectedly (killed by signal 9)."
    assert f"{death} Training “fragile” continues from step 0." in rig.said()


def test_a_job_that_kills_three_runtimes_without_getting_further_is_held(rig):
    rig.submit("poison")
    rig.submit("innocent")
    held = rig.wait_for("poison", "held")
    assert held.attempt == 3 and held.error.code == "held" and "held after 3 stops" in held.error.message
    assert rig.wait_for("innocent", "done").attempt == 1
    assert rig.ask(m.ResumeJob(id="poison")).state in ("queued", "running")
    assert rig.wait_for("poison", "held").attempt == 6


def test_a_job_that_gets_further_each_time_is_never_held(rig):
    rig.submit("stubborn", steps=180)
    step = 0

    def is_further(attempt):
        job = rig.ask(m.ShowJob(id="stubborn"))
        return job.attempt == attempt and job.step >= step + 11

    for death in range(1, 6):
        rig.wait_until(lambda death=death: is_further(death))
        step = rig.ask(m.ShowJob(id="stubborn")).step
        (runtime,) = rig.ask(m.Status()).runtimes
        psutil.Process(runtime.pid).kill()
    job = rig.wait_for("stubborn", "done")
    assert job.attempt == 6 and job.checkpoint_step is not None
    assert rig.ask(m.ReadMetrics(id="stubborn")).steps == list(range(1, 181))


def test_a_failure_is_told_with_its_next_step(rig):
    rig.submit("broken")
    job = rig.wait_for("broken", "failed")
    assert (job.error.message, job.error.hint) == ("It broke.", "Mend it.")
    assert any("Training “broken” has stopped. It broke." in sentence for sentence in rig.said())


def test_a_live_request_fails_with_a_sentence_when_its_runtime_dies(rig):
    with pytest.raises(StudioError, match="stopped unexpectedly") as caught:
        rig.ask(m.Generate(base="tiny", prompt="die"))
    assert caught.value.code == "crashed"
    tokens = []
    part = m.Part(name="reverse")
    answer = rig.ask(m.Generate(base="tiny", prompt="ab", parts=[part]), tokens.append)
    assert answer.text == "ab|adapter:reverse=reverse"
    assert [body.text for body in tokens if isinstance(body, m.Token)] == ["a", "b"]


def test_a_cancelled_call_is_still_answered(rig):
    rig.ask(m.WarmUp(base="tiny"))
    call = m.Call(id="c", body=m.Generate(base="tiny", prompt="hang"))
    rig.client._socket.send(m.encode(call))
    rig.client.listen(0.1)
    rig.client._socket.send(m.encode(m.Cancel(id="c")))
    with pytest.raises(StudioError, match="Cancelled") as caught:
        rig.client._wait("c", lambda body: None, time.monotonic() + 60)
    assert caught.value.code == "cancelled"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"out": "reverse"}, "There already is an adapter called reverse"),
        ({"out": "../up"}, "cannot be a name"),
        ({"base": "tinny"}, "There is no base model called tinny. Did you mean tiny?"),
        ({"rank": 0}, "The rank cannot be 0"),
        ({"learning_rate": float("nan")}, "The learning rate cannot be nan"),
        ({"data": "/nowhere.jsonl"}, "There is no data file"),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_acknowledged(rig, fields, sentence):
    spec = m.TrainLora(**({"base": "tiny", "data": str(rig.data), "out": "new"} | fields))
    with pytest.raises(StudioError) as caught:
        rig.ask(m.SubmitJob(id="new", spec=spec))
    assert sentence in str(caught.value)
    assert rig.ask(m.ListJobs()).jobs == []


def test_a_bad_line_is_named_and_nothing_is_trained(rig):
    rig.data.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "a"}\n')
    with pytest.raises(StudioError, match="line 2") as caught:
        rig.submit("new")
    assert caught.value.code == "data" and rig.ask(m.ListJobs()).jobs == []


def test_experts_of_a_mix_are_checked(rig):
    def submit(*experts):
        spec = m.TrainRouter(base="tiny", experts=list(experts), data=str(rig.data), out="mix")
        return rig.ask(m.SubmitJob(id="mix", spec=spec))

    with pytest.raises(StudioError, match=r"no adapter called revers\. Did you mean reverse"):
        submit("revers")
    with pytest.raises(StudioError, match="at least one expert"):
        submit()
    with pytest.raises(StudioError, match="named twice"):
        submit("sort", "sort")


def test_experts_are_taken_by_whether_they_fit_not_by_the_base_they_name(rig, tmp_path):
    write_base(tmp_path / "narrow", 1)
    rig.ask(m.AddBase(path=str(tmp_path / "narrow")))
    spec = m.TrainRouter(base="narrow", experts=["reverse"], data=str(rig.data), out="mix")
    with pytest.raises(StudioError, match="reverse does not fit narrow") as caught:
        rig.ask(m.SubmitJob(id="red", spec=spec))
    assert caught.value.code == "adapter" and rig.ask(m.ListJobs()).jobs == []
    rig.ask(m.SubmitJob(id="amber", spec=msgspec.structs.replace(spec, base="tiny")))
    said = [line.text for line in rig.ask(m.ReadLog(id="amber")).lines if line.level == "warning"]
    assert said == ["reverse: It was made for starter-llama; every shape fits tiny all the same."]
    rig.ask(m.CancelJob(id="amber"))


def test_a_job_keeps_its_data_whatever_happens_to_the_file(rig):
    rig.submit("front", steps=300)
    rig.submit("keeper", steps=5)
    rig.data.unlink()
    rig.ask(m.CancelJob(id="front"))
    assert rig.wait_for("keeper", "done").step == 5


def test_reports_of_strangers_and_older_starts_are_refused(rig):
    rig.submit("fenced", steps=2000)
    rig.wait_for_step("fenced", 3)
    liar = zmq.Context.instance().socket(zmq.DEALER)
    liar.connect(rig.home.read_announcement().socket)
    ended = m.JobEnded(id="fenced", epoch=1, outcome="done", step=99999, output="/etc")
    ready = m.RuntimeReady(base="tiny", device="cpu", pid=1, token="guess", load_seconds=0.0)
    for message in (ready, ended, m.JobCheckpoint(id="fenced", epoch=1, step=9, folder="/etc")):
        liar.send(m.encode(message))
    rig.client.listen(0.3)
    liar.close()
    job = rig.ask(m.ShowJob(id="fenced"))
    assert job.state == "running" and job.step < 2000
    rig.ask(m.CancelJob(id="fenced"))


def test_a_killed_engine_loses_no_acknowledged_job_and_leaves_no_runtime(rig):
    rig.submit("running", steps=400)
    rig.wait_for_step("running", 12)
    (runtime,) = rig.ask(m.Status()).runtimes
    rig.kill()
    until = time.monotonic() + 60
    while psutil.pid_exists(runtime.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not psutil.pid_exists(runtime.pid)
    rig.start()
    job = rig.ask(m.ShowJob(id="running"))
    assert job.state in ("queued", "running") and job.attempt >= 1 and job.checkpoint_step >= 10
    assert any("was interrupted" in sentence for sentence in rig.said())
    rig.wait_for_step("running", job.checkpoint_step + 2)
    assert rig.ask(m.ReadMetrics(id="running")).steps[:10] == list(range(1, 11))
    rig.ask(m.CancelJob(id="running"))


def test_twenty_kills_while_submitting(rig):
    """Whatever was acknowledged before the kill is there after it, and nothing that cannot run."""
    chance = random.Random(5)
    acknowledged = []
    for life in range(20):
        killer = threading.Timer(chance.uniform(0.0, 0.02), rig.process.kill)
        at = chance.randrange(30)
        try:
            for number in range(1000):
                if number == at:
                    killer.start()
                key = f"job-{life}-{number}"
                rig.submit(key, steps=100_000)
                acknowledged.append(key)
        except StudioError as error:
            assert error.code == "crashed"
        killer.join()
        rig.process.wait()
        rig.client.close()
        rig.start()
        known = {job.id: job for job in rig.ask(m.ListJobs()).jobs}
        assert set(acknowledged) <= set(known), f"life {life}"
        assert all(job.state in ("queued", "running") for job in known.values())
    assert len(acknowledged) > 100
    rig.kill()
    rig.wait_until(lambda: not _runtimes_of(rig))


def _runtimes_of(rig):
    """Processes that were told this rig's socket, whoever their parent is now."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(rig.home.root / "engine.sock") in word for word in process.info["cmdline"] or [])
    ]


@pytest.mark.parametrize("left", [b"\0" * 8192, b"", None], ids=["zeros", "empty", "missing"])
def test_a_damaged_database_is_rebuilt_from_the_jobs_folders(rig, left):
    rig.submit("finished", steps=5)
    rig.wait_for("finished", "done")
    rig.submit("waiting", steps=3000)
    rig.wait_for_step("waiting", 6)
    rig.kill()
    if left:
        rig.home.backup.unlink()
    for path in rig.home.root.glob("studio.db*"):
        path.unlink()
    if left is not None:
        rig.home.database.write_bytes(left)
    rig.start()
    states = {job.id: job.state for job in rig.ask(m.ListJobs()).jobs}
    assert states["finished"] == "done" and states["waiting"] in ("queued", "running")
    assert {"finished", "reverse"} <= {card.name for card in rig.ask(m.ListAdapters()).adapters}
    assert "tiny" in {card.name for card in rig.ask(m.ListBases()).bases}
    sentence = "database was damaged" if left else "database was empty or missing"
    assert any(sentence in said for said in rig.said())
    assert bool(list(rig.home.root.glob("studio.db.damaged-*"))) == (left is not None)
    rig.wait_for_step("waiting", 8)
    rig.ask(m.CancelJob(id="waiting"))


def test_a_stopped_engine_checkpoints_and_goes_on(rig):
    rig.submit("patient", steps=3000)
    rig.wait_for_step("patient", 7)
    rig.stop()
    record = json.loads((rig.home.jobs / "patient" / "job.json").read_text())
    assert record["job"]["state"] == "queued" and record["job"]["checkpoint_step"] >= 7
    rig.start()
    rig.wait_for_step("patient", record["job"]["checkpoint_step"] + 1)
    rig.ask(m.CancelJob(id="patient"))


def test_a_result_that_was_on_its_way_arrives_after_a_kill(rig):
    rig.submit("late", steps=5)
    rig.wait_for("late", "done")
    rig.kill()
    # As if the engine had died between the runtime's word and the move into the library.
    store = Store(rig.home.database)
    (record,) = store.jobs()
    output = rig.home.jobs / "late" / "output"
    (rig.home.adapters / "late").rename(output)
    record.output = str(output)
    record.job = msgspec.structs.replace(record.job, state="running", steps=9)
    store.save_job(record)
    store.drop_entry("adapters", "late")
    store.close()
    rig.start()
    job = rig.wait_for("late", "done")
    assert job.result["loss"] == 0.5 and job.message == "Stopped at step 5 and kept."
    assert "late" in {card.name for card in rig.ask(m.ListAdapters()).adapters}


def test_a_result_knows_the_job_the_data_and_the_base_that_made_it(rig):
    rig.submit("made")
    rig.wait_for("made", "done")
    known = rig.ask(m.ReadProvenance(kind="adapters", name="made"))
    facts = dict(known.facts)
    assert known.spec["out"] == "made" and known.command.startswith("adapter-studio train lora")
    assert sha256_file(rig.data) in facts["Data"]
    assert sha256_file(rig.base / "config.json")[:16] in facts["Base's files"]
