"""Every kind of job through one start: reports, results, pauses, and nothing of a spec left unread."""

import dataclasses
import inspect
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine.formats.files import sha256_file
from engine.formats.mix_file import read_mix, read_mix_card
from engine.lora import read_adapter, write_adapter
from engine.messages import (
    Domain,
    DropExpert,
    ExportMix,
    JobCheckpoint,
    JobEnded,
    JobStep,
    Mixing,
    Part,
    Route,
    ScoreMix,
    StartJob,
    TrainDylora,
    TrainGate,
    TrainJoint,
    TrainLora,
    TrainRouter,
    Work,
)
from engine.runtime.base_jobs import BaseJob
from engine.runtime.requests import perform
from engine.runtime.tasks import TASKS, settings_of
from engine.training import Settings

QUICK = {"batch_size": 8, "max_length": 64}


class Start:
    """One start of a job, stepped by hand."""

    def __init__(self, base, spec, paths, folder, **options):
        folder.mkdir(parents=True, exist_ok=True)
        self.reports = []
        fields = {"id": "job", "epoch": 1, "checkpoint": None} | options
        order = StartJob(spec=spec, paths=paths, folder=str(folder), **fields)
        self.run = BaseJob(base, order, self.reports.append)
        self.work = self.run.steps()

    def until(self, condition):
        while not condition():
            assert next(self.work, "over") != "over", self.reports[-1]

    def of(self, kind):
        return [report for report in self.reports if isinstance(report, kind)]

    def finish(self):
        for _ in self.work:
            pass
        (ended,) = self.of(JobEnded)
        assert ended.error is None, ended.error
        return ended


@pytest.fixture
def start(base, library, copy_task, tmp_path):
    def begin(spec, folder="job", more=None, **options):
        data = {"data": str(copy_task)} if getattr(spec, "data", "") == "copy" else {}
        known = {key: path for key, path in library.items() if key.startswith("mix:") or hasattr(spec, "out")}
        return Start(base, spec, known | data | (more or {}), tmp_path / folder, **options)

    return begin


def joint(**fields):
    domains = [Domain(expert="left", data="copy", adapter="left"), Domain(expert="fresh", data="copy")]
    return TrainJoint(
        **{"base": "tiny", "domains": domains, "out": "pair", "rank": 2, "steps": 6, **QUICK} | fields
    )


def domains(copy_task):
    return {"data:left": str(copy_task), "data:fresh": str(copy_task)}


@pytest.mark.parametrize("spec", TASKS, ids=lambda spec: spec.__name__)
def test_nothing_in_a_spec_is_ignored(spec):
    """Every field is an option of the task, of the loop, or one of the names that are resolved."""
    options = set(inspect.signature(TASKS[spec]).parameters)
    options |= {field.name for field in dataclasses.fields(Settings)}
    names = {"data", "out", "experts", "domains", "adapter"} | ({"epochs"} if spec is TrainRouter else set())
    assert set(spec.__struct_fields__) <= options | names


def test_steps_are_counted_as_they_were_promised():
    spec = TrainRouter(base="tiny", experts=["a"], data="x", out="m", epochs=3, batch_size=8)
    assert settings_of(spec, 17).steps == 9
    assert settings_of(TrainLora(base="tiny", data="x", out="a", steps=7), 17).steps == 7


def test_dylora_training_goes_on_bit_for_bit_and_tells_each_ranks_loss(start):
    spec = TrainDylora(base="tiny", data="copy", out="every", rank=3, steps=8, alpha=6.0, **QUICK)
    calm = start(spec, "calm")
    ended = calm.finish()
    metrics = [each for report in calm.of(JobStep) for each in report.metrics]
    assert len(metrics) == 8
    for each in metrics:
        assert each[f"loss at {each['rank']:.0f}"] == each["loss"]
    assert ended.result["ranks"] == [1, 3] and ended.result["name"] == "every"
    first = start(spec, "cut")
    first.until(lambda: first.run.reports.step == 5)
    first.run.mailbox.post("pause")
    assert first.finish().outcome == "paused"
    again = start(spec, "cut", epoch=2, checkpoint=first.of(JobCheckpoint)[-1].folder)
    output = Path(again.finish().output)
    whole, resumed = (
        load_file(folder / "adapter_model.safetensors") for folder in (Path(ended.output), output)
    )
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    adapter = read_adapter(output)
    assert (adapter.kind, adapter.rank, adapter.config.alpha) == ("dylora", 3, 6.0)


