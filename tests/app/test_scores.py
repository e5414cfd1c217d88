"""Scoring a mix against a scripted engine: what is asked, the run, earlier results, who is said to win."""

from __future__ import annotations

import msgspec
import pytest

from app.presenters.scores import Scores
from app.presenters.standings import Standings
from engine.messages import (
    ArmScore,
    CancelJob,
    CheckData,
    DataSets,
    Error,
    Job,
    JobChanged,
    JobProgress,
    JobRemoved,
    Jobs,
    ListData,
    ListJobs,
    PauseJob,
    ResumeJob,
    ScoreMix,
    SubmitJob,
)
from tests.app import scripted_client as scripted
from tests.app.scripted_client import data_set, mix
from tests.app.scripted_mixer import NAMES, connected

SETS = [data_set(f"{name}.heldout", 150) for name in [*NAMES, "blend"]]


def arm(kind, value, *, name="", spread=0.02, label="", sets=None, missing=""):
    sets = sets or {}
    return ArmScore(
        name=name or kind,
        label=label or name or kind,
        arm=kind,
        value=value,
        interval=(round(value - spread, 3), round(value + spread, 3)),
        sets={key: (middle, middle - spread, middle + spread) for key, middle in sets.items()},
        missing=missing,
    )


def standings(*arms, metric="exact", sets=("reverse.heldout", "blend.heldout")):
    return Standings("mix-1", metric, 300, arms, sets)


@pytest.fixture
def client(qapp):
    return scripted.ScriptedClient()


@pytest.fixture
def mixer(client):
    mixer = connected(client, mixes=[mix("mix-1", NAMES), mix("mix-2", NAMES)])
    client.answer_all(ListData, DataSets(sets=[]))
    mixer.stock.refresh()
    client.answer_all(ListData, DataSets(sets=[data_set("mixed", 6000), *SETS]))
    mixer.open_mix("mix-1")
    return mixer


@pytest.fixture
def scores(client, mixer):
    return of(client, mixer)


def of(client, mixer, jobs=()):
    def desk():
        mix = mixer.stock.mixes.get(mixer.desk.mix)
        return mix, mixer.desk.router.top_k, mixer.desk.data, mixer.ranks_of_mix

    scores = Scores(client, mixer.stock, desk, mixer)
    scores.noticed.connect(mixer.notices.append)
    client.answer_all(ListJobs, Jobs(jobs=list(jobs)))
    return scores


def job_of(spec, **changes):
    fields = dict(
        id="1", kind="scores", name="Scores", state="running", step=0, steps=0, message="", spec=spec,
        created=1.0,
    )  # fmt: skip
    return Job(**(fields | changes))


def result(*arms):
    return {"metric": "exact", "n": 300, "arms": [msgspec.to_builtins(each) for each in arms]}


SPEC = ScoreMix(base=scripted.BASE, mix="mix-1", data={"sort.heldout": "data/sort.heldout.jsonl"}, limit=40)


def submitted(client, scores):
    assert scores.score()
    call = client.last(SubmitJob)
    job = job_of(call.body.spec, id=call.body.id)
    client.answer(call, job)
    return job


# --- what is to be scored ---


def test_a_mix_suggests_the_sets_of_its_experts(client, scores):
    assert [data.name for data in scores.sets] == [f"{name}.heldout" for name in NAMES]
    assert [data.name for data in scores.offered] == ["blend.heldout"]
    assert scores.why_not == ""
    spec = submitted(client, scores).spec
    assert spec.mix == "mix-1"
    assert spec.data == {f"{name}.heldout": f"data/{name}.heldout.jsonl" for name in NAMES}
    assert spec.arms == ("base", "experts", "oracle", "uniform", "arrow", "soft", "topk", "hard")
    assert (spec.limit, spec.top_k, spec.train) == (100, 3, "")
    assert scores.why_not == "This mix is being scored."
    assert not scores.score()


