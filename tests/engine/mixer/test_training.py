"""Training a router: it learns which expert to use, changes nothing else, and needs no studio."""

import pytest
import torch

from engine.formats.dataset import Row
from engine.formats.errors import StudioError
from engine.formats.mix_card import mix_readme
from engine.formats.mix_file import read_mix_card
from engine.lora import new_adapter, read_adapter, svd_order, write_adapter
from engine.mixer import load_mix
from engine.mixer.training import RouterTask
from engine.training import Settings, StepDone, train
from engine.training.play import play


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
    assert mix.trained["examples"] == len(rows) and len(mix.trained["data"]) == 64
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


def opposed(setting):
    _, tasks, experts = setting
    return [row for pair in zip(*tasks.values(), strict=True) for row in pair], experts


@pytest.mark.parametrize(
    "options",
    [
        {"router_share": "group"},
        {"router_share": "layer", "band_weight": 0.05},
        {"gates": "hard", "entropy_weight": -0.01},
        {"activation": "sigmoid"},
        {"start": "prototypes"},
    ],
    ids=str,
)
def test_every_kind_learns(setting, tiny_tokenizer, tmp_path, options):
    model = setting[0]
    rows, experts = opposed(setting)
    task = RouterTask(model, tiny_tokenizer, rows, experts, batch_size=40, **options)
    curve = metrics(task, 60)
    assert curve[-1]["task_loss"] < 0.7 * curve[0]["task_loss"]
    assert curve[0]["entropy"] > 0.5 and curve[-1]["spread"] > curve[0]["spread"]
    result = task.save(tmp_path / "mix")
    assert result["warning"] == task.watch.warning() == ""
    task.close()
    bank, router, mix = load_mix(tmp_path / "mix", model)
    bank.detach()
    assert mix.made == "trained" and mix.warning == ""
    assert read_mix_card(tmp_path / "mix").gates == options.get("gates", "soft")
    assert (router.share, router.activation) == (task.router.share, task.router.activation)
    assert torch.equal(router.columns(0), task.router.columns(0))


def test_hard_gates_are_heard_alone_and_counted_by_what_they_choose_from(setting, tiny_tokenizer):
    rows, experts = opposed(setting)
    task = RouterTask(setting[0], tiny_tokenizer, rows, experts, gates="hard")
    with torch.no_grad():
        for V in task.router.V:
            V.normal_(0.0, 0.05, generator=torch.Generator().manual_seed(0))
    heard = []
    close, tape = task.gates.tape.close, task.gates.tape
    tape.close = lambda: (close(), heard.append(tape.gates[-1].detach()))
    loss = task.loss([0, 1, 2])
    assert set(heard[0].unique().tolist()) == {0.0, 1.0} and bool((heard[0].sum(-1) == 1).all())
    assert loss.metrics["entropy"] > 0.9  # of the softmax, not of the choice
    loss.value.backward()
    assert all(V.grad.abs().sum() > 0 for V in task.router.V)
    task.close()


def test_one_expert_alone_is_called_by_its_name(setting, tiny_tokenizer, tmp_path):
    """Rows of one task: collapse, and said. Rows of both (above): no alarm."""
    model, tasks, experts = setting
    task = RouterTask(model, tiny_tokenizer, tasks["first"], experts, batch_size=40)
    metrics(task, 60)
    result = task.save(tmp_path / "mix")
    task.close()
    assert result["warning"].startswith("first has") and "collapsed" in result["warning"]
    assert read_mix_card(tmp_path / "mix").warning == result["warning"]


def test_a_router_that_cannot_learn_is_told_apart(setting, tiny_tokenizer, tmp_path):
    rows, experts = opposed(setting)
    task = RouterTask(setting[0], tiny_tokenizer, rows, experts)
    assert "same for every token" in task.save(tmp_path / "mix")["warning"]
    task.close()


def test_a_mix_without_training(setting, tiny_tokenizer, tmp_path):
    model, _, experts = setting
    task = RouterTask(model, tiny_tokenizer, [], experts, start="prototypes")
    assert list(train(task, Settings(steps=0, learning_rate=0.0))) == []
    result = task.save(tmp_path / "mix")
    task.close()
    assert (result["usage"], result["warning"]) == ({}, "")
    bank, router, mix = load_mix(tmp_path / "mix", model)
    bank.detach()
    assert mix.made == "prototypes" and router.absolute and router.remembers
    with pytest.raises(StudioError, match="sigmoid does not"):
        RouterTask(model, tiny_tokenizer, [], experts, start="prototypes", activation="sigmoid")
    with pytest.raises(StudioError, match="first brings no gate"):
        RouterTask(model, tiny_tokenizer, [], experts, start="gates")
    assert not model._forward_hooks