def test_joint_training_makes_a_mix_that_plays(start, base, voices, copy_task):
    job = start(joint(), more=domains(copy_task))
    job.until(lambda: job.run.router is not None)
    heard = Work(request=Route(mixing=Mixing(job="job"), prompt="ab:"), paths={})
    answer = perform(heard, voices, {"job": job.run})
    next(answer)
    with pytest.raises(StopIteration) as end:
        next(answer)
    assert end.value.value.experts == ["left", "fresh", "null"]
    ended = job.finish()
    mix = read_mix(Path(ended.output))
    assert (ended.outcome, mix.experts, mix.made, mix.name) == ("done", ["left", "fresh"], "joint", "pair")
    assert ended.result["router_parameters"] > 0 and ended.result["steps"] == 6
    steps = [step for report in job.of(JobStep) for step in report.steps_done]
    assert steps == list(range(1, 7))
    assert read_adapter(Path(ended.output) / "experts" / "fresh").rank == 2


def test_an_expert_begins_cut_and_is_a_plain_lora_once_it_was_trained(start, adapters, copy_task):
    spec = joint(domains=[Domain(expert="left", data="copy", adapter="left", rank=1), joint().domains[1]])
    left = read_adapter(Path(start(spec, more=domains(copy_task)).finish().output) / "experts" / "left")
    assert (left.rank, left.kind, adapters["left"].rank) == (1, "lora", 4)


def test_joint_training_goes_on_bit_for_bit(start, copy_task):
    more = domains(copy_task)
    calm = Path(start(joint(), "calm", more).finish().output)
    first = start(joint(), "cut", more)
    first.until(lambda: first.run.reports.step == 4)
    first.run.mailbox.post("pause")
    assert first.finish().outcome == "paused"
    checkpoint = first.of(JobCheckpoint)[-1]
    again = start(joint(), "cut", more, epoch=2, checkpoint=checkpoint.folder)
    output = Path(again.finish().output)
    steps = [step for report in again.of(JobStep) for step in report.steps_done]
    assert steps == list(range(checkpoint.step + 1, 7))
    for file in ("router.safetensors", "experts/left/adapter_model.safetensors"):
        assert (output / file).read_bytes() == (calm / file).read_bytes()


def test_an_expert_joins_a_mix_and_the_others_columns_stay(start, adapters, tmp_path, library):
    write_adapter(adapters["right"], tmp_path / "third")
    spec = TrainRouter(
        base="tiny", experts=["third"], extend="both", data="copy", out="three", steps=3, **QUICK
    )
    ended = start(spec, more={"adapter:third": str(tmp_path / "third")}).finish()
    mix = read_mix(Path(ended.output))
    assert (mix.experts, mix.made) == (["left", "right", "third"], "extended")
    before = load_file(Path(library["mix:both"]) / "router.safetensors")
    after = load_file(Path(ended.output) / "router.safetensors")
    for path, V in before.items():
        assert torch.equal(V[:, :2], after[path][:, :2]) and torch.equal(V[:, 2], after[path][:, 3])
        assert after[path][:, 2].abs().max() > 0


def test_a_router_from_prototypes_needs_no_data(start):
    spec = TrainRouter(
        base="tiny", experts=["left", "right"], data="", out="arrow", start="prototypes", steps=0
    )
    job = start(spec)
    ended = job.finish()
    assert (ended.outcome, ended.step, ended.result["loss"]) == ("done", 0, None)
    card = read_mix_card(Path(ended.output))
    assert card.made == "prototypes" and card.usage == {}