def test_sets_arms_and_rows_are_chosen(client, mixer, scores):
    scores.add_set("data/blend.heldout.jsonl")
    scores.remove_set("data/sort.heldout.jsonl")
    scores.set_arm("xlora", True)
    scores.set_arm("base", False)
    scores.set_plan(limit=None)
    scores.choose_train("data/mixed.jsonl")
    scores.set_plan(metric="loss")
    scores.set_plan(examples=300)
    mixer.set_router(top_k=2)
    spec = submitted(client, scores).spec
    assert list(spec.data) == ["reverse.heldout", "plural.heldout", "blend.heldout"]
    assert spec.arms == ("experts", "oracle", "uniform", "arrow", "xlora", "soft", "topk", "hard")
    assert (spec.limit, spec.top_k, spec.train) == (None, 2, "data/mixed.jsonl")
    assert (spec.metric, spec.max_examples) == ("loss", 300)


def test_what_it_costs_is_said_before(client, scores):
    scores.set_plan(limit=50)
    assert scores.cost == "1,350 answers: 9 voices on 150 rows."
    scores.set_arm("experts", False)
    assert scores.cost.startswith("1,350 answers"), "the oracle asks the experts all the same"
    scores.set_arm("lora", True)
    scores.choose_train("data/mixed.jsonl")
    assert "1 arm to train first, on 2,000 examples." in scores.cost
    scores.set_plan(examples=300)
    assert "1 arm to train first, on 300 examples." in scores.cost
    scores.set_plan(metric="loss")
    assert scores.cost.startswith("1,500 readings: 10 voices on 150 rows.")
    for path in [data.path for data in scores.sets]:
        scores.remove_set(path)
    assert scores.cost == ""
    assert scores.why_not == "Choose at least one test set."


def test_own_files_are_read_first_and_may_share_a_name(client, mixer, scores):
    scores.add_set("/home/someone/sort.heldout.jsonl")
    client.fail(client.last(CheckData), "data", "Line 7 is not JSON.", "Mend the line.")
    assert mixer.notices[-1].message == "Line 7 is not JSON."
    assert len(scores.sets) == 3
    scores.add_set("/home/someone/sort.heldout.jsonl")
    own = msgspec.structs.replace(data_set("sort.heldout", 12), path="/home/someone/sort.heldout.jsonl")
    client.answer(client.last(CheckData), own)
    assert submitted(client, scores).spec.data["sort.heldout 2"] == own.path


def test_without_a_mix_there_is_nothing_to_score(mixer, scores):
    mixer.close_mix()
    assert scores.why_not == "Open a mix first."
    assert not scores.score()
    assert (scores.sets, scores.cost, scores.standings) == ([], "", None)


# --- the run ---


def test_progress_pause_and_cancel(client, scores):
    job = submitted(client, scores)
    client.measure(
        JobProgress(id=job.id, step=30, steps=90, message="sort alone", seconds_left=9.0, metrics={})
    )
    assert (scores.job.step, scores.job.message) == (30, "sort alone")
    scores.pause()
    assert client.last(PauseJob).body.id == job.id
    client.tell(JobChanged(job=msgspec.structs.replace(job, state="paused")))
    scores.resume()
    assert client.last(ResumeJob).body.id == job.id
    scores.stop_and_keep()
    assert client.last(CancelJob).body.keep
    scores.cancel()
    assert not client.last(CancelJob).body.keep
    client.tell(JobChanged(job=msgspec.structs.replace(job, state="cancelled")))
    assert scores.job is None
    assert scores.why_not == ""


def test_slid_experts_are_scored_as_they_are_and_the_result_says_so(client, mixer, scores):
    mixer.set_rank("sort", 4)
    spec = submitted(client, scores).spec
    assert spec.ranks == {"sort": 4}
    job = job_of(spec, state="done", result=result(arm("soft", 0.9)))
    assert Standings.of(job).caption.startswith("mix-1 with sort at rank 4: share of exact answers")


def test_who_wins_is_announced_when_a_watched_run_ends(client, scores):
    said = []
    scores.announced.connect(said.append)
    job = submitted(client, scores)
    ended = msgspec.structs.replace(job, state="done", result=result(arm("base", 0.1), arm("soft", 0.9)))
    client.tell(JobChanged(job=ended))
    client.tell(JobChanged(job=ended))
    assert said == [scores.standings.sentence]


