"""Hearing a router while it trains: the answer follows the training, the training notices nothing."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine.formats.errors import StudioError
from engine.messages import (
    Generate,
    JobCheckpoint,
    JobEnded,
    Mixing,
    Part,
    Route,
    Score,
    StartJob,
    Token,
    TrainRouter,
    Work,
)
from engine.runtime.base_jobs import BaseJob
from engine.runtime.requests import perform

HEARD = Mixing(job="job")


class Training:
    """A router's job on the tiny base, stepped by hand."""

    def __init__(self, base, library, data, folder, **options):
        folder.mkdir(exist_ok=True)
        fields = {"steps": 12, "batch_size": 8, "learning_rate": 0.3} | options.pop("spec", {})
        spec = TrainRouter(base="tiny", experts=["left", "right"], data="copy", out="both", **fields)
        fields = {"epoch": 1, "checkpoint": None} | options
        self.reports = []
        order = StartJob(
            id="job", spec=spec, paths=library | {"data": str(data)}, folder=str(folder), **fields
        )
        self.run = BaseJob(base, order, self.reports.append)
        self.work = self.run.steps()

    def step(self):
        return next(self.work, "over")

    def begin(self):
        while self.run.router is None:
            assert self.step() != "over", self.reports[-1]

    def finish(self):
        while self.step() != "over":
            pass
        (ended,) = [report for report in self.reports if isinstance(report, JobEnded)]
        return ended

    def weights(self):
        return (Path(self.finish().output) / "router.safetensors").read_bytes()


@pytest.fixture
def training(base, library, copy_task, tmp_path):
    return lambda name="job", **options: Training(base, library, copy_task, tmp_path / name, **options)


def ask(voices, training, request):
    return perform(Work(request=request, paths={}), voices, {"job": training.run})


def whole(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def generate(**fields):
    return Generate(base="tiny", prompt="ab:", mixing=HEARD, max_new_tokens=8, **fields)


def test_a_training_that_is_heard_ends_with_the_same_bits(training, voices, copy_task):
    calm = training("calm").weights()
    heard = training("heard")
    heard.begin()
    requests = [
        generate(temperature=1.0, seed=5, record=True),
        generate(parts=[Part(name="left", weight=0.3, rank=2)]),
        Route(mixing=Mixing(job="job", mode="topk", top_k=1), prompt="cd:"),
        Score(base="tiny", data="copy", mixing=HEARD, limit=8, metric="loss"),
    ]
    for request in requests:
        answer = perform(Work(request=request, paths={"data": str(copy_task)}), voices, {"job": heard.run})
        for _ in range(3):
            next(answer, None)
            heard.step()
            torch.rand(3)
    assert heard.weights() == calm


def test_the_router_is_heard_as_it_is_now(training, voices):
    job = training()
    job.begin()
    request = Route(mixing=HEARD, prompt="ab:")
    before = whole(ask(voices, job, request)).gates
    for _ in range(6):
        job.step()
    after = whole(ask(voices, job, request))
    assert after.gates != before and after.experts == ["left", "right", "null"]
    assert len(after.gates) == len(after.tokens) and len(after.gates[0]) == len(after.modules)
    task = job.run.router
    assert task.gates.tape.gates == [] and task.bank.gates is None
    job.finish()


def test_experts_of_a_router_that_learns_stand_in_no_other_order(training, voices):
    job = training()
    job.begin()
    with pytest.raises(StudioError, match="in the order of their files"):
        next(ask(voices, job, generate(parts=[Part(name="left", rank=2, order="energy")])))
    job.finish()


def test_an_answer_ends_with_the_training_it_listens_to(training, voices):
    job = training(spec={"steps": 3})
    job.begin()
    answer = ask(voices, job, generate())
    assert isinstance(next(answer), Token)
    job.finish()
    with pytest.raises(StudioError, match="The training ended during this answer"):
        next(answer)
    with pytest.raises(StudioError, match="not training at the moment"):
        next(ask(voices, job, generate()))


def test_a_mix_that_does_not_run_here_cannot_be_heard(voices):
    with pytest.raises(StudioError, match="not training at the moment"):
        next(perform(Work(request=generate(), paths={}), voices, {}))


def test_what_a_checkpoint_holds_can_be_kept_without_another_step(training):
    spec = {"checkpoint_seconds": 0.0, "steps": 100}
    job = training(spec=spec)
    while len(checkpoints := [each for each in job.reports if isinstance(each, JobCheckpoint)]) < 2:
        job.step()
    job.work.close()
    kept = checkpoints[-1]
    ended = training(epoch=2, checkpoint=kept.folder, keep=True, spec=spec).finish()
    assert (ended.outcome, ended.step, ended.result["steps"]) == ("kept", kept.step, kept.step)
    state = load_file(Path(kept.folder, "state.safetensors"))
    router = load_file(Path(ended.output, "router.safetensors"))
    assert router and all(torch.equal(V, state[f"task.{path}"]) for path, V in router.items())


def test_nothing_is_kept_when_no_checkpoint_can_be_read(training, tmp_path):
    ended = training(epoch=2, checkpoint=str(tmp_path / "gone"), keep=True).finish()
    assert ended.outcome == "failed" and "nothing to keep" in ended.error.message and ended.error.hint
