"""A sixth expert joins a mix of five on the starter pack: it is used, and hurts nobody. Numbers are in
docs/mixer.md."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.formats.dataset import read_rows
from engine.lora import read_adapter
from engine.mixer.training import RouterTask
from engine.training import Settings, train
from engine.training.play import play
from engine.training.text import collate, completion_logits, encode

STARTER = Path(__file__).parents[3] / "resources" / "starter"
TASKS = ("reverse", "sort", "upper", "plural", "double", "consonants")

pytestmark = pytest.mark.study


@pytest.fixture(scope="module")
def starter():
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(STARTER / "base").eval()
    tokenizer = AutoTokenizer.from_pretrained(STARTER / "base")
    heldout = {
        name: collate(encode(tokenizer, read_rows(STARTER / "data" / f"{name}.heldout.jsonl")))
        for name in TASKS
    }
    return model, tokenizer, heldout


def learned(task, rows):
    """The task after the studio's default training: three passes."""
    for _ in train(task, Settings(steps=3 * -(-rows // 32), learning_rate=1e-2)):
        pass
    return task


@torch.no_grad()
def scores(task, heldout, mode):
    """Exact match by task: every learned token is the likeliest one."""
    gates = task.bank.new_gates(dict.fromkeys(task.bank.experts, 1.0), router=task.router.play(mode))
    found = {}
    for name, batch in heldout.items():
        with play(task.bank, gates):
            right = completion_logits(task.model, batch).argmax(-1) == batch.targets
        rows = right.split(batch.learned.sum(1).tolist())
        found[name] = sum(bool(row.all()) for row in rows) / len(rows)
    return found


@pytest.mark.parametrize("newcomer", ["consonants", "plural", "reverse"])
def test_a_sixth_expert_is_used_and_hurts_nobody(starter, tmp_path, newcomer):
    model, tokenizer, heldout = starter
    mixed = read_rows(STARTER / "data" / "mixed.jsonl")
    old = {name: read_adapter(STARTER / "adapters" / name) for name in TASKS if name != newcomer}
    rows = [row for row in mixed if not row.prompt.startswith(newcomer)]
    five = learned(RouterTask(model, tokenizer, rows, old), len(rows))
    before = {mode: scores(five, heldout, mode) for mode in ("soft", "topk", "hard")}
    assert five.save(tmp_path / "five")["warning"] == ""
    five.close()
    experts = old | {newcomer: read_adapter(STARTER / "adapters" / newcomer)}
    six = learned(RouterTask(model, tokenizer, mixed, experts, extend=five.router), len(mixed))
    after = {mode: scores(six, heldout, mode) for mode in ("soft", "topk", "hard")}
    result = six.save(tmp_path / "six")
    six.close()
    for mode in before:
        print(newcomer, mode, {name: (before[mode][name], after[mode][name]) for name in TASKS})
        assert after[mode][newcomer] >= 0.95
    for name in old:
        assert after["soft"][name] >= before["soft"][name] - 0.01
    assert result["warning"] == ""