def test_gates_are_trained_alone_and_meet_in_a_mix(start, library):
    made = {}
    for name in ("left", "right"):
        spec = TrainGate(base="tiny", adapter=name, data="copy", out=f"{name}-gated", steps=3, **QUICK)
        ended = start(spec, name).finish()
        made[f"adapter:{name}-gated"] = ended.output
        assert Path(ended.output, "gate.safetensors").is_file()
        assert (
            read_adapter(Path(ended.output)).factors.keys()
            == read_adapter(library[f"adapter:{name}"]).factors.keys()
        )
    spec = TrainRouter(
        base="tiny", experts=["left-gated", "right-gated"], data="", out="met", start="gates", steps=0
    )
    job = start(spec, "met", made)
    assert read_mix(Path(job.finish().output)).made == "gates"


def scoring(copy_task, **fields):
    spec = ScoreMix(
        base="tiny", mix="both", data={"copy": "copy"}, arms=("base", "experts", "soft"), limit=8, **fields
    )
    return spec, {"data:copy": str(copy_task)}


def test_a_scoring_reports_how_far_it_is_and_what_it_found(start, copy_task, library):
    spec, more = scoring(copy_task)
    job = start(spec, more=more)
    ended = job.finish()
    assert ended.outcome == "done" and ended.result["metric"] == "exact"
    assert [arm["name"] for arm in ended.result["arms"]] == ["base", "expert:left", "expert:right", "soft"]
    assert ended.result["sha256"] == sha256_file(Path(library["mix:both"]) / "mixer.json")
    told = job.of(JobStep)
    done = [report.steps_done[0] for report in told if report.steps_done]
    assert done == sorted(done) and all(report.metrics == [] for report in told)
    assert max(done) <= told[-1].steps


def test_a_paused_scoring_goes_on_with_what_it_has(start, copy_task):
    spec, more = scoring(copy_task)
    job = start(spec, more=more)
    folder = job.run.folder / "arms"
    job.until(lambda: folder.exists() and list(folder.glob("*.json")))
    job.run.mailbox.post("pause")
    assert job.finish().outcome == "paused"
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    again = start(spec, more=more, epoch=2)
    assert again.finish().outcome == "done"
    assert kept and all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_an_export_leaves_a_folder_and_its_error(start, copy_task):
    spec = ExportMix(
        base="tiny", mix="both", folder="/nowhere", data={"copy": "copy"}, max_examples=16, rank=4, **QUICK
    )
    ended = start(spec, more={"data:copy": str(copy_task)}).finish()
    assert ended.result["kind"] == "lora" and ended.result["error"]
    adapter = read_adapter(Path(ended.output))
    assert adapter.rank == 4 and Path(ended.output).name == "output"


def test_an_expert_is_dropped_from_a_mix(base, voices, library, tmp_path):
    out = tmp_path / "less"
    work = Work(request=DropExpert(mix="both", expert="left", out="less"), paths=library | {"out": str(out)})
    steps = perform(work, voices, {})
    next(steps)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value.path == str(out)
    assert read_mix_card(out).experts == ["right"] and read_mix_card(out).made == "dropped"

    # It says what the whole mix says with that expert muted.
    def logits(mixing, parts=()):
        with (
            voices.hold(parts, mixing, library | {"mix:less": str(out)}) as voice,
            torch.no_grad(),
            voice.playing(),
        ):
            return base.model(torch.tensor([[1, 5, 6, 9]])).logits

    assert torch.allclose(logits(Mixing(name="less")), logits(Mixing(name="both", muted=["left"])), atol=1e-5)
    assert not torch.allclose(logits(Mixing(name="less")), logits(Mixing(name="both")), atol=1e-2)


def test_how_a_mix_is_played_is_heard(base, voices, library):
    def logits(parts=(), **fields):
        mixing = Mixing(name="both", **fields)
        with voices.hold(parts, mixing, library) as voice, torch.no_grad(), voice.playing():
            return base.model(torch.tensor([[1, 5, 6, 9]])).logits

    assert torch.allclose(logits(mode="hard"), logits(mode="topk", top_k=1), atol=1e-5)
    ways = [
        logits(),
        logits(mode="hard"),
        logits(mode="topk", top_k=2, renormalise=False),
        logits(muted=["left"]),
        logits(locked=["left"]),
        logits(locked=["left"], parts=[Part(name="left", weight=0.5)]),
        logits(strength=0.5),
    ]
    for number, one in enumerate(ways):
        assert not any(torch.allclose(one, other, atol=1e-4) for other in ways[number + 1 :]), number
