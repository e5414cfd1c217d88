"""A loaded tiny base, adapters and a mix for it, and the parts of a runtime without its wire."""

import pytest
import torch

from engine.lora import attach, new_adapter, write_adapter
from engine.lora.adapter import Factors
from engine.mixer import Router, save_mix
from engine.runtime.base import load_base
from engine.runtime.voices import Voices


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tiny_base_folder, one_thread):
    return load_base(tiny_base_folder, "tiny", "cpu")


@pytest.fixture(scope="session")
def adapters(base):
    """Two adapters that are clearly heard."""
    import dataclasses

    made = {}
    for seed, name in enumerate(("left", "right")):
        fresh = new_adapter(base.model, 4, seed=seed, name=name)
        chance = torch.Generator().manual_seed(seed + 10)
        factors = {
            path: Factors(old.A, torch.randn(old.B.shape, generator=chance) * 0.3, old.scale)
            for path, old in fresh.factors.items()
        }
        made[name] = dataclasses.replace(fresh, factors=factors)
    return made


@pytest.fixture
def library(adapters, base, tmp_path):
    """Paths as a supervisor resolves them: two adapters and a mix of both."""
    paths = {}
    for name, adapter in adapters.items():
        write_adapter(adapter, tmp_path / "adapters" / name)
        paths[f"adapter:{name}"] = str(tmp_path / "adapters" / name)
    bank = attach(base.model, adapters)
    router = Router(bank.layout(), tuple(adapters), seed=3)
    for V in router.V:
        V.data *= 50
    folder = tmp_path / "mixes" / "both"
    folder.mkdir(parents=True)
    save_mix(folder, router, bank, name="both", base="tiny")
    bank.detach()
    return paths | {"mix:both": str(folder)}


@pytest.fixture
def voices(base):
    voices = Voices(base, kept=2)
    yield voices
    voices.close()
