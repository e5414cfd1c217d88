"""Joint training: each expert learns its own rows, then the router learns too; on Llama and on Mamba."""

from __future__ import annotations

import copy
import dataclasses
import random
import shutil

import pytest
import torch
from peft import PeftModel

from engine.formats.dataset import Row
from engine.formats.errors import AdapterError, StudioError
from engine.formats.mix_file import read_mix, read_mix_card
from engine.lora import attach, new_adapter, read_adapter
from engine.mixer import load_mix
from engine.mixer.joint import JointTask
from engine.training import Checkpoints, Mailbox, Settings, StepDone, train
from engine.training.play import play
from engine.training.text import collate, completion_logits, completion_loss, encode

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def rows():
    """Two tasks that the first character tells apart."""
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefgh", k=3)) for _ in range(40)]
    return {
        "first": [Row(f"1{word}:", word[0] * 2) for word in words],
        "last": [Row(f"2{word}:", word[-1] * 3) for word in words],
    }


@pytest.fixture
def llama(tiny_base_folder):
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(tiny_base_folder)


@pytest.fixture
def mamba(tiny_tokenizer):
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    config = MambaConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        state_size=4,
        num_hidden_layers=2,
        initializer_range=0.5,
        use_mambapy=False,
    )
    return MambaForCausalLM(config)


def curve(task, steps, rate=0.02):
    events = train(task, Settings(steps=steps, learning_rate=rate, warmup=0.1))
    return [event.metrics for event in events if isinstance(event, StepDone)]


@pytest.mark.parametrize(
    ("base", "share", "input"), [("llama", "layer", "context"), ("mamba", "projection", "context")]
)
@pytest.mark.filterwarnings("ignore::FutureWarning:transformers")
def test_both_stages_learn_and_the_mix_is_an_ordinary_one(
    request, rows, tiny_tokenizer, tmp_path, base, share, input
):
    model = request.getfixturevalue(base)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    task = JointTask(
        model,
        tiny_tokenizer,
        rows,
        rank=12,
        steps=120,
        hard_share=0.5,
        learning_rate=0.02,
        router_learning_rate=0.05,
        router_input=input,
        router_share=share,
        batch_size=20,
        name="pair",
        base="tiny",
    )
    seen = curve(task, 120)
    hard, soft = seen[:60], seen[60:]
    assert {m["stage"] for m in hard} == {1} and {m["stage"] for m in soft} == {2}
    assert hard[-1]["task_loss"] < 0.3 * hard[0]["task_loss"]
    assert soft[0]["task_loss"] > hard[-1]["task_loss"]
    assert soft[-1]["task_loss"] < 0.3 * hard[0]["task_loss"]
    assert soft[-1]["entropy"] < soft[0]["entropy"]
    assert {"loss.first", "loss.last", "load.null", "preserve"} <= set(soft[-1])
    result = task.save(tmp_path / "pair")
    assert result["warning"] == ""
    with torch.no_grad():
        expected = task.loss(range(6)).metrics["task_loss"]
    task.close()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    card = read_mix_card(tmp_path / "pair")
    assert (card.made, card.experts, card.router_share) == ("joint", ["first", "last"], share)
    assert card.usage == pytest.approx(result["usage"])
    # The folder alone, carried elsewhere, gives the same answers on the same base.
    shutil.copytree(tmp_path / "pair", tmp_path / "elsewhere" / "pair")
    shutil.rmtree(tmp_path / "pair")
    bank, router, mix = load_mix(tmp_path / "elsewhere" / "pair", model, "tiny")
    assert mix.trained["examples"] == 80 and mix.trained["data"].keys() == {"first", "last"}
    batch = collate(encode(tiny_tokenizer, rows["first"][:6]))
    with torch.no_grad(), play(bank, bank.new_gates({"first": 1.0, "last": 1.0}, router=router)):
        logits = completion_logits(model, batch)
    assert float(completion_loss(logits, batch)) == pytest.approx(expected, rel=1e-5)
    bank.detach()
    folder = tmp_path / "elsewhere" / "pair" / "experts" / "first"
    theirs = PeftModel.from_pretrained(copy.deepcopy(model), folder).eval()
    alone = attach(model, {"first": read_adapter(folder)})
    with torch.no_grad(), play(alone, alone.new_gates({"first": 1.0})):
        ours = model(input_ids=batch.ids).logits
    torch.testing.assert_close(ours, theirs(input_ids=batch.ids).logits, rtol=1e-4, atol=1e-5)


def small(model, tokenizer, rows, **options):
    settings = {"rank": 2, "steps": 20, "batch_size": 16, "hard_share": 0.5}
    return JointTask(model, tokenizer, rows, **settings | options)


