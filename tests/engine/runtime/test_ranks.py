"""A curve over ranks: each point is what a score at that rank says, read in one batch."""

import dataclasses
import itertools
import json
from types import SimpleNamespace

import pytest
import torch

from engine.dylora import DyloraTask
from engine.formats.dataset import read_rows
from engine.formats.errors import StudioError
from engine.lora import Factors, read_adapter, svd_order, write_adapter
from engine.messages import MeasureRanks, Part, Score, Scoring, Work
from engine.runtime import checking, decoding, ranks, scoring
from engine.runtime.checking import judge
from engine.runtime.ranks import APART
from engine.runtime.requests import perform
from engine.training import Settings, train

RANK = 8


def finish(generator):
    said = []
    while True:
        try:
            said.append(next(generator))
        except StopIteration as end:
            return [each for each in said if each is not None], end.value


@pytest.fixture(scope="module")
def nested(base, copy_task, tmp_path_factory):
    """Trained for a while: right at some ranks and on some rows."""
    rows = read_rows(copy_task)
    task = DyloraTask(base.model, base.tokenizer, rows, rank=RANK, batch_size=20, alpha=16.0, name="nested")
    for _ in train(task, Settings(steps=90, learning_rate=0.02, seed=1)):
        pass
    folder = tmp_path_factory.mktemp("trained") / "nested"
    task.save(folder)
    task.close()
    return folder


def curve(voices, folder, data, **options):
    request = MeasureRanks(base="tiny", data=str(data), adapter="it", **options)
    work = Work(request=request, paths={"adapter:it": str(folder), "data": str(data)})
    return finish(perform(work, voices, {}))


def alone(voices, folder, data, rank, metric):
    request = Score(base="tiny", data=str(data), parts=[Part(name="it", rank=rank)], metric=metric)
    work = Work(request=request, paths={"adapter:it": str(folder), "data": str(data)})
    return finish(perform(work, voices, {}))[1]


def check_curve(voices, folder, data, **options):
    for metric in ("exact", "loss"):
        said, seen = curve(voices, folder, data, metric=metric, **options)
        assert [point.rank for point in seen.points] == options.get("ranks", [1, 2, 4, 8])
        assert isinstance(said[-1], Scoring) and said[-1].done == said[-1].total == seen.n == 60
        for point in seen.points:
            scored = alone(voices, folder, data, point.rank, metric)
            exactly = {"rel": 1e-6} if metric == "loss" else {"abs": 0.0}
            assert point.value == pytest.approx(scored.value, **exactly)
            assert point.interval == pytest.approx(scored.interval, rel=0.05)
        values = [point.value for point in seen.points]
        assert said[-1].value == pytest.approx(values[-1])
    return values


def test_every_point_is_the_score_at_that_rank(voices, nested, copy_task):
    losses = check_curve(voices, nested, copy_task, ranks=list(range(1, RANK + 1)))
    assert losses[-1] < 0.8 * losses[0]
    exact = [point.value for point in curve(voices, nested, copy_task)[1].points]
    assert max(exact) > 0.1 and len(set(exact)) > 1, exact
    for size in (1, 7):
        assert [point.value for point in curve(voices, nested, copy_task, batch_size=size)[1].points] == exact


def test_what_a_point_says_beside_its_value(voices, nested, base, copy_task, tmp_path):
    seen = curve(voices, nested, copy_task, limit=3)[1]
    assert (seen.kind, seen.notes) == ("dylora", [])
    assert [point.energy for point in seen.points] == [None] * 4
    whole = read_adapter(nested)
    assert seen.points[-1].bytes == sum(4 * (f.A.numel() + f.B.numel()) for f in whole.factors.values())
    assert seen.points[0].bytes * 8 == seen.points[-1].bytes
    plain = dataclasses.replace(
        whole,
        kind="lora",
        factors={p: dataclasses.replace(f, nested=False) for p, f in whole.factors.items()},
    )
    write_adapter(plain, tmp_path / "plain")
    assert "no order" in curve(voices, tmp_path / "plain", copy_task, limit=3)[1].notes[0]
    write_adapter(svd_order(plain), tmp_path / "ordered")
    there = curve(voices, tmp_path / "ordered", copy_task)[1]
    here = curve(voices, tmp_path / "plain", copy_task, order="energy")[1]
    assert there.points == here.points
    energies = [point.energy for point in here.points]
    assert energies == sorted(energies) and energies[-1] == pytest.approx(1.0)
    assert not base.model.lm_head._forward_hooks and here.kind == "svd"


def test_rows_that_ranks_part_on_are_told(voices, nested, copy_task, tmp_path):
    seen = curve(voices, nested, copy_task, metric="exact")[1]
    assert len(seen.apart) == APART
    assert curve(voices, nested, copy_task, metric="loss")[1].apart == []
    parted = []
    for row in read_rows(copy_task):
        alone = tmp_path / "row.jsonl"
        alone.write_text(json.dumps({"prompt": row.prompt, "completion": row.completion}))
        if len({point.value for point in curve(voices, nested, alone, metric="exact")[1].points}) > 1:
            parted.append(row.prompt)
        if len(parted) == APART:
            break
    assert seen.apart == parted


