"""Training a router: it learns which expert to use, changes nothing else, and needs no studio."""

import pytest
import torch

from engine.formats.dataset import Row
from engine.mixer import load_mix
from engine.mixer.training import RouterTask
from engine.training import LoraTask, Settings, StepDone, train


@pytest.fixture(scope="module")
def setting(tiny_base_folder, tiny_tokenizer):
    """A base, two tasks that the first character tells apart, and an expert for each."""
    import random

    from transformers import LlamaForCausalLM

    torch.set_num_threads(1)
    model = LlamaForCausalLM.from_pretrained(tiny_base_folder)
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefgh", k=3)) for _ in range(40)]
    tasks = {
        "first": [Row(f"1{word}:", word[0] * 2) for word in words],
        "last": [Row(f"2{word}:", word[-1] * 3) for word in words],
    }
    experts = {}
    for name, rows in tasks.items():
        task = LoraTask(model, tiny_tokenizer, rows, rank=6, batch_size=20, name=name)
        for _ in train(task, Settings(steps=150, learning_rate=0.02)):
            pass
        experts[name] = task.bank.read(name)
        task.close()
    return model, tasks, experts


def metrics(task, steps):
    return [
        e.metrics for e in train(task, Settings(steps=steps, learning_rate=0.05)) if isinstance(e, StepDone)
    ]


@pytest.mark.parametrize("router_input", ["local", "context"])
def test_the_router_learns_and_everything_else_stays(setting, tiny_tokenizer, tmp_path, router_input):
    model, tasks, experts = setting
    rows = [row for pair in zip(*tasks.values(), strict=True) for row in pair]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    task = RouterTask(
        model, tiny_tokenizer, rows, experts, router_input=router_input, batch_size=40, name="mix"
    )
    curve = metrics(task, 60)
    assert curve[-1]["task_loss"] < 0.5 * curve[0]["task_loss"]
    assert (
        curve[-1]["entropy"]
        < curve[0]["entropy"]
        == pytest.approx(torch.log(torch.tensor(3.0)).item(), rel=1e-3)
    )
    shares = [curve[-1][f"load.{name}"] for name in ("first", "last", "null")]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    result = task.save(tmp_path / "mix")
    assert result["router_parameters"] == task.router.size
    assert sum(result["usage"].values()) == pytest.approx(1, abs=1e-5)
    task.close()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    bank, router, mix = load_mix(tmp_path / "mix", model)
    bank.detach()
    assert mix.usage == pytest.approx(result["usage"])
    assert torch.equal(router.V[0], task.router.V[0])


def test_padding_never_reaches_the_statistics(setting, tiny_tokenizer):
    """Metrics of a padded batch are the token-weighted mean of its rows alone."""
    model, _, experts = setting
    rows = [Row("1abc:", "aa"), Row("2", "b"), Row("1hhhhhhhhhhhh:", "hh")]
    task = RouterTask(model, tiny_tokenizer, rows, experts)
    with torch.no_grad():
        for V in task.router.V:
            V.copy_(torch.randn(V.shape, generator=torch.Generator().manual_seed(0)))
        alone = [task.loss([number]) for number in range(3)]
        together = task.loss([0, 1, 2])
    assert together.tokens == sum(loss.tokens for loss in alone)
    for name in ("entropy", "load.first", "load.null"):
        expected = sum(loss.metrics[name] * loss.tokens for loss in alone) / together.tokens
        assert together.metrics[name] == pytest.approx(expected, rel=1e-4)
    task.close()


def test_at_most_max_examples_are_drawn_from_the_whole_file(setting, tiny_tokenizer):
    model, tasks, experts = setting
    rows = [*tasks["first"], *tasks["last"]]
    draw = lambda seed: RouterTask(model, tiny_tokenizer, rows, experts, max_examples=20, seed=seed)  # noqa: E731
    chosen, again, other = (draw(seed) for seed in (0, 0, 1))
    assert len(chosen.examples) == 20
    assert chosen.examples == again.examples != other.examples
    firsts = sum("1" in tiny_tokenizer.decode(example.ids) for example in chosen.examples)
    assert 4 <= firsts <= 16
    for task in (chosen, again, other):
        task.close()
