"""DoRA, biases, embeddings and replaced modules under gates, ranks and routers; bases that are no Llama."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers
from torch import nn

from engine.formats.errors import AdapterError, StudioError
from engine.lora import Adapter, Factors, Tape, attach, new_adapter
from engine.lora.dora import row_scales
from engine.mixer import Router

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.3


@pytest.fixture
def mamba() -> nn.Module:
    torch.manual_seed(0)
    config = transformers.MambaConfig(
        vocab_size=64, hidden_size=32, state_size=8, num_hidden_layers=2, pad_token_id=0
    )
    return transformers.MambaForCausalLM(config).eval().requires_grad_(False)


@pytest.fixture
def t5() -> nn.Module:
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=64, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    return transformers.T5ForConditionalGeneration(config).eval().requires_grad_(False)


def plain(model: nn.Module, targets: list[str], seed: int = 0, rank: int = 4) -> Adapter:
    adapter = new_adapter(model, rank, targets=targets, seed=seed)
    for number, factors in enumerate(adapter.factors.values()):
        factors.B.copy_(noise(*factors.B.shape, seed=100 * seed + number))
    return adapter


def dora(model: nn.Module, targets: list[str], seed: int = 0) -> Adapter:
    adapter = plain(model, targets, seed)
    factors = {}
    for path, f in adapter.factors.items():
        norm = model.get_submodule(path).weight.norm(dim=1)
        factors[path] = Factors(f.A, f.B, f.scale, norm * (1 + noise(len(norm), seed=seed)))
    return Adapter("dora", adapter.config, factors)


def words(model: nn.Module, seed: int = 0) -> Adapter:
    """A LoRA on the token embeddings."""
    table = model.get_input_embeddings()
    path = next(path for path, module in model.named_modules() if module is table)
    A, B = noise(3, table.num_embeddings, seed=seed), noise(table.embedding_dim, 3, seed=seed + 1)
    config = new_adapter(model, 3).config
    return Adapter("words", config, {path: Factors(A, B, 0.5, embedding=True)})


def merged(model: nn.Module, adapter: Adapter, weight: float, rank: int | None = None) -> nn.Module:
    """The same function with dense weights, in float64; a copy without the hooks of a bank."""
    there, model = model, type(model)(model.config).eval().requires_grad_(False)
    model.load_state_dict(there.state_dict())
    model = model.double()
    for path, f in adapter.factors.items():
        W = model.get_submodule(path).weight
        whole = W + f.scale * f.B[:, :rank].double() @ f.A[:rank].double()
        if f.magnitude is not None:
            whole = f.magnitude.double()[:, None] * whole / whole.norm(dim=1, keepdim=True)
        W.data += weight * (whole - W)
    return model


@pytest.mark.parametrize("rank", [None, 4, 3, 1])
def test_a_dora_cut_to_a_rank_keeps_its_magnitude(llama, ids, apart, rank):
    adapter = dora(llama, ["q_proj", "down_proj"])
    bank = attach(llama, {"a": adapter})
    bank.activate({"a": 0.7})
    bank.set_rank("a", 2)
    bank.set_rank("a", rank)
    assert apart(llama(ids).logits, merged(llama, adapter, 0.7, rank)(ids).logits) < 1e-6


def test_two_ranks_of_one_dora_do_not_disturb_each_other(llama, ids, apart):
    adapter = dora(llama, ["q_proj"])
    bank = attach(llama, {"a": adapter})
    whole, cut = bank.new_gates({"a": 1.0}), bank.new_gates({"a": 1.0}, {"a": 1})
    for gates, rank in ((cut, 1), (whole, None), (cut, 1)):
        bank.gates = gates
        assert apart(llama(ids).logits, merged(llama, adapter, 1.0, rank)(ids).logits) < 1e-6
    with pytest.raises(StudioError, match="part of its rank in one row"):
        bank.new_rows([whole, cut])


def test_a_dora_on_rows_without_length_is_refused(llama):
    adapter = dora(llama, ["q_proj"])
    llama.model.layers[1].self_attn.q_proj.weight[3] = 0
    adapter.factors["model.layers.1.self_attn.q_proj"].B[3] = 0
    with pytest.raises(AdapterError, match="no length on this base"):
        attach(llama, {"a": adapter})


def test_row_scales_are_those_of_the_dense_weight(gpt2):
    module = gpt2.transformer.h[0].attn.c_attn
    f = Factors(noise(3, 32), noise(96, 3), 1.5, magnitude=noise(96).abs() + 1)
    for rank, c in enumerate(row_scales(module, f)):
        whole = module.weight.t().double() + 1.5 * f.B[:, :rank].double() @ f.A[:rank].double()
        assert torch.allclose(c, f.magnitude.double() / whole.norm(dim=1), rtol=1e-12)


@pytest.mark.parametrize("kind", ["local", "context"])
def test_a_router_over_embeddings_doras_and_projections(llama, ids, kind, apart):
    """With one expert that speaks at every place and takes all the weight, it is that expert alone."""
    experts = {"words": words(llama), "dora": dora(llama, ["q_proj"]), "plain": plain(llama, ["q_proj"], 3)}
    bank = attach(llama, experts)
    assert bank.layout()["model.embed_tokens"] == (32, ("words",))
    router = Router(bank.layout(), bank.experts, kind, null=False).requires_grad_(False)
    bank.gates = bank.new_gates({"words": 1.0, "dora": 1.0, "plain": 0.0}, router=router)
    tape = bank.gates.tape = Tape()
    even = llama(ids).logits
    shares = dict(zip(tape.modules, tape.gates[-1][0, 0].tolist(), strict=True))
    assert shares["model.embed_tokens"] == [1.0, 0.0, 0.0]
    assert shares["model.layers.0.self_attn.q_proj"] == pytest.approx([0.0, 0.5, 0.5])
    both = merged(llama, experts["dora"], 0.5)
    f = experts["words"].factors["model.embed_tokens"]
    both.model.embed_tokens.weight.data += (f.scale * f.B.double() @ f.A.double()).t()
    assert apart(even, both(ids).logits) < 1e-6


def test_gradients_of_a_router_reach_through_every_kind(llama, ids):
    experts = {"words": words(llama), "dora": dora(llama, ["q_proj"]), "plain": plain(llama, ["q_proj"], 3)}
    bank = attach(llama, experts)
    router = Router(bank.layout(), bank.experts, "context")
    bank.gates = bank.new_gates(dict.fromkeys(experts, 1.0), router=router)
    llama(ids, labels=ids).loss.backward()
    assert all(float(V.grad.abs().sum()) > 0 for V in router.parameters())


def test_only_plain_factors_are_trained(llama):
    for adapter in (dora(llama, ["q_proj"]), words(llama), replacing(llama)):
        with pytest.raises(AdapterError, match="cannot be trained further"):
            attach(llama, {"a": adapter}, trainable=True)


def replacing(model: nn.Module, seed: int = 0) -> Adapter:
    """A LoRA that brings an output head of its own, and the base's own embeddings beside."""
    adapter = plain(model, ["q_proj"], seed)
    head, table = model.lm_head.weight, model.model.embed_tokens.weight
    replaced = {
        "lm_head.weight": head + noise(*head.shape, seed=seed),
        "model.embed_tokens.weight": table.clone(),
    }
    return Adapter("head", adapter.config, adapter.factors, replaced=replaced)


