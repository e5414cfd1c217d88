"""What is trained and how, against a scripted engine: routers of every kind, experts together with one."""

from __future__ import annotations

import msgspec
import pytest

from app.presenters.lesson import barred
from engine.messages import (
    CancelJob,
    CheckData,
    DataSets,
    Domain,
    Job,
    JobChanged,
    JobProgress,
    ListMixes,
    Mixes,
    SubmitJob,
    TrainJoint,
)
from tests.app import scripted_client as scripted
from tests.app.scripted_client import data_set, mix
from tests.app.scripted_mixer import NAMES, connected, lay


@pytest.fixture
def client(qapp):
    return scripted.ScriptedClient()


@pytest.fixture
def mixer(client):
    mixer = connected(client)
    mixer.stock._sets_listed(DataSets(sets=[data_set("mixed"), *(data_set(f"{n}.train") for n in NAMES)]))
    lay(mixer)
    return mixer


def submitted(client, mixer, **changes) -> Job:
    assert mixer.train()
    call = client.last(SubmitJob)
    spec = call.body.spec
    fields = {"state": "running", "step": 0, "steps": 600, "message": "", "created": 1.0}
    job = Job(id=call.body.id, kind="mix", name=spec.out, spec=spec, **(fields | changes))
    client.answer(call, job)
    return job


def progress(job, step, **metrics):
    return JobProgress(id=job.id, step=step, steps=600, message="", seconds_left=9.0, metrics=metrics)


# --- the router alone ---


def test_every_setting_of_a_router_is_asked_for(client, mixer):
    mixer.set_router(
        router_share="layer",
        activation="sigmoid",
        gates="hard",
        temperature=0.5,
        band_weight=0.005,
        entropy_weight=-0.02,
    )
    spec = submitted(client, mixer).spec
    assert (spec.router_share, spec.activation, spec.gates) == ("layer", "sigmoid", "hard")
    assert (spec.temperature, spec.band_weight, spec.entropy_weight) == (0.5, 0.005, -0.02)
    assert (spec.start, spec.steps) == ("zero", None)


def test_a_router_can_be_made_without_data(client, mixer):
    mixer.set_router(start="prototypes")
    assert submitted(client, mixer).spec.data == "data/mixed.jsonl", "a start, and then it learns"
    other = connected(scripted.ScriptedClient())
    other.set_router(start="gates", with_data=False)
    lay(other)
    assert other.lesson.is_untrained
    spec = other.lesson.job("quick")
    assert (spec.start, spec.data, spec.steps) == ("gates", "", 0)


def test_from_zero_nothing_is_made_without_data(mixer):
    mixer.set_router(start="zero", with_data=False)
    assert not mixer.lesson.is_untrained
    assert mixer.lesson.job("mix").data


def test_sigmoid_and_a_start_from_the_experts_exclude_each_other(mixer):
    mixer.set_router(activation="sigmoid")
    assert "start from zero" in barred(mixer.desk.router)["start"]
    mixer.set_router(activation="softmax", start="prototypes")
    assert set(barred(mixer.desk.router)) == {"activation"}
    mixer.set_router(with_data=False)
    assert {"activation", "epochs", "balance_weight"} < set(barred(mixer.desk.router))


# --- all together ---


def test_each_expert_learns_from_the_set_of_its_name(client, mixer):
    mixer.set_lesson("joint")
    mixer.set_joint(steps=400, hard_share=0.5, rank=4, preserve_weight=0.1)
    mixer.set_router(learning_rate=0.02)
    spec = submitted(client, mixer).spec
    assert isinstance(spec, TrainJoint)
    assert spec.domains == [
        Domain(expert=name, data=f"data/{name}.train.jsonl", adapter=name) for name in NAMES
    ]
    assert (spec.steps, spec.hard_share, spec.rank, spec.preserve_weight) == (400, 0.5, 4, 0.1)
    assert spec.router_learning_rate == 0.02


def test_a_new_expert_needs_data_of_its_own(client, mixer):
    mixer.set_lesson("joint")
    assert mixer.lay_blank("morse")
    assert mixer.why_not_train == "Choose data for morse."
    assert not mixer.train()
    mixer.choose_data_for("morse", "/home/someone/morse.jsonl")
    assert mixer.desk.strip("morse").data == "", "not before it is read"
    client.answer(client.last(CheckData), data_set("morse", 40))
    assert mixer.why_not_train == ""
    domain = submitted(client, mixer).spec.domains[-1]
    assert (domain.expert, domain.data, domain.adapter) == ("morse", "/home/someone/morse.jsonl", "")


def test_a_blank_expert_is_heard_nowhere_and_cannot_be_routed(client, mixer):
    mixer.lay_blank("morse")
    assert "morse" in mixer.playing.silent
    assert [part.name for part in mixer.desk.parts()] == NAMES
    assert mixer.why_not_train == "morse has learned nothing yet. Train experts and router together."
    mixer.undo()
    assert mixer.desk.experts == NAMES


@pytest.mark.parametrize("name", ["", "sort", "upper"])
def test_a_new_expert_needs_a_name_of_its_own(mixer, name):
    assert not mixer.lay_blank(name)
    assert mixer.desk.experts == NAMES
    assert mixer.notices[-1].hint


