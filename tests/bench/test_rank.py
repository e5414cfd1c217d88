"""Sliding a rank, beside what PEFT has instead: loading another adapter."""

from __future__ import annotations

import pytest

from engine.lora import attach, read_adapter, svd_order, write_adapter
from tests.bench import contenders

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(1500),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def test_changing_rank(device, kind, tmp_path, compare):
    model = contenders.llama(1024, device, kind)
    adapters = {"0": svd_order(contenders.experts(model, 1)["0"])}
    write_adapter(adapters["0"], tmp_path / "0")
    other = contenders.peft(model, adapters, tmp_path / "peft")
    bank = attach(model, {"0": read_adapter(tmp_path / "0")})
    bank.activate({"0": 1.0})
    names = iter(range(10_000))

    def load() -> None:
        name = f"again{next(names)}"
        other.load_adapter(tmp_path / "0", adapter_name=name)
        other.delete_adapter(name)

    arms = {"PEFT load_adapter": lambda: load, "set_rank": lambda: lambda: bank.set_rank("0", 4)}
    timing = compare(arms, device, repeats=9)
    print(timing.table(f"changing the rank of {len(bank.modules)} projections, 1024 wide, {device}"))
    assert timing.ratio("set_rank") < 0.05
