"""DyLoRA: every prefix is an adapter, what is frozen stays bit for bit, and PEFT agrees at every rank."""

import collections

import pytest
import torch

from engine.dylora import DyloraTask, RankDraw
from engine.formats.dataset import read_rows
from engine.formats.errors import AdapterError, StudioError
from engine.lora import attach, read_adapter, svd_order, write_adapter
from engine.training import Checkpoints, Mailbox, Settings, StepDone, train

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

RANK = 4


@pytest.fixture
def model(tiny_base_folder):
    from transformers import LlamaForCausalLM

    torch.set_num_threads(1)
    return LlamaForCausalLM.from_pretrained(tiny_base_folder)


@pytest.fixture
def new_task(model, tiny_tokenizer, copy_task):
    made = []

    def make(**options):
        rows = read_rows(copy_task)
        task = DyloraTask(model, tiny_tokenizer, rows, rank=RANK, batch_size=20, base="tiny", **options)
        made.append(task)
        return task

    yield make
    for task in made:
        task.close()


def steps(events):
    return [event for event in events if isinstance(event, StepDone)]


def run(task, count, **settings):
    return steps(train(task, Settings(steps=count, learning_rate=0.02, seed=1, **settings)))


def test_draws_follow_the_distribution_and_the_step_alone():
    uniform, geometric = RankDraw(1, 8, seed=3), RankDraw(1, 8, seed=3, distribution="geometric")
    assert [uniform.at(step) for step in range(50)] == [uniform.at(step) for step in range(50)]
    assert [RankDraw(1, 8, seed=4).at(step) for step in range(50)] != [uniform.at(step) for step in range(50)]
    for draw in (uniform, geometric):
        seen = collections.Counter(draw.at(step) for step in range(20_000))
        for rank, wanted in enumerate(draw.weights(), 1):
            assert abs(seen[rank] / 20_000 - wanted) < 0.012
    assert geometric.weights()[1] / geometric.weights()[0] == pytest.approx(0.85)
    assert {RankDraw(3, 3).at(step) for step in range(9)} == {3}


def test_it_learns_at_every_rank_and_says_what_each_step_was_made_at(new_task, model, tmp_path):
    task = new_task(alpha=8.0)
    events = run(task, 200)
    for event in events:
        rank = round(event.metrics["rank"])
        assert event.metrics[f"loss at {rank}"] == event.metrics["loss"]
    result = task.save(tmp_path / "nested")
    assert result["ranks"] == [1, RANK]
    assert result["mode"] == "full"
    before = [event.metrics["loss"] for event in events[:5]]
    for rank in range(1, RANK + 1):
        task.gates.set_rank(task.name, rank)
        with torch.no_grad():
            # Rank 1 of this tiny base cannot learn it by heart, but it is far from where it started.
            assert float(task.loss(list(range(20))).value) < 0.5 * min(before)


def test_a_step_moves_nothing_but_what_takes_part(new_task):
    """Neither momentum nor decay, which earlier steps at other ranks have filled, reaches the other rows."""
    for mode in ("full", "frozen"):
        task = new_task(mode=mode, seed=5)
        before = {name: tensor.detach().clone() for name, tensor in task.parameters().items()}
        moved = collections.Counter()
        for event in train(task, Settings(steps=30, learning_rate=0.02, weight_decay=0.1, seed=1)):
            rank = round(event.metrics["rank"])
            first = 0 if mode == "full" else rank - 1
            for name, tensor in task.parameters().items():
                now = tensor.detach().view(-1, RANK, tensor.shape[1])
                old = before[name].view(-1, RANK, tensor.shape[1])
                for row in range(RANK):
                    still = torch.equal(now[:, row], old[:, row])
                    # At the very first step B is 0, so A has no gradient yet, and decay alone moves it.
                    assert still != (first <= row < rank), (mode, event.step, name, rank, row)
                    moved[row] += not still
                before[name] = tensor.detach().clone()
        assert all(moved[row] for row in range(RANK))


def test_frozen_trains_all_of_the_lowest_rank(new_task):
    task = new_task(mode="frozen", low=3, seed=2)
    for event in train(task, Settings(steps=12, learning_rate=0.02, seed=1)):
        assert event.metrics["rank"] in (3.0, 4.0)
    for name, tensor in task.parameters().items():
        if name.endswith(".B"):
            assert tensor.detach().view(-1, RANK, tensor.shape[1]).any(2).all()