def loud(model, name, rank, targets=()):
    adapter = new_adapter(model, rank, targets=targets, name=name)
    for index, item in enumerate(adapter.factors.values()):
        item.B.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(index + rank))
    return adapter


def test_in_the_hard_stage_a_row_is_read_by_its_own_expert_alone(llama, rows, tiny_tokenizer):
    start = {"first": loud(llama, "a", 3), "last": loud(llama, "b", 2, ["q_proj", "down_proj"])}
    task = small(llama, tiny_tokenizer, rows, start=start)
    mixed = [0, 45, 1, 46]
    loss = task.loss(mixed)
    apart = {}
    for name, numbers in {"first": [0, 1], "last": [45, 46]}.items():
        batch, _ = task._batch(numbers)
        with torch.no_grad(), play(task.bank, task.bank.new_gates({name: 1.0})):
            apart[name] = float(completion_loss(completion_logits(llama, batch), batch))
    assert loss.metrics["loss.first"] == pytest.approx(apart["first"], rel=1e-5)
    assert loss.metrics["loss.last"] == pytest.approx(apart["last"], rel=1e-5)
    assert loss.metrics["entropy"] == loss.metrics["load.null"] == 0
    # Rows of one domain alone move nothing of the other's expert, nor the router.
    task.loss([0, 1]).value.backward()
    others = task.bank.read("last")
    for path in others.factors:
        rank = start["first"].factors[path].rank
        B = task.bank.named_parameters()[f"{path}.B"].grad
        assert bool(B[:rank].any()) and not bool(B[rank:].any())
    assert all(V.grad is None for V in task.router.V)
    task.close()


def test_preservation_holds_the_experts(llama, rows, tiny_tokenizer):
    def moved(weight):
        task = small(llama, tiny_tokenizer, rows, preserve_weight=weight)
        last = curve(task, 20)[-1]
        now = task.bank.named_parameters()
        distance = sum(float((now[n].detach() - was).square().sum()) for n, was in task.anchor.items())
        assert last["preserve"] == pytest.approx(weight * distance, rel=0.5)
        task.close()
        return distance

    free, held = moved(0.0), moved(10.0)
    assert 0 < held < 0.05 * free


@pytest.mark.parametrize("stop", [4, 10, 11, 17])
def test_an_interrupted_run_ends_with_the_same_bits(llama, rows, tiny_tokenizer, tmp_path, stop):
    settings = Settings(steps=20, learning_rate=0.02)
    whole = small(llama, tiny_tokenizer, rows)
    losses = [e.metrics["loss"] for e in train(whole, settings) if isinstance(e, StepDone)]
    expected = {name: tensor.detach().clone() for name, tensor in whole.parameters().items()}
    whole.close()
    checkpoints, mailbox = Checkpoints(tmp_path), Mailbox()
    first = small(llama, tiny_tokenizer, rows)
    for event in train(first, settings, checkpoints, mailbox):
        if isinstance(event, StepDone) and event.step == stop:
            mailbox.post("pause")
    first.close()
    found = checkpoints.newest()
    assert found.step == stop
    # What each expert was when the hard stage ended lies beside the parameters.
    assert any(name.startswith("beside.") for name in found.tensors) == (stop > 10)
    again = small(llama, tiny_tokenizer, rows)
    events = train(again, settings, checkpoints, resume=found.tensors)
    assert [e.metrics["loss"] for e in events if isinstance(e, StepDone)] == losses[stop:]
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.parameters().items())
    again.close()


def test_ended_in_the_hard_stage_it_says_so(llama, rows, tiny_tokenizer, tmp_path):
    task = small(llama, tiny_tokenizer, rows)
    mailbox = Mailbox()
    for event in train(task, Settings(steps=20, learning_rate=0.02), mailbox=mailbox):
        if isinstance(event, StepDone) and event.step == 3:
            mailbox.post("keep")
    assert "the router has learned nothing" in task.save(tmp_path / "early")["warning"]
    task.close()
    assert read_mix(tmp_path / "early").warning


def test_what_cannot_be_trained_is_refused(llama, rows, tiny_tokenizer):
    with pytest.raises(StudioError, match="hard stage"):
        small(llama, tiny_tokenizer, rows, hard_share=1.0)
    plain = loud(llama, "a", 2)
    items = {
        path: dataclasses.replace(item, magnitude=torch.ones(len(item.B)))
        for path, item in plain.factors.items()
    }
    with pytest.raises(AdapterError, match="cannot be trained further"):
        small(llama, tiny_tokenizer, rows, start={"first": dataclasses.replace(plain, factors=items)})
    owner = dataclasses.replace(plain, replaced={"lm_head.weight": torch.ones(40, 32)})
    with pytest.raises(AdapterError, match="replaces parameters"):
        small(llama, tiny_tokenizer, rows, start={"first": owner})
