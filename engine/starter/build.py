"""``python -m engine.starter.build --out DIR``: make the whole starter pack again, from nothing.

Deterministic for one machine, number of threads and torch release. About ten minutes on two CPU cores.
"""

from __future__ import annotations

import argparse
import logging
import platform
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.formats.dataset import read_rows
from engine.lora import attach, read_adapter
from engine.messages import TrainRouter
from engine.starter.base import BaseRecipe, train_base
from engine.starter.experts import ExpertRecipe, train_expert
from engine.starter.pack import DataRecipe, write_cards, write_data, write_manifest, write_readme
from engine.starter.scoring import Score, exact_match
from engine.starter.tasks import TASKS
from engine.training.play import play

__all__ = ["build", "main"]

log = logging.getLogger(__name__)
ROUTER_FIELDS = ("router_input", "null_expert", "max_examples", "epochs", "batch_size", "learning_rate")


def build(out: Path, base: BaseRecipe, expert: ExpertRecipe, data: DataRecipe, device: str = "cpu") -> None:
    """Write data, base, experts, cards and manifest to the folder ``out``; an existing base is kept."""
    began = time.monotonic()
    write_data(out / "data", data)
    if not (out / "base" / "model.safetensors").is_file():
        train_base(out / "base", base, device)
    model = AutoModelForCausalLM.from_pretrained(out / "base").to(device)
    tokenizer = AutoTokenizer.from_pretrained(out / "base")
    for task in TASKS:
        train_expert(
            model, tokenizer, out / f"data/{task.name}.train.jsonl", out / "adapters" / task.name, expert
        )
    scores = score_all(out, model.to("cpu"), tokenizer)
    minutes = f"{(time.monotonic() - began) / 60:.1f} minutes"
    machine = f"{device}, {torch.get_num_threads()} threads, {platform.machine()}, torch {torch.__version__}"
    facts = {"expert": str(expert), "machine": f"{machine}; base and experts in {minutes}"}
    write_cards(out / "adapters", scores, facts)
    write_readme(out / "README.md", scores, {"data": str(data), "base": str(base), **facts})
    write_manifest(out / "starter.json", _router_fields())


def score_all(out: Path, model: Any, tokenizer: Any) -> dict[str, dict[str, Score]]:
    """Exact match of the base, every expert and their plain sum on every task's held-out rows."""
    rows = {task.name: read_rows(out / f"data/{task.name}.heldout.jsonl") for task in TASKS}
    names = [task.name for task in TASKS]
    bank = attach(model, {name: read_adapter(out / "adapters" / name) for name in names})
    players: dict[str, dict[str, float]] = {
        "base": {},
        **{name: {name: 1.0} for name in names},
        "uniform": dict.fromkeys(names, 1.0),
    }
    scores = {}
    for player, weights in players.items():
        with play(bank, bank.new_gates(weights)):
            scores[player] = {name: exact_match(model, tokenizer, rows[name]) for name in names}
        log.info("%s: %s", player, {name: round(score[0], 3) for name, score in scores[player].items()})
    bank.detach()
    return scores


def _router_fields() -> dict[str, Any]:
    """The studio's own defaults: they were chosen on this pack."""
    fields = TrainRouter(base="", experts=[], data="", out="")
    return {name: getattr(fields, name) for name in ROUTER_FIELDS}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m engine.starter.build", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    torch.set_num_threads(arguments.threads)
    build(arguments.out, BaseRecipe(), ExpertRecipe(), DataRecipe(), arguments.device)


if __name__ == "__main__":
    main()