def test_a_resumed_run_is_the_undisturbed_one(new_task, tmp_path):
    settings = Settings(steps=12, learning_rate=0.02, seed=1, checkpoint_seconds=1e9)
    whole, halved = new_task(seed=2, name="whole"), new_task(seed=2, name="halved")
    for _ in train(whole, settings):
        pass
    mailbox, checkpoints = Mailbox(), Checkpoints(tmp_path)
    for event in train(halved, settings, checkpoints, mailbox):
        if isinstance(event, StepDone) and event.step == 7:
            mailbox.post("pause")
    found = checkpoints.newest()
    assert found.step == 7
    again = new_task(seed=2, name="again")
    for _ in train(again, settings, resume=found.tensors):
        pass
    for mine, other in zip(again.parameters().values(), whole.parameters().values(), strict=True):
        assert torch.equal(mine, other)


def test_every_prefix_is_pefts_adapter_of_that_rank(new_task, model, tiny_base_folder, tmp_path):
    from peft import PeftModel
    from transformers import LlamaForCausalLM

    task = new_task(alpha=8.0)
    run(task, 40)
    task.save(tmp_path / "nested")
    task.close()
    adapter = read_adapter(tmp_path / "nested")
    assert adapter.kind == "dylora"
    bank = attach(model, {"nested": adapter})
    ids = torch.arange(3, 27)[None]
    for rank in range(1, RANK + 1):
        write_adapter(adapter, tmp_path / f"at-{rank}", rank=rank)
        cut = read_adapter(tmp_path / f"at-{rank}")
        assert (cut.rank, cut.config.alpha, cut.kind) == (rank, 8.0, "dylora")
        theirs = PeftModel.from_pretrained(
            LlamaForCausalLM.from_pretrained(tiny_base_folder), tmp_path / f"at-{rank}"
        ).eval()
        bank.activate({"nested": 1.0})
        bank.set_rank("nested", rank)
        with torch.no_grad():
            ours, wanted = model(ids).logits, theirs(ids).logits
        assert (ours - wanted).abs().max() / wanted.abs().max() < 1e-5
    bank.detach()
    with pytest.raises(AdapterError, match="trained at every rank"):
        svd_order(adapter)


def test_ranks_below_the_lowest_are_not_its_own(new_task, model, tmp_path):
    task = new_task(low=2)
    run(task, 2)
    task.save(tmp_path / "nested")
    task.close()
    adapter = read_adapter(tmp_path / "nested")
    assert (adapter.low, adapter.rank) == (2, RANK)
    with pytest.raises(StudioError, match=f"nested was trained at ranks 2 to {RANK}, not 1") as refused:
        write_adapter(adapter, tmp_path / "cut", rank=1)
    assert refused.value.code == "usage" and refused.value.hint
    bank = attach(model, {"nested": adapter})
    bank.activate({"nested": 1.0})
    with pytest.raises(StudioError, match="not 1"):
        bank.set_rank("nested", 1)
    bank.detach()
    write_adapter(adapter, tmp_path / "cut", rank=2)
    assert (read_adapter(tmp_path / "cut").low, read_adapter(tmp_path / "cut").rank) == (2, 2)
    with pytest.raises(StudioError, match="cut was trained at rank 2 alone, not 1"):
        write_adapter(read_adapter(tmp_path / "cut"), tmp_path / "again", rank=1)


def test_a_file_that_does_not_say_how_it_scales_is_refused(new_task, tmp_path):
    task = new_task()
    run(task, 2)
    task.save(tmp_path / "nested")
    card = tmp_path / "nested" / "studio.json"
    for text, words in (
        ('{"kind": "dylora"}', "does not say how its scale changes"),
        ('{"kind": "dylora", "scaling": "constant"}', "says 'constant' of how"),
        ('{"scaling": "alpha/rank"}', "does not say of which kind it is"),
        ('{"kind": "dylora", "scaling": "alpha/rank", "ranks": ["1", "2", "3", "4"]}', "its factors have"),
        ('{"kind": "dylora", "scaling": "alpha/rank", "ranks": [1, 2.0, 3, 4]}', "its factors have 1 to 4"),
        ('{"kind": "dylora", "scaling": "alpha/rank", "ranks": [1, 2, 3, 4, 5]}', "its factors have 1 to 4"),
    ):
        card.write_text(text)
        with pytest.raises(AdapterError, match=words):
            read_adapter(tmp_path / "nested")