def test_a_run_that_outlived_its_window_is_found_again(client, mixer):
    again = of(client, mixer, [job_of(SPEC), job_of(msgspec.structs.replace(SPEC, mix="mix-2"), id="2")])
    assert again.job.id == "1"
    mixer.open_mix("mix-2")
    assert again.job.id == "2"


def test_a_failed_run_says_why_once(client, mixer, scores):
    job = submitted(client, scores)
    failed = msgspec.structs.replace(
        job, state="failed", error=Error(code="disk", message="The disk is full.", hint="Make room.")
    )
    client.tell(JobChanged(job=failed))
    client.tell(JobChanged(job=failed))
    assert [notice.message for notice in mixer.notices] == ["The disk is full."]


def test_earlier_results_of_this_mix_are_back_at_once(client, mixer):
    done = [
        job_of(SPEC, id="old", state="done", created=1.0, seconds=61.0, result=result(arm("soft", 0.5))),
        job_of(SPEC, id="new", state="done", created=2.0, seconds=75.0, result=result(arm("soft", 0.6))),
        job_of(msgspec.structs.replace(SPEC, mix="mix-2"), id="other", state="done", created=3.0,
               result=result(arm("soft", 0.1))),
    ]  # fmt: skip
    scores = of(client, mixer, done)
    assert [job.id for job in scores.earlier] == ["new", "old"]
    assert scores.standings.ours.value == 0.6
    scores.choose("old")
    assert scores.standings.ours.value == 0.5
    assert [data.name for data in scores.sets] == ["sort.heldout"], "planned as it was scored last"
    assert scores.plan.limit == 40
    assert scores.cost.endswith("The last such run took 1:15.")
    scores.set_plan(metric="loss")
    assert "The last such run" not in scores.cost, "another measure takes another time"
    scores.set_plan(metric="exact")
    client.tell(JobRemoved(id="old"))
    assert scores.standings.ours.value == 0.6


# --- who wins ---

SURE = {"reverse.heldout": 0.98, "blend.heldout": 0.9}


def test_overlapping_intervals_are_not_told_apart():
    found = standings(arm("oracle", 0.97), arm("soft", 0.96), arm("lora", 0.95, label="one LoRA"))
    assert found.sentence == (
        "Soft (0.96) cannot be told apart from the oracle (0.97); one LoRA cannot be told apart from the mix."
    )


def test_apart_is_better_or_worse_and_each_set_is_looked_at():
    rival = arm("lora", 0.9, label="one LoRA", sets={"reverse.heldout": 0.8, "blend.heldout": 0.97})
    ours = arm("soft", 0.9, label="mix, soft", sets=SURE)
    found = standings(arm("oracle", 0.5), ours, arm("hard", 0.8), rival, arm("base", 0.0))
    assert found.sentence == (
        "Mix, soft (0.90) does better than the oracle (0.50); one LoRA does better on blend."
    )
    behind = standings(arm("oracle", 0.99), arm("soft", 0.9), arm("base", 0.0))
    assert behind.sentence == (
        "Soft (0.90) stays behind the oracle (0.99); every other arm stays behind the mix."
    )
    beaten = standings(arm("soft", 0.9), arm("lora", 0.99, label="one LoRA"))
    assert beaten.sentence == "Soft (0.90) was scored without the oracle; one LoRA (0.99) does better."


def beside(one, gap, low, high):
    return msgspec.structs.replace(one, beside_mix=(gap, low, high))


