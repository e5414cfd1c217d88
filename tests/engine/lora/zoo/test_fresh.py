"""A fresh adapter on every family, its targets chosen by itself: heard, and a folder that PEFT loads."""

from __future__ import annotations

import pytest

from engine.lora import attach, new_adapter, read_adapter, write_adapter
from tests.engine.lora.zoo.bases import BASES, answer, apart, build
from tests.engine.lora.zoo.writing import load, play

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")
STATE_SPACE = {"mamba": {"in_proj", "x_proj"}, "mamba2": {"in_proj"}}


@pytest.mark.parametrize("base", BASES)
def test_a_fresh_adapter_is_heard_and_peft_loads_it(base, tmp_path):
    model = build(base)
    fresh = new_adapter(model, 2, seed=1)
    for factors in fresh.factors.values():
        factors.B.normal_(0.0, 0.3)
    write_adapter(fresh, tmp_path / "a")
    bank = attach(model, {"a": read_adapter(tmp_path / "a")})
    assert bank.notes == ()  # nothing of it is lost
    bank.activate({"a": 1.0})
    theirs = answer(play(load(build(base), {"a": tmp_path / "a"}), {"a": 1.0}), base)
    assert apart(answer(model, base), theirs) < 1e-5
    assert set(fresh.config.targets) == STATE_SPACE.get(base, set(fresh.config.targets))
