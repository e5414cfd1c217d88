"""Rows of one batch under different gates: each answers, remembers and records as if it were alone."""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache

from engine.formats.errors import StudioError
from engine.lora import Adapter, Tape, attach, new_adapter
from engine.mixer import Router

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")


@pytest.fixture
def experts(llama) -> dict[str, Adapter]:
    made = {}
    for seed, targets in enumerate([(), ("q_proj", "v_proj"), ("q_proj", "down_proj")]):
        made[f"e{seed}"] = new_adapter(llama, 2 + seed, targets=targets, seed=seed)
        for factors in made[f"e{seed}"].factors.values():
            factors.B.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(seed))
    return made


def opinionated(bank, kind, seed=0):
    router = Router(bank.layout(), bank.experts, kind).requires_grad_(False)
    for V in router.V:
        V.normal_(0.0, 0.5, generator=torch.Generator().manual_seed(seed))
    return router


def voices(bank, kind):
    """Static, silent, a router heard softly and by its best two, and another router."""
    loud, one, other = dict.fromkeys(bank.experts, 1.0), opinionated(bank, kind), opinionated(bank, kind, 5)
    return [
        bank.new_gates({"e0": 0.7, "e2": -0.4}, {"e2": 1}),
        None,
        bank.new_gates(loud, router=one),
        bank.new_gates(loud | {"e1": 0.5}, router=one.play("topk", 2)),
        bank.new_gates(loud, router=other),
    ]


@pytest.mark.parametrize("kind", ["local", "context"])
def test_rows_answer_as_alone(llama, ids, experts, kind):
    bank = attach(llama, experts)
    gates = voices(bank, kind)
    text = ids[:1].expand(len(gates), -1)
    with torch.no_grad():
        alone = []
        for one in gates:
            bank.gates = one
            alone.append(llama(text[:1]).logits)
        bank.gates = bank.new_rows(gates)
        together = llama(text).logits
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)
    assert not any(torch.allclose(alone[i], alone[j], atol=1e-3) for i in range(5) for j in range(i))


@pytest.mark.parametrize("kind", ["local", "context"])
def test_rows_with_a_cache_and_padding_and_one_that_ends_early(llama, ids, experts, kind):
    bank = attach(llama, experts)
    gates = voices(bank, kind)
    text, mask = ids[:1].repeat(5, 1), torch.ones(5, 11, dtype=torch.long)
    mask[2, :3] = 0
    with torch.no_grad():
        expected = []
        for row, one in enumerate(gates):
            bank.gates = one
            start = int((mask[row] == 0).sum())
            expected.append(llama(text[row : row + 1, start:]).logits[:, -1])
        cache = DynamicCache()
        bank.gates = bank.new_rows(gates)
        llama(text[:, :7], attention_mask=mask[:, :7], past_key_values=cache)
        llama(text[:, 7:8], attention_mask=mask[:, :8], past_key_values=cache)
        left = [0, 2, 4]  # the row of the best two of a router is the first to go, and the silent one
        cache.batch_select_indices(torch.tensor(left))
        bank.gates = bank.new_rows([gates[row] for row in left])
        for token in range(8, 11):
            logits = llama(
                text[left, token : token + 1], attention_mask=mask[left, : token + 1], past_key_values=cache
            ).logits
    for row, ours in zip(left, logits, strict=True):
        assert torch.allclose(ours[-1:], expected[row], atol=1e-5)


def test_each_tape_records_its_own_rows(llama, ids, experts):
    bank = attach(llama, experts)
    gates = voices(bank, "context")
    tapes = {row: Tape() for row in (2, 4)}
    for row, tape in tapes.items():
        gates[row].tape = tape
    with torch.no_grad():
        bank.gates = bank.new_rows([*gates, gates[4]])
        llama(ids[:1].expand(6, -1))
        assert tapes[2].gates[-1].shape == (1, 11, len(bank.modules), 4)
        assert tapes[4].gates[-1].shape == (2, 11, len(bank.modules), 4)
        together = {row: tape.gates.pop() for row, tape in tapes.items()}
        for row, tape in tapes.items():
            bank.gates = gates[row]
            llama(ids[:1])
            assert tape.modules == list(bank.modules)
            assert torch.allclose(tape.gates.pop(), together[row][:1], atol=1e-6)


def test_two_banks_play_rows(llama, ids, experts):
    first, second = attach(llama, {"e0": experts["e0"]}), attach(llama, {"e1": experts["e1"]})
    a, b = first.new_gates({"e0": 1.0}), second.new_gates({"e1": 1.0})
    outputs = []
    for one, other in ((a, None), (None, b), (a, b)):
        first.gates, second.gates = one, other
        outputs.append(llama(ids[:1]).logits)
    first.gates, second.gates = first.new_rows([a, None, a]), second.new_rows([None, b, b])
    assert torch.allclose(llama(ids[:1].expand(3, -1)).logits, torch.cat(outputs), atol=1e-5)


def test_faders_move_in_their_row(llama, ids, experts):
    bank = attach(llama, experts)
    one, other = bank.new_gates({"e0": 1.0}), bank.new_gates({"e0": 1.0})
    bank.gates = bank.new_rows([one, other])
    before = llama(ids).logits
    one.set_weight("e0", 0.0)
    after = llama(ids).logits
    assert torch.equal(after[1], before[1])
    bank.gates = None
    assert torch.allclose(after[0], llama(ids).logits[0], atol=1e-5)


def test_what_cannot_be_played_in_rows_is_said(llama, ids, experts):
    bank = attach(llama, experts)
    bank.gates = bank.new_rows([bank.new_gates({"e0": 1.0})] * 3)
    with pytest.raises(StudioError, match="gates for 3 rows, but the batch has 2"):
        llama(ids)
    with pytest.raises(StudioError, match="at least one row"):
        bank.new_rows([])