@pytest.mark.parametrize("weight", [1.0, 0.4, -1.0])
def test_a_replaced_head_follows_the_fader(llama, ids, apart, weight):
    adapter = replacing(llama)
    base, before = llama(ids).logits, llama.lm_head.weight.clone()
    bank = attach(llama, {"a": adapter})
    assert [note for note in bank.notes if "lm_head.weight" in note and "fader" in note]
    assert not any("embed_tokens" in note for note in bank.notes)  # it equals the base's own
    bank.activate({"a": weight})
    dense = merged(llama, adapter, weight)
    own = adapter.replaced["lm_head.weight"].double()
    dense.lm_head.weight.data += weight * (own - dense.lm_head.weight)
    assert apart(llama(ids).logits, dense(ids).logits) < 1e-6
    router = Router(bank.layout(), bank.experts, "local", null=False).requires_grad_(False)
    bank.gates = bank.new_gates({"a": weight}, router=router)
    assert apart(llama(ids).logits, dense(ids).logits) < 1e-6  # the router has no say in the head
    bank.gates = bank.new_rows([bank.new_gates({"a": weight}), None])
    rows = llama(ids).logits
    assert torch.allclose(rows[1], base[1], atol=1e-6) and apart(rows[0], dense(ids).logits[0]) < 1e-6
    bank.detach()
    assert torch.equal(llama(ids).logits, base) and torch.equal(llama.lm_head.weight, before)


def test_a_replaced_head_has_one_owner(llama):
    with pytest.raises(AdapterError, match="a and b both replace lm_head of the base; only one"):
        attach(llama, {"a": replacing(llama), "b": replacing(llama, 2)})
    attach(llama, {"a": replacing(llama), "b": plain(llama, ["q_proj"], 2)})


def test_what_a_mamba_reads_without_a_call_is_swapped_and_put_back(mamba, ids, apart):
    """The convolution and dt_proj are never called: their biases count all the same, as under PEFT."""
    adapter = plain(mamba, ["in_proj"])
    names = ("mixer.conv1d.bias", "mixer.dt_proj.bias")
    theirs = {name: p for name, p in mamba.named_parameters() if name.endswith(names)}
    own = {name: p + noise(*p.shape) for name, p in theirs.items()}
    base = mamba(ids).logits
    bank = attach(mamba, {"a": Adapter("a", adapter.config, adapter.factors, replaced=own)})
    bank.activate({"a": 0.5})
    dense = merged(mamba, adapter, 0.5)
    for name, tensor in own.items():
        dense.get_parameter(name).data += 0.5 * (tensor.double() - theirs[name].double())
    assert apart(mamba(ids).logits, dense(ids).logits) < 1e-6
    assert all(mamba.get_parameter(name) is p for name, p in theirs.items())
    bank.gates = bank.new_rows([bank.new_gates({"a": 1.0}), None])
    with pytest.raises(StudioError, match="all rows of a batch share"):
        mamba(ids)
    bank.detach()
    assert torch.equal(mamba(ids).logits, base)