def test_a_dora_is_measured_rank_by_rank(voices, nested, base, copy_task, tmp_path):
    whole = read_adapter(nested)
    norms = {path: base.model.get_submodule(path).weight.norm(dim=1) * 1.1 for path in whole.factors}
    factors = {path: Factors(f.A, f.B, f.scale, magnitude=norms[path]) for path, f in whole.factors.items()}
    config = dataclasses.replace(whole.config, dora=True)
    dora = svd_order(dataclasses.replace(whole, kind="lora", factors=factors, config=config))
    write_adapter(dora, tmp_path / "dora")
    check_curve(voices, tmp_path / "dora", copy_task, ranks=[1, 3, 8])
    assert "keeps its magnitude" in curve(voices, tmp_path / "dora", copy_task, limit=2)[1].notes[0]


def test_other_tokens_for_the_same_text_are_written_on(
    base, voices, nested, copy_task, tmp_path, monkeypatch
):
    """A blank before or behind counts for nothing: such answers stay open, and are then what Score says."""
    lines = [
        json.dumps({"prompt": row.prompt, "completion": f"{row.completion} "}) for row in read_rows(copy_task)
    ]
    blanks = tmp_path / "blanks.jsonl"
    blanks.write_text("\n".join(lines))
    check_curve(voices, nested, blanks, ranks=[4, 8])
    ids = dict(zip("ab ", base.tokenizer("ab ", add_special_tokens=False).input_ids, strict=True))
    end = base.tokenizer.eos_token_id

    def judged(wanted, said):
        return judge(base, [*(ids[letter] for letter in wanted), end], said)

    a, b, blank = ids["a"], ids["b"], ids[" "]
    assert judged("ab", [a, b, end])[0] == 1.0
    assert judged("ab ", [a, b, end, end])[0] == 1.0
    assert judged("ab", [a, end, b])[0] == 0.0
    assert judged("ab", [b, b, end]) == (0.0, [b])
    assert judged("ab", [blank, b, end]) == (None, [blank])
    assert judged("ab", [a, b, blank]) == (None, [a, b, blank])
    assert judged("ab", [a, b, a])[0] == 0.0
    written = []
    begun = scoring._greedy
    monkeypatch.setattr(scoring, "_greedy", lambda *given: written.extend(given[2]) or begun(*given))
    curve(voices, nested, copy_task)
    assert len(written) < 0.1 * 60 * 4, "few answers are in doubt"


def test_what_all_prompts_begin_with_is_read_once(voices, nested, copy_task, tmp_path, monkeypatch):
    begun = tmp_path / "begun.jsonl"
    rows = [
        {"prompt": f"bad cab: {row.prompt}", "completion": row.completion} for row in read_rows(copy_task)
    ]
    begun.write_text("\n".join(map(json.dumps, rows)))
    check_curve(voices, nested, begun, ranks=[1, 5, 8], batch_size=30)
    read = []
    monkeypatch.setattr(
        type(voices.base), "read", lambda self, ids, *rest: read.append(ids.shape) or self.model(ids).logits
    )
    curve(voices, nested, begun, ranks=[1, 5, 8], limit=20)
    assert read == [(3, len(voices.base.tokenizer("bad cab: ").input_ids))]


def test_prompts_and_references_are_read_together_once_answers_begin_right(
    voices, nested, copy_task, monkeypatch
):
    monkeypatch.setattr(ranks, "LIKELY", 0.0)
    read, own = [], checking.completion_logits

    def noted(model, batch, **kept):
        read.append(len(batch.ids))
        return own(model, batch, **kept)

    monkeypatch.setattr(checking, "completion_logits", noted)
    check_curve(voices, nested, copy_task, ranks=[1, 5, 8], batch_size=30)
    assert read == [30] * 5  # the first batch of six shows how answers begin


def test_speeds_are_measured_where_they_are_asked_for(voices, nested, copy_task, monkeypatch):
    assert all(
        point.tokens_per_second is None for point in curve(voices, nested, copy_task, limit=2)[1].points
    )
    ticks = itertools.count(step=0.25)
    monkeypatch.setattr(decoding, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    seen = curve(voices, nested, copy_task, limit=2, speed=True)[1]
    assert [point.tokens_per_second for point in seen.points] == [4.0] * 4
    assert next(ticks) == 0.25 * 2 * 4 * (2 + decoding.PASSES)
    assert "Tokens a second" in seen.notes[-1]


@pytest.mark.parametrize("rank", [0, -1, RANK + 1])
def test_a_rank_that_it_has_not_is_a_sentence(voices, nested, copy_task, rank):
    with pytest.raises(StudioError, match="has ranks 1 to 8, not") as refused:
        curve(voices, nested, copy_task, ranks=[1, rank])
    assert refused.value.code == "usage"


def test_a_curve_begins_where_the_training_did(voices, nested, copy_task, tmp_path):
    write_adapter(dataclasses.replace(read_adapter(nested), low=3), tmp_path / "low")
    seen = curve(voices, tmp_path / "low", copy_task, limit=2)[1]
    assert [point.rank for point in seen.points] == [3, 4, 8]
    for ask in (curve, lambda *given, ranks, limit: alone(*given, ranks[0], "loss")):
        with pytest.raises(StudioError, match="it was trained at ranks 3 to 8, not 2"):
            ask(voices, tmp_path / "low", copy_task, ranks=[2], limit=2)


def test_no_bank_is_left_behind(voices, nested, base, copy_task):
    prompt = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        before = base.model(prompt).logits
        curve(voices, nested, copy_task, limit=5)
        assert torch.equal(base.model(prompt).logits, before)
