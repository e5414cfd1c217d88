"""Experts that come later and experts that leave: what stays is bit for bit what it was."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaForCausalLM

from engine.formats.errors import StudioError
from engine.formats.files import atomic_folder
from engine.lora import attach
from engine.mixer import NULL, Router, load_mix, save_mix
from engine.mixer.mix_file import drop_expert


def opinionated(bank, **settings):
    router = Router(bank.layout(), bank.experts, groups=bank.groups(), **settings)
    for index, V in enumerate(router.V):
        V.data.normal_(0.0, 0.7, generator=torch.Generator().manual_seed(index))
    return router


def some(experts, *names):
    return {name: experts[name] for name in names}


def logits(model, bank, router, ids):
    bank.gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)
    with torch.no_grad():
        return model(ids).logits


KINDS = [
    {},
    {"input": "local", "null": False},
    {"share": "group"},
    {"share": "layer"},
    {"activation": "sigmoid"},
]


@pytest.mark.parametrize("settings", KINDS, ids=str)
def test_only_new_columns_learn(llama, experts, ids, settings):
    bank = attach(llama, some(experts, "e0", "e1"))
    old = opinionated(bank, **settings)
    before = [old.columns(gate).detach().clone() for gate in range(len(old.V))]
    bank.detach()
    bank = attach(llama, experts)
    router = old.extended(bank.layout(), tuple(experts), bank.groups())
    bank.gates = bank.new_gates(dict.fromkeys(experts, 1.0), router=router)
    optimizer = torch.optim.AdamW(router.parameters(), lr=0.05, weight_decay=0.5)
    for _ in range(5):
        optimizer.zero_grad()
        llama(ids, labels=ids).loss.backward()
        optimizer.step()
    stays = [0, 1, *([3] if router.null else [])]
    assert router.experts[:3] == ("e0", "e1", "e2")
    assert router.size == sum(V[:, :1].numel() for V in router.V)
    for gate, was in enumerate(before):
        now = router.columns(gate)
        assert torch.equal(now[:, stays], was)
        reached = any("q_proj" in path or "down_proj" in path for path in router.serves[gate])
        assert bool(now[:, 2].any()) is reached  # e2 adapts no other projection
    assert all(torch.equal(old.columns(gate), was) for gate, was in enumerate(before))


@pytest.mark.parametrize("settings", KINDS, ids=str)
def test_a_newcomer_that_is_muted_was_never_there(llama, experts, ids, settings, tmp_path):
    """The old mix, the extended one with the newcomer muted, and the one that it has left again."""
    bank = attach(llama, some(experts, "e0", "e1"))
    old = opinionated(bank, **settings)
    expected = logits(llama, bank, old, ids)
    bank.detach()
    bank = attach(llama, experts)
    router = old.extended(bank.layout(), tuple(experts), bank.groups())
    for V in router.V:
        V.data.normal_(0.0, 0.7)
    assert torch.allclose(logits(llama, bank, router.play(muted=["e2"]), ids), expected, atol=1e-5)
    heard = logits(llama, bank, router, ids)
    assert not torch.allclose(heard, expected, atol=1e-3)
    with atomic_folder(tmp_path / "more") as work:
        save_mix(work, router, bank, name="more", base="tiny", made="extended")
    bank.detach()
    bank, loaded, mix = load_mix(tmp_path / "more", llama, "tiny")
    assert mix.made == "extended" and type(loaded) is Router
    assert torch.equal(logits(llama, bank, loaded, ids), heard)
    bank.detach()
    card = drop_expert(tmp_path / "more", "e2", llama, tmp_path / "less", name="less")
    assert (card.experts, card.made, card.name) == (["e0", "e1"], "dropped", "less")
    bank, loaded, _ = load_mix(tmp_path / "less", llama, "tiny")
    assert torch.equal(logits(llama, bank, loaded, ids), expected)


@pytest.mark.parametrize("gone", ["e0", "e1", "e2"])
def test_the_others_share_the_part_of_one_that_left(llama, experts, ids, gone, tmp_path):
    bank = attach(llama, experts)
    router = opinionated(bank)
    expected = logits(llama, bank, router.play(muted=[gone]), ids)
    with atomic_folder(tmp_path / "all") as work:
        save_mix(work, router, bank, name="all", base="tiny")
    bank.detach()
    drop_expert(tmp_path / "all", gone, llama, tmp_path / "rest", name="rest")
    assert not llama._forward_hooks
    bank, loaded, mix = load_mix(tmp_path / "rest", llama)
    assert gone not in loaded.experts and set(mix.modules) == set(bank.modules)
    assert torch.allclose(logits(llama, bank, loaded, ids), expected, atol=1e-5)


def test_a_newcomer_where_nobody_was(llama, experts, ids):
    """e0 adapts every projection, e1 only two kinds: on the others e0 is held against the null expert."""
    bank = attach(llama, some(experts, "e1"))
    old = opinionated(bank)
    bank.detach()
    bank = attach(llama, some(experts, "e1", "e0"))
    router = old.extended(bank.layout(), ("e1", "e0"), bank.groups())
    up = router.paths.index("model.layers.0.mlp.up_proj")
    assert not router.columns(up).any() and router.V[up].requires_grad
    bank.gates = bank.new_gates({"e1": 1.0, "e0": 1.0}, router=router)
    llama(ids, labels=ids).loss.backward()
    assert router.V[up].grad.abs().sum() > 0
    bank.detach()
    bank = attach(llama, some(experts, "e1"))
    lonely = opinionated(bank, null=False)
    bank.detach()
    bank = attach(llama, some(experts, "e1", "e0"))
    with pytest.raises(StudioError, match="without a null expert can never be silent"):
        lonely.extended(bank.layout(), ("e1", "e0"), bank.groups())


def test_a_gate_goes_on_reading_its_own_input(llama, experts, ids):
    """e1 starts at the attention's input, e2 reads q_proj and down_proj; a layer's gate cannot move."""
    bank = attach(llama, some(experts, "e2"))
    old = Router(
        bank.layout(),
        ("e2",),
        share="layer",
        groups=[
            ("model.layers.0.mlp.down_proj",),
            ("model.layers.0.self_attn.q_proj",),
            ("model.layers.1.mlp.down_proj",),
            ("model.layers.1.self_attn.q_proj",),
        ],
    )
    bank.detach()
    bank = attach(llama, some(experts, "e2", "e0"))
    with pytest.raises(StudioError, match="would read"):
        old.extended(bank.layout(), ("e2", "e0"), bank.groups())


def test_what_cannot_be(llama, experts):
    bank = attach(llama, experts)
    router = Router(bank.layout(), bank.experts, share="layer", groups=bank.groups())
    layout, groups = bank.layout(), bank.groups()
    for names in (("e0", "e1"), ("e1", "e0", "e2", "e3"), bank.experts):
        with pytest.raises(StudioError, match="new ones come after"):
            router.extended(layout, names, groups)
    with pytest.raises(StudioError, match="no expert e9"):
        router.without("e9")
    with pytest.raises(StudioError, match="no expert null"):
        router.without(NULL)
    with pytest.raises(StudioError, match="only expert"):
        Router({path: (d_in, ["e0"]) for path, (d_in, _) in layout.items()}, ["e0"]).without("e0")
    with pytest.raises(StudioError, match="which only e0 adapts"):
        late = {
            path: (d_in, [n for n in names if n == "e0" or "down" in path])
            for path, (d_in, names) in layout.items()
        }
        Router(late, bank.experts, share="layer", groups=groups).without("e0")
    with pytest.raises(StudioError, match=r"groups=bank\.groups"):
        Router(layout, bank.experts, share="group")


def test_a_base_whose_layers_read_one_text(llama, experts):
    paths = ["decoder.block.0.k", "decoder.block.1.k"]
    with pytest.raises(StudioError, match="no gate of"):
        Router({path: (4, ["a"]) for path in paths}, ["a"], share="layer", groups=[paths])


def test_a_layer_that_reads_other_tokens_is_refused(llama, experts, ids):
    """The first projection of the layer sees two rows, the others one."""
    bank = attach(llama, experts)
    router = opinionated(bank, share="layer", input="local")
    bank.gates = bank.new_gates(dict.fromkeys(experts, 1.0), router=router)
    handle = llama.model.layers[0].mlp.register_forward_pre_hook(lambda module, args: (args[0][:1],))
    with pytest.raises(StudioError, match="other tokens"):
        llama(ids)
    handle.remove()
    assert llama(ids).logits.isfinite().all()
    assert isinstance(llama, LlamaForCausalLM)