def routed(bank, kind):
    router = Router(bank.layout(), bank.experts, kind).requires_grad_(False)
    for number, V in enumerate(router.V):
        V.copy_(noise(*V.shape, seed=number) * 3)
    bank.gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)


@pytest.mark.parametrize("kind", ["local", "context"])
@pytest.mark.parametrize("sizes", [[11], [6, 1, 1, 1, 1, 1]])
def test_a_router_on_a_mamba_remembers_beside_its_states(mamba, ids, kind, sizes):
    bank = attach(
        mamba, {str(seed): plain(mamba, ["in_proj", "x_proj", "out_proj"], seed) for seed in (1, 2)}
    )
    routed(bank, kind)
    with torch.no_grad():
        full, pieces, cache, done = mamba(ids, use_cache=False).logits, [], None, 0
        for size in sizes:
            out = mamba(ids[:, done : done + size], cache_params=cache, use_cache=True)
            cache, done = out.cache_params, done + size
            pieces.append(out.logits)
        assert torch.allclose(torch.cat(pieces, 1), full, atol=1e-5)
        text = mamba.generate(ids, max_new_tokens=4, do_sample=False, eos_token_id=None)
        bank.gates, gates = None, bank.gates
        foreign = mamba(ids, use_cache=True).cache_params
        bank.gates = gates
        grown = ids
        for _ in range(4):
            grown = torch.cat([grown, mamba(grown, use_cache=False).logits[:, -1:].argmax(-1)], 1)
        assert torch.equal(text, grown)
        if kind == "context":
            with pytest.raises(StudioError, match="its memory is missing"):
                mamba(ids[:, :1], cache_params=foreign, use_cache=True)


def test_a_local_router_hears_encoder_and_decoder_apart(t5, ids):
    bank = attach(t5, {str(seed): plain(t5, ["q", "v", "wo"], seed) for seed in (1, 2)})
    routed(bank, "local")
    tape = bank.gates.tape = Tape()
    t5(input_ids=ids, decoder_input_ids=ids[:, :5])
    assert [gates.shape[1] for gates in tape.gates] == [11, 5]
    assert [len(names) for names in tape.names] == [gates.shape[2] for gates in tape.gates]
    encoder, decoder = tape.names
    assert set(encoder) | set(decoder) == set(bank.modules) and tape.modules == decoder
    assert {name for name in encoder if "decoder" in name} == {
        f"decoder.block.{layer}.layer.1.EncDecAttention.v" for layer in (0, 1)
    }
    routed(bank, "context")
    with pytest.raises(StudioError, match="another order than the model does"):
        t5(input_ids=ids, decoder_input_ids=ids[:, :5])


def test_what_is_never_heard_is_refused_or_said(mamba, llama, t5):
    with pytest.raises(AdapterError, match=r"reads the weights of .*dt_proj and 1 more module without a"):
        attach(mamba, {"a": plain(mamba, ["dt_proj"])})
    (note,) = attach(mamba, {"a": plain(mamba, ["dt_proj", "in_proj"])}).notes
    assert "dt_proj and 1 more module" in note
    assert attach(llama, {"a": plain(llama, [])}).notes == ()
    shared = words(t5)
    with pytest.raises(AdapterError, match="no answer of this base depends on shared"):
        attach(t5, {"a": shared})


def test_an_output_that_is_thrown_away_is_no_effect(llama):
    class Wasteful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.unused, self.config = llama, nn.Linear(32, 32), llama.config
            self.main_input_name, self.dummy_inputs = "input_ids", llama.dummy_inputs

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            out = self.inner(input_ids, output_hidden_states=True)
            self.unused(out.hidden_states[-1])
            return out.logits

    model = Wasteful().eval()
    with pytest.raises(AdapterError, match="no answer of this base depends on unused"):
        attach(model, {"a": plain(model, ["unused"])})
    assert not model._forward_hooks and not model.unused._forward_hooks
    assert len(llama(model.dummy_inputs["input_ids"], output_hidden_states=True).hidden_states) == 4
    (note,) = attach(model, {"a": plain(model, ["unused", "q_proj"])}).notes
    assert "depends on unused" in note


def test_an_embedding_that_multiplies_its_vectors(ids, apart):
    torch.manual_seed(0)
    config = transformers.Gemma3TextConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, sliding_window=6, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = transformers.Gemma3ForCausalLM(config).eval().requires_grad_(False)
    adapter = words(model)
    (f,) = adapter.factors.values()
    dense = copy.deepcopy(model).double()
    dense.lm_head.weight = nn.Parameter(dense.lm_head.weight.clone(), requires_grad=False)
    dense.model.embed_tokens.weight.data += (f.scale * f.B.double() @ f.A.double()).t()
    bank = attach(model, {"a": adapter})
    bank.activate({"a": 1.0})
    assert apart(model(ids).logits, dense(ids).logits) < 1e-5
    assert "shares its weight with lm_head" in bank.notes[0]