def test_an_expert_joins_a_trained_mix(setting, tiny_tokenizer, tmp_path):
    model, tasks, experts = setting
    only = {"first": experts["first"]}
    task = RouterTask(model, tiny_tokenizer, tasks["first"], only, batch_size=20)
    metrics(task, 10)
    one = task.router.requires_grad_(False)
    task.close()
    rows, _ = opposed(setting)
    task = RouterTask(model, tiny_tokenizer, rows, experts, batch_size=40, extend=one)
    curve = metrics(task, 60)
    assert curve[-1]["task_loss"] < 0.6 * curve[0]["task_loss"]
    task.save(tmp_path / "mix")
    task.close()
    bank, router, mix = load_mix(tmp_path / "mix", model)
    bank.detach()
    assert mix.made == "extended" and router.experts == ("first", "last", "null")
    assert torch.equal(router.V[3][:, [0, 2]], one.V[3])


@pytest.mark.parametrize("router_input", ["local", "context"])
@pytest.mark.parametrize("kind", ["mamba", "gpt2"])
def test_other_architectures_learn(kind, router_input, tiny_tokenizer):
    from transformers import GPT2Config, GPT2LMHeadModel, MambaConfig, MambaForCausalLM

    size = len(tiny_tokenizer)
    torch.manual_seed(0)
    if kind == "mamba":
        model = MambaForCausalLM(
            MambaConfig(vocab_size=size, hidden_size=16, state_size=4, num_hidden_layers=2)
        )
    else:
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=size,
                n_embd=16,
                n_layer=2,
                n_head=2,
                n_positions=32,
                bos_token_id=1,
                eos_token_id=2,
            )
        )
    experts = {}
    for number in range(2):
        experts[f"e{number}"] = new_adapter(model, 2, seed=number, name=f"e{number}")
        for factors in experts[f"e{number}"].factors.values():
            factors.B.normal_(0.0, 2.0, generator=torch.Generator().manual_seed(number))
    rows = [Row("ab:", "ba"), Row("abc:", "cb"), Row("b", "a")] * 4
    task = RouterTask(model, tiny_tokenizer, rows, experts, router_input=router_input, batch_size=12)
    curve = metrics(task, 25)
    assert curve[-1]["task_loss"] < 0.98 * curve[0]["task_loss"]
    silent = [path for path, V in task.parameters().items() if not V.any()]
    assert all(path.endswith("dt_proj") for path in silent)  # which Mamba reads without calling it
    task.close()


def test_a_router_over_cut_experts_is_that_over_exported_ones_and_the_mix_keeps_their_ranks(
    setting, tiny_tokenizer, tmp_path
):
    model, tasks, experts = setting
    rows = [row for pair in zip(*tasks.values(), strict=True) for row in pair]
    write_adapter(svd_order(experts["first"]), tmp_path / "first", rank=2)
    exported = experts | {"first": read_adapter(tmp_path / "first")}
    ids = torch.randint(1, 40, (2, 7), generator=torch.Generator().manual_seed(1))
    heard = []
    for name, these, ranks in (("cut", experts, {"first": 2}), ("exported", exported, {})):
        task = RouterTask(model, tiny_tokenizer, rows, these, batch_size=40, ranks=ranks, name=name)
        metrics(task, 8)
        task.save(tmp_path / name)
        with (
            torch.no_grad(),
            play(task.bank, task.bank.new_gates(dict.fromkeys(these, 1.0), router=task.router)),
        ):
            heard.append(model(ids).logits)
        task.close()
        bank, router, mix = load_mix(tmp_path / name, model)
        with torch.no_grad(), play(bank, bank.new_gates(dict.fromkeys(mix.experts, 1.0), router=router)):
            torch.testing.assert_close(model(ids).logits, heard[-1], rtol=1e-5, atol=1e-5)
        bank.detach()
    torch.testing.assert_close(*heard, rtol=1e-5, atol=1e-5)
    card = read_mix_card(tmp_path / "cut")
    assert (card.ranks, card.kinds) == ({"first": (1, 2), "last": (1, 6)}, {"first": "svd", "last": "lora"})
    assert mix_readme(tmp_path / "cut").count("cut to rank: first") == 1
    with pytest.raises(StudioError, match="first has ranks 1 to 6, not 7"):
        RouterTask(model, tiny_tokenizer, rows, experts, ranks={"first": 7})
