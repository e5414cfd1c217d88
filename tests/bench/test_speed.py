"""What a mix costs beside its base and beside PEFT: decoding, reading a prompt, changing rank, training the
router.

Run with ``pytest -m bench tests/bench -s``. Weights are random but for the starter base: time does not
depend on them.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, DynamicCache, LlamaConfig, LlamaForCausalLM

from engine.lora import Adapter, Bank, Gates, attach, new_adapter, read_adapter, svd_order, write_adapter
from engine.mixer import Router

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(1500),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

EXPERTS, RANK, PROMPT, ANSWER = 4, 16, 64, 24
STARTER = Path(__file__).parents[2] / "resources" / "starter" / "base"


def llama(width: int, device: torch.device, kind: torch.dtype) -> nn.Module:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=width,
        intermediate_size=width * 11 // 4,
        num_hidden_layers=6,
        num_attention_heads=max(4, width // 64),
        vocab_size=8000 if width > 512 else 256,
        max_position_embeddings=2048,
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False).to(device, kind)


def starter(device: torch.device, kind: torch.dtype) -> nn.Module:
    if not STARTER.is_dir():
        return llama(128, device, kind)
    return AutoModelForCausalLM.from_pretrained(STARTER).eval().requires_grad_(False).to(device, kind)


def experts(model: nn.Module) -> dict[str, Adapter]:
    adapters = {}
    for index in range(EXPERTS):
        adapter = new_adapter(model, RANK, seed=index, name=f"e{index}")
        for factors in adapter.factors.values():
            factors.B.normal_(0.0, 0.02)
        adapters[adapter.name] = adapter
    return adapters


def mixed(bank: Bank, kind: str, device: torch.device) -> Gates:
    router = Router(bank.layout(), bank.experts, kind, seed=0).requires_grad_(False).to(device)
    return bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)


def peft(model: nn.Module, adapters: dict[str, Adapter], folder: Path) -> PeftModel:
    """A model of its own under PEFT with the same experts."""
    for name, adapter in adapters.items():
        write_adapter(adapter, folder / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = PeftModel.from_pretrained(copy.deepcopy(model), folder / "e0", adapter_name="e0")
        for name in list(adapters)[1:]:
            wrapped.load_adapter(folder / name, adapter_name=name)
    return wrapped.eval()


def decoding(model: nn.Module, ids: Tensor, before: Callable[[], None]) -> Callable[[], None]:
    """Greedy generation of ANSWER tokens after ``ids``, with a KV cache, through ``generate``."""

    def run() -> None:
        before()
        with torch.inference_mode():
            model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=ANSWER,
                min_new_tokens=ANSWER,
                do_sample=False,
                pad_token_id=0,
            )

    return run


def reading(model: nn.Module, ids: Tensor, before: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        before()
        with torch.inference_mode():
            model(input_ids=ids, past_key_values=DynamicCache(), use_cache=True, logits_to_keep=1)

    return run


def floor(model: nn.Module, bank: Bank) -> float:
    """Bytes of weights read per token with the mix over without: the ratio of an implementation that costs
    nothing but memory traffic."""
    base = sum(p.numel() * p.element_size() for p in model.parameters())
    base -= model.get_input_embeddings().weight.nbytes * (not model.config.tie_word_embeddings)
    extra = sum(
        group.product.nbytes + sum(site.B.nbytes for site in group.sites) for group in bank._stack.groups
    )
    return 1 + extra / base


def arms(model, device, tmp_path, make) -> tuple[dict[str, Callable[[], None]], Bank]:
    """The base without a bank, the bank silent, with fixed gates and with both routers, and PEFT with one and
    with four active."""
    adapters = experts(model)
    bare, other = copy.deepcopy(model), peft(model, adapters, tmp_path)
    bank = attach(model, adapters, dtype=next(model.parameters()).dtype)
    ids = torch.randint(5, 60, (1, PROMPT), device=device)
    gates = {
        "bank, silent": None,
        "bank, one fixed": bank.new_gates({"e0": 1.0}),
        "bank, four fixed": bank.new_gates(dict.fromkeys(adapters, 1.0)),
        "mix, local router": mixed(bank, "local", device),
        "mix, context router": mixed(bank, "context", device),
    }

    def switch(name: str) -> Callable[[], None]:
        return lambda: setattr(bank, "gates", gates[name])

    made = {"base": make(bare, ids, lambda: None)}
    made |= {name: make(model, ids, switch(name)) for name in gates}
    made["PEFT, one"] = make(other, ids, lambda: other.base_model.set_adapter("e0"))
    made["PEFT, four"] = make(other, ids, lambda: other.base_model.set_adapter(list(adapters)))
    return made, bank


@pytest.mark.parametrize("where", ["1024 wide", "starter base"])
def test_generation(where, device, kind, tmp_path, compare):
    model = llama(1024, device, kind) if where == "1024 wide" else starter(device, kind)
    made, bank = arms(model, device, tmp_path, decoding)
    timing = compare(made, device, repeats=9 if where == "1024 wide" else 25, per=ANSWER)
    print(timing.table(f"generation, {where}, per token, {device}", floor(model, bank)))
    assert timing.ratio("mix, context router") < timing.ratio("PEFT, four")
    if where == "1024 wide":
        assert timing.ratio("mix, context router") <= 1.25


@pytest.mark.parametrize("where", ["1024 wide", "starter base"])
def test_reading_a_prompt(where, device, kind, tmp_path, compare):
    model = llama(1024, device, kind) if where == "1024 wide" else starter(device, kind)
    made, _ = arms(model, device, tmp_path, reading)
    timing = compare(made, device, repeats=15)
    print(timing.table(f"reading {PROMPT} tokens, {where}, {device}"))
    assert timing.ratio("mix, context router") < timing.ratio("PEFT, four")


def test_changing_rank(device, kind, tmp_path, compare):
    model = llama(1024, device, kind)
    adapters = {"e0": svd_order(experts(model)["e0"])}
    write_adapter(adapters["e0"], tmp_path / "e0")
    other = peft(model, adapters, tmp_path / "peft")
    bank = attach(model, {"e0": read_adapter(tmp_path / "e0")})
    bank.activate({"e0": 1.0})
    names = iter(range(10_000))

    def load() -> None:
        name = f"again{next(names)}"
        other.load_adapter(tmp_path / "e0", adapter_name=name)
        other.delete_adapter(name)

    timing = compare(
        {"PEFT load_adapter": load, "set_rank": lambda: bank.set_rank("e0", 4)}, device, repeats=9
    )
    print(timing.table(f"changing the rank of 42 projections, 1024 wide, {device}"))
    assert timing.ratio("set_rank") < 0.05


def test_a_step_of_router_training(device, kind, compare):
    """One step of a context router over frozen experts, beside the base's own forward."""
    model = starter(device, torch.float32)
    bank = attach(model, experts(model))
    ids = torch.randint(5, 60, (32, 24), device=device)
    router = Router(bank.layout(), bank.experts).to(device)
    gates = bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)
    optimizer = torch.optim.AdamW(router.parameters(), lr=1e-2)

    def forward() -> None:
        bank.gates = None
        with torch.no_grad():
            model(ids, labels=ids, use_cache=False)

    def step() -> None:
        bank.gates = gates
        optimizer.zero_grad()
        model(ids, labels=ids, use_cache=False).loss.backward()
        optimizer.step()

    timing = compare({"base, forward": forward, "router, whole step": step}, device, repeats=15)
    print(timing.table(f"router training, starter base, 32 rows of 24 tokens, {device}"))
    assert timing.ratio("router, whole step") < 8


logging.getLogger("transformers").setLevel(logging.ERROR)
