"""The recipe in miniature: the same seed makes the same base and the same expert, another seed another."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import torch

from engine.lora import read_adapter
from engine.runtime.base import load_base
from engine.starter.base import BaseRecipe, train_base
from engine.starter.experts import ExpertRecipe, train_expert
from engine.starter.pack import DataRecipe, write_data

BASE = BaseRecipe(layers=2, hidden=32, intermediate=48, heads=2, steps=3, batch_size=8)
EXPERT = ExpertRecipe(rank=2, steps=3, batch_size=8)


def make(folder: Path, base: BaseRecipe) -> dict[str, str]:
    write_data(folder / "data", DataRecipe(heldout=5, train=20, mixed=12))
    train_base(folder / "base", base)
    loaded = load_base(folder / "base", "tiny", "cpu")
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    train_expert(
        loaded.model, loaded.tokenizer, folder / "data/sort.train.jsonl", folder / "adapters" / "sort", EXPERT
    )
    assert read_adapter(folder / "adapters" / "sort").rank == 2
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in files)
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_same_seed_makes_the_same_files(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    first, again = make(tmp_path / "a", BASE), make(tmp_path / "b", BASE)
    assert first == again
    other = make(tmp_path / "c", replace(BASE, seed=BASE.seed + 1))
    changed = {name for name in first if other[name] != first[name]}
    assert changed == {"base/model.safetensors", "adapters/sort/adapter_model.safetensors"}
