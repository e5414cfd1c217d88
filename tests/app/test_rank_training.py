"""Training for every rank from the page: the plan in words, the job followed, found again and chosen."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from PySide6.QtWidgets import QApplication

from app.presenters.rank_training import RankTraining
from engine.messages import (
    CancelJob,
    Error,
    Job,
    JobChanged,
    JobProgress,
    Jobs,
    ListJobs,
    Metrics,
    PauseJob,
    ReadMetrics,
    ResumeJob,
    SubmitJob,
    TrainDylora,
    TrainLora,
)
from tests.app.scripted_client import BASE, ScriptedClient
from tests.app.scripted_ranks import NESTED, SORT, library, sliding


@pytest.fixture
def client(qapp: QApplication) -> ScriptedClient:
    return ScriptedClient()


@pytest.fixture
def training(client: ScriptedClient) -> RankTraining:
    made = RankTraining(client, sliding(client))
    client.answer_all(ListJobs, Jobs(jobs=[]))
    return made


def job(spec: TrainDylora | TrainLora, **changes: object) -> Job:
    begun = Job(
        id="j1", kind="train", name=spec.out, state="running", step=0, steps=300, message="", spec=spec
    )
    return replace(begun, **changes)


def submitted(client: ScriptedClient, training: RankTraining) -> Job:
    assert training.train()
    call = client.last(SubmitJob)
    begun = job(call.body.spec, id=call.body.id)
    client.answer(call, begun)
    return begun


def step(client: ScriptedClient, of: Job, number: int, **losses: float) -> None:
    metrics = {name.replace("_", " "): value for name, value in losses.items()}
    client.measure(
        JobProgress(id=of.id, step=number, steps=300, message="", seconds_left=9.0, metrics=metrics)
    )


def test_the_plan_is_proposed_from_the_adapter_and_said_in_words(training: RankTraining) -> None:
    assert training.data is not None and training.data.name == "sort.train"
    assert training.name == "sort-dylora-2"  # there is a sort-dylora
    assert training.sentence == (
        "Each of 300 steps trains one of ranks 1 to 8, about 37 at each: all columns up to it."
    )
    training.set(draw="geometric", mode="frozen", rank=4, low=2)
    assert training.sentence == (
        "Each of 300 steps trains one of ranks 2 to 4, low ranks more often: its own column alone."
    )


def test_held_out_rows_are_not_offered_to_learn_from(training: RankTraining) -> None:
    assert [data.name for data in training.offered] == ["plural.train", "sort.train"]


def test_the_lowest_rank_never_exceeds_the_highest(training: RankTraining) -> None:
    training.set(low=12)
    assert (training.plan.low, training.plan.rank) == (12, 12)
    training.set(rank=3)
    assert (training.plan.low, training.plan.rank) == (3, 3)


def test_the_plan_becomes_the_job(client: ScriptedClient, training: RankTraining) -> None:
    training.set(name=" mine ", rank=4, draw="geometric", mode="frozen", steps=80, seed=5)
    spec = submitted(client, training).spec
    assert spec == TrainDylora(
        base=BASE,
        data="data/sort.train.jsonl",
        out="mine",
        rank=4,
        draw="geometric",
        mode="frozen",
        steps=80,
        seed=5,
    )
    assert training.why_not == "An adapter is being trained." and not training.train()


def test_a_name_that_is_taken_is_refused_before_it_is_asked(training: RankTraining) -> None:
    training.set(name="sort")
    assert training.why_not == "There is a sort in the library. Choose another name."
    assert not training.train()


def test_losses_by_rank_fill_up_as_ranks_are_drawn(client: ScriptedClient, training: RankTraining) -> None:
    training.set(rank=3)
    begun = submitted(client, training)
    assert training.newest == {1: None, 2: None, 3: None}
    step(client, begun, 1, loss=2.0, loss_at_2=2.0)
    step(client, begun, 2, loss=1.0, loss_at_3=1.0)
    step(client, begun, 3, loss=1.0, loss_at_2=1.0)
    assert training.newest == {1: None, 2: pytest.approx(1.6), 3: 1.0}
    assert training.curve["loss at 2"] == [(1, 2.0), (3, 1.0)]


def test_it_is_steered(client: ScriptedClient, training: RankTraining) -> None:
    begun = submitted(client, training)
    training.pause()
    client.answer(client.last(PauseJob), replace(begun, state="paused"))
    assert training.is_open
    training.resume()
    client.answer(client.last(ResumeJob), begun)
    training.stop_and_keep()
    assert client.last(CancelJob).body == CancelJob(id=begun.id, keep=True)
    training.cancel()
    assert client.last(CancelJob).body == CancelJob(id=begun.id)


def test_it_is_found_again_by_another_window(client: ScriptedClient) -> None:
    training = RankTraining(client, sliding(client))
    left = job(TrainDylora(base=BASE, data="d", out="mine", rank=2), id="left", step=5)
    other = job(TrainLora(base=BASE, data="d", out="plain"), id="other", step=9, created=99.0)
    client.answer(client.last(ListJobs), Jobs(jobs=[other, left]))
    assert training.job == left
    client.answer(
        client.last(ReadMetrics),
        Metrics(id="left", steps=[1, 2], series={"loss at 1": [None, 0.5], "loss at 2": [0.7, None]}),
    )
    assert training.newest == {1: 0.5, 2: 0.7}


def test_when_done_the_page_slides_the_new_adapter(client: ScriptedClient, training: RankTraining) -> None:
    heard: list = []
    training.noticed.connect(heard.append)
    begun = submitted(client, training)
    client.tell(JobChanged(job=replace(begun, state="done", step=300, result={"name": "sort-dylora-2"})))
    library(client, SORT, NESTED, replace(NESTED, name="sort-dylora-2", sha256="new"))
    adapter = training.ranks.state.adapter
    assert adapter is not None and adapter.name == "sort-dylora-2"
    assert [notice.level for notice in heard] == ["good"]


def test_a_failure_is_said_and_can_be_gone_on_from(client: ScriptedClient, training: RankTraining) -> None:
    heard: list = []
    training.noticed.connect(heard.append)
    begun = submitted(client, training)
    error = Error(code="crashed", message="The runtime died.", hint="Go on.")
    client.tell(JobChanged(job=replace(begun, state="failed", error=error)))
    assert [notice.message for notice in heard] == ["The runtime died."]
    training.resume()
    client.answer(client.last(ResumeJob), begun)
    assert training.is_open


def test_of_what_was_discarded_nothing_is_chosen(client: ScriptedClient, training: RankTraining) -> None:
    begun = submitted(client, training)
    client.tell(JobChanged(job=replace(begun, state="cancelled")))
    adapter = training.ranks.state.adapter
    assert adapter is not None and adapter.name == "sort" and not training.is_open
