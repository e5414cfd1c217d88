"""One more token: the mix beside its base, beside PEFT's loop, and beside PEFT's X-LoRA.

Run with ``pytest -m bench tests/bench -s``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformers import DynamicCache

from engine.lora import Bank, attach
from engine.mixer import Router
from tests.bench import contenders
from tests.bench.conftest import Arm

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(1500),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
logging.getLogger("transformers").setLevel(logging.ERROR)
PROMPT, ANSWER = 64, 16


def decoding(model: nn.Module, ids: Tensor, before: Callable[[], object] = lambda: None) -> Arm:
    """ANSWER greedy tokens after ``ids``, which are read untimed into a KV cache."""

    def ready() -> Callable[[], None]:
        before()
        cache = DynamicCache()
        with torch.inference_mode():
            first = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)

        def run() -> None:
            token = first.logits[:, -1].argmax(-1, keepdim=True)
            with torch.inference_mode():
                for _ in range(ANSWER):
                    logits = model(input_ids=token, past_key_values=cache, use_cache=True).logits
                    token = logits[:, -1].argmax(-1, keepdim=True)

        return run

    return ready


def rereading(model: nn.Module, ids: Tensor) -> Arm:
    """One greedy token after ``ids`` as X-LoRA makes it: it keeps no cache."""

    def run() -> None:
        with torch.inference_mode():
            model(input_ids=ids, use_cache=False).logits[:, -1].argmax(-1)

    return lambda: run


def bytes_read(model: nn.Module, bank: Bank, router: Router) -> float:
    """Bytes of weights read per token with the mix over without: the ratio of an implementation that costs
    nothing but memory traffic."""
    base = sum(p.nbytes for p in model.parameters())
    base -= model.get_input_embeddings().weight.nbytes * (not model.config.tie_word_embeddings)
    mix = contenders.numbers(bank) + sum(weight.numel() for weight in router.weights)
    return 1 + mix * next(model.parameters()).element_size() / base


@pytest.mark.parametrize("where", ["1024 wide", "starter base"])
def test_a_token_beside_the_base(where, device, kind, tmp_path, compare):
    """The bank silent, with fixed gates and with both routers, and PEFT with one and with four active."""
    wide = where == "1024 wide"
    model = contenders.llama(1024, device, kind) if wide else contenders.starter(device, kind)
    adapters = contenders.experts(model)
    bare, other = contenders.twin(model), contenders.peft(model, adapters, tmp_path)
    bank = attach(model, adapters, dtype=kind)
    ids = torch.randint(5, 60, (1, PROMPT), device=device)
    gates = {
        "bank, silent": None,
        "bank, one fixed": bank.new_gates({"0": 1.0}),
        "bank, four fixed": bank.new_gates(dict.fromkeys(adapters, 1.0)),
        "mix, local router": contenders.mixed(bank, "local", device),
        "mix, context router": contenders.mixed(bank, "context", device),
    }

    def switch(name: str) -> Callable[[], None]:
        return lambda: setattr(bank, "gates", gates[name])

    with torch.no_grad():
        other.base_model.set_adapter(list(adapters))
        switch("bank, four fixed")()
        assert contenders.apart(model(ids).logits, other(ids).logits) < contenders.exact(kind)
    arms = {"base": decoding(bare, ids)}
    arms |= {name: decoding(model, ids, switch(name)) for name in gates}
    arms["PEFT, one"] = decoding(other, ids, lambda: other.base_model.set_adapter("0"))
    arms["PEFT, four"] = decoding(other, ids, lambda: other.base_model.set_adapter(list(adapters)))
    timing = compare(arms, device, repeats=11 if wide else 25, per=ANSWER)
    floor = bytes_read(model, bank, gates["mix, context router"].router)
    print(timing.table(f"one more token after {PROMPT}, {where}, {device}", bytes_read=floor))
    assert timing.ratio("mix, context router") < timing.ratio("PEFT, four")
    if wide:
        assert timing.ratio("mix, context router") <= 1.20


def test_a_token_beside_xlora(device, kind, tmp_path, compare):
    """Context by context: X-LoRA reads all of it twice for each token."""
    model = contenders.llama(1024, device, kind)
    adapters = contenders.experts(model)
    other = contenders.xlora(model, adapters, tmp_path)
    bank = attach(model, adapters, dtype=kind)
    text = torch.randint(5, 60, (1, 256), device=device)

    contenders.inject(other, contenders.SHARES)
    bank.activate(dict(zip(adapters, contenders.SHARES, strict=True)))
    with torch.no_grad():
        assert contenders.apart(model(text).logits, other(input_ids=text).logits) < contenders.exact(kind)

    bank.gates = contenders.mixed(bank, "context", device)
    faster = {}
    for context in (64, 128, 256):
        ids = text[:, :context]
        ours = compare({"mix": decoding(model, ids)}, device, repeats=7, per=ANSWER)
        theirs = compare({"X-LoRA": rereading(other, ids)}, device, repeats=5, warmups=1)
        faster[context] = theirs.medians["X-LoRA"] / ours.medians["mix"]
        print(ours.table(f"one more token after {context}, 1024 wide, {device}"), theirs.table(""), sep="")
    print("  X-LoRA over mix:", ", ".join(f"{ratio:.1f} at {context}" for context, ratio in faster.items()))
    assert faster[64] >= 8
    assert faster[64] < faster[128] < faster[256]


def test_an_answer_beside_xlora(device, kind, tmp_path, compare):
    """Prompt and answer through ``generate``, each as its users run it."""
    model = contenders.llama(1024, device, kind)
    adapters = contenders.experts(model)
    other = contenders.xlora(model, adapters, tmp_path)
    bank = attach(model, adapters, dtype=kind)
    bank.gates = contenders.mixed(bank, "context", device)
    ids = torch.randint(5, 60, (1, PROMPT), device=device)

    def generating(asked: nn.Module) -> Arm:
        how = {"max_new_tokens": ANSWER, "min_new_tokens": ANSWER, "do_sample": False, "pad_token_id": 0}

        def run() -> None:
            with torch.inference_mode():
                asked.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **how)

        return lambda: run

    made = {"mix": generating(model), "X-LoRA": generating(other)}
    timing = compare(made, device, repeats=3, per=ANSWER, warmups=1)
    print(timing.table(f"{PROMPT} tokens read and {ANSWER} written, per token written, 1024 wide, {device}"))
    assert timing.ratio("X-LoRA") >= 8