def test_a_file_that_cannot_be_read_changes_nothing(client, mixer):
    mixer.set_lesson("joint")
    mixer.choose_data_for("sort", "/bad.jsonl")
    client.fail(client.last(CheckData), "data", "Line 3 has no completion.", "Add one.")
    assert mixer.lesson.data_of(mixer.desk.strip("sort")).name == "sort.train"
    assert mixer.notices[-1].message == "Line 3 has no completion."


def test_stages_are_said_and_curves_kept_by_domain(client, mixer):
    mixer.set_lesson("joint")
    job = submitted(client, mixer)
    client.measure(progress(job, 10, loss=2.0, **{"loss.sort": 1.8, "preserve": 0.0, "load.sort": 0.95}))
    assert mixer.training.stage == "Stage 1 of 2: each expert learns its own data"
    assert mixer.collapse == "", "in the first stage an expert has its own rows to itself"
    client.measure(progress(job, 400, loss=1.0, **{"loss.sort": 0.9, "preserve": 0.02, "load.sort": 0.95}))
    assert mixer.training.stage.startswith("Stage 2 of 2")
    assert mixer.training.curve["loss.sort"] == [(10, 1.8), (400, 0.9)]
    assert mixer.training.curve["preserve"][-1] == (400, 0.02)
    assert "sort has 95 % of the load" in mixer.collapse


def test_a_new_expert_is_heard_while_it_learns(client, mixer):
    mixer.set_lesson("joint")
    mixer.lay_blank("morse")
    mixer.stock._files["morse.jsonl"] = data_set("morse")
    mixer.choose_data_for("morse", "morse.jsonl")
    assert not mixer.playing.is_heard("morse")
    job = submitted(client, mixer)
    client.measure(progress(job, 3, loss=2.0))
    assert mixer.playing.title[0] == "mix, still training"
    assert mixer.playing.is_heard("morse")
    mixer.mute("morse", True)
    assert mixer.playing.silent == {"morse"}


def test_new_experts_are_blank_no_longer_once_the_mix_is_there(client, mixer):
    mixer.set_lesson("joint")
    mixer.lay_blank("morse")
    mixer.stock._files["morse.jsonl"] = data_set("morse")
    mixer.choose_data_for("morse", "morse.jsonl")
    job = submitted(client, mixer)
    client.tell(JobChanged(job=msgspec.structs.replace(job, state="done", step=600)))
    client.answer_all(ListMixes, Mixes(mixes=[mix("mix-1", [*NAMES, "morse"])]))
    assert mixer.desk.mix == "mix-1"
    assert mixer.playing.has_router
    assert not mixer.desk.strip("morse").blank
    mixer.set_lesson("joint")
    assert "morse lives in its mix alone" in mixer.why_not_train


def test_a_joint_training_is_found_again_by_a_new_window(client, mixer):
    mixer.set_lesson("joint")
    job = submitted(client, mixer)
    again = connected(scripted.ScriptedClient(), jobs=[job])
    assert again.desk.lesson == "joint"
    assert again.desk.experts == NAMES
    assert again.desk.strip("sort").data == "data/sort.train.jsonl"
    assert again.training.is_open


def test_training_evener_takes_the_place_of_what_collapses(client, mixer):
    job = submitted(client, mixer, steps=100)
    client.measure(progress(job, 30, **{"load.sort": 0.97, "entropy": 0.3}))
    assert mixer.collapse
    mixer.train_evener()
    assert client.last(CancelJob).body.id == job.id
    assert client.asked(SubmitJob) == [], "one after the other"
    client.tell(JobChanged(job=msgspec.structs.replace(job, state="cancelled")))
    assert client.last(SubmitJob).body.spec.balance_weight == pytest.approx(0.05)


def test_a_finished_trainings_warning_is_said(client, mixer):
    job = submitted(client, mixer)
    client.tell(
        JobChanged(
            job=msgspec.structs.replace(job, state="done", result={"warning": "plural is never used."})
        )
    )
    assert mixer.collapse == "plural is never used."


# --- a gate of one's own ---


def test_an_expert_is_given_a_gate_on_its_own_data(client, mixer):
    mixer.mute("sort", True)
    assert mixer.train_gate("sort")
    call = client.last(SubmitJob)
    spec = call.body.spec
    assert (spec.adapter, spec.data, spec.out) == ("sort", "data/sort.train.jsonl", "sort-gated")
    job = Job(
        id=call.body.id, kind="gate", name=spec.out, state="running", step=0, steps=9, message="", spec=spec
    )
    client.answer(call, job)
    assert not mixer.training.is_open, "no mix is being trained"
    client.tell(JobChanged(job=msgspec.structs.replace(job, state="done")))
    assert "sort with a gate of its own" in mixer.notices[-1].message
    mixer.notices[-1].action[1]()
    assert mixer.desk.experts == ["reverse", "sort-gated", "plural"]
    assert mixer.desk.muted == ["sort-gated"]
    mixer.undo()
    assert mixer.desk.experts == NAMES


def test_no_gate_without_data_or_without_an_adapter(client, mixer):
    mixer.drop("upper")
    mixer.lay_blank("morse")
    for name in ("upper", "morse", "nobody"):
        assert not mixer.train_gate(name)
    assert client.asked(SubmitJob) == []
    assert "Choose its data" in mixer.notices[-1].hint


def test_a_gate_that_cannot_be_trained_says_why(client, mixer):
    mixer.train_gate("sort")
    client.fail(client.last(SubmitJob), "usage", "There is an adapter sort-gated already.", "Remove it.")
    assert mixer.notices[-1].message == "There is an adapter sort-gated already."