def test_a_difference_row_by_row_tells_more_than_two_intervals():
    mix = arm("soft", 0.9, label="the mix, soft")
    oracle, lora = arm("oracle", 0.92), arm("lora", 0.89, label="one LoRA")
    top = arm("topk", 0.91, label="the mix, top 3")
    found = standings(beside(oracle, 0.02, 0.01, 0.031), mix, beside(lora, -0.01, -0.02, 0.004))
    assert found.sentence == (
        "The mix, soft (0.90) stays behind the oracle (0.92) by 0.02 (0.01 to 0.03); "
        "one LoRA cannot be told apart from the mix."
    )
    sure = standings(beside(oracle, 0.02, -0.01, 0.05), mix, beside(lora, -0.01, -0.02, -0.004))
    assert sure.sentence == (
        "The mix, soft (0.90) cannot be told apart from the oracle (0.92); "
        "every other arm stays behind the mix."
    )
    ahead = standings(beside(oracle, -0.02, -0.03, -0.01), mix, beside(top, 0.01, 0.002, 0.02))
    assert ahead.ours is mix, "what the others were held against, not the luckiest"
    assert ahead.sentence == (
        "The mix, soft (0.90) does better than the oracle (0.92) by 0.02 (0.01 to 0.03); "
        "the mix, top 3 (0.91) does better."
    )
    losses = standings(mix, beside(lora, -0.01, -0.02, -0.004), metric="loss")
    assert losses.sentence.endswith("; one LoRA (0.890) does better."), "less is better"
    assert found.table[1][6:9] == ["0.02", "0.01", "0.03"]
    assert found.table[2][6:9] == ["", "", ""]


def test_a_comparison_of_unlike_lessons_says_so():
    mix, lora = arm("soft", 0.9), arm("lora", 0.3, label="one LoRA")
    learned = [msgspec.structs.replace(one, trained=rows) for one, rows in ((mix, 2000), (lora, 100))]
    assert standings(*learned).sentence.endswith(". One LoRA learned from 100 rows, the mix from 2,000.")
    alike = [msgspec.structs.replace(one, trained=2000) for one in (mix, lora)]
    assert "learned from" not in standings(*alike).sentence
    assert "learned from" not in standings(mix, learned[1]).sentence, "a mix from prototypes had no lessons"


def test_an_expert_on_its_own_set_is_what_the_oracle_says_already():
    own = {"reverse.heldout": 1.0, "blend.heldout": 0.0}
    expert = arm("experts", 0.5, name="expert:reverse", label="reverse alone", sets=own)
    ours = arm("soft", 0.7, sets={"reverse.heldout": 0.9, "blend.heldout": 0.5})
    with_oracle = standings(arm("oracle", 0.9), ours, expert)
    assert (
        with_oracle.sentence
        == "Soft (0.70) stays behind the oracle (0.90); every other arm stays behind the mix."
    )
    without = standings(ours, expert)
    assert without.sentence == (
        "Soft (0.70) was scored without the oracle; reverse alone does better on reverse."
    )


def test_touching_intervals_are_not_apart():
    found = standings(arm("oracle", 0.97, spread=0.02), arm("topk", 0.94, spread=0.02))
    assert found.sentence == "Topk (0.94) cannot be told apart from the oracle (0.97)."


def test_of_losses_the_lower_is_better():
    found = standings(arm("oracle", 0.5), arm("soft", 0.3), arm("hard", 0.9), arm("base", 2.0), metric="loss")
    assert found.sentence == (
        "Soft (0.300) does better than the oracle (0.500); every other arm stays behind the mix."
    )


def test_without_the_mix_it_says_what_is_missing():
    assert standings(arm("base", 0.1)).sentence.startswith("Base (0.10) is ahead. Tick soft")
    assert standings(arm("xlora", 0.0, missing="no PEFT")).sentence == "No arm could be scored."


def test_table_markdown_and_csv_agree():
    found = standings(
        arm("soft", 0.9, label="mix, soft", sets=SURE), arm("xlora", 0, missing="a|b is not installed")
    )
    head, first, second = found.table
    assert head[:4] == ["Arm", "Mean", "95 % low", "95 % high"]
    assert head[4:6] == ["reverse", "blend"]
    assert first[:6] == ["mix, soft", "0.90", "0.88", "0.92", "0.98", "0.90"]
    assert second[:2] == ["xlora", "a|b is not installed"]
    assert "| mix, soft | 0.90 | 0.88 | 0.92 | 0.98 | 0.90 |" in found.markdown
    assert "a\\|b is not installed" in found.markdown
    assert found.csv.splitlines()[1].startswith('"mix, soft",0.90,0.88,0.92,0.98,0.90')
    assert "mean of reverse and blend, 300 rows" in found.markdown
