"""``python -m engine.starter.build --out DIR``: make the whole starter pack again, from nothing.

Deterministic for one machine, number of threads and torch release. Half an hour on one busy CPU core.
"""

from __future__ import annotations

import argparse
import logging
import platform
import sys
from pathlib import Path

import torch

from engine.lora import attach, read_adapter
from engine.messages import Score, Scored
from engine.runtime.base import Base, load_base
from engine.runtime.scoring import score
from engine.runtime.voices import Voice
from engine.starter.base import BaseRecipe, train_base
from engine.starter.experts import ExpertRecipe, train_expert
from engine.starter.pack import BASE_NAME, DataRecipe, write_cards, write_data, write_manifest, write_readme
from engine.starter.tasks import BLEND, TASKS

__all__ = ["build", "main"]

log = logging.getLogger(__name__)


def build(out: Path, base: BaseRecipe, expert: ExpertRecipe, data: DataRecipe, device: str = "cpu") -> None:
    """Write the pack to the folder ``out``. A base or an expert that is already there is kept."""
    write_data(out / "data", data)
    if not (out / "base").exists():
        train_base(out / "base", base, device)
    trained = load_base(out / "base", BASE_NAME, device)
    for task in TASKS:
        rows, folder = out / f"data/{task.name}.train.jsonl", out / "adapters" / task.name
        if not folder.exists():
            train_expert(trained.model, trained.tokenizer, rows, folder, expert)
    scores = score_all(out, trained)
    machine = f"{device}, {torch.get_num_threads()} threads, {platform.machine()}, torch {torch.__version__}"
    facts = {"expert": str(expert), "machine": machine}
    write_cards(out / "adapters", scores, facts)
    write_readme(out / "README.md", scores, {"data": str(data), "base": str(base), **facts})
    write_manifest(out)


def score_all(out: Path, base: Base) -> dict[str, dict[str, Scored]]:
    """Exact match of the base, every expert and their plain sum on the held-out rows of all tasks."""
    names = [task.name for task in TASKS]
    tested = [*names, BLEND.name]
    bank = attach(base.model, {name: read_adapter(out / "adapters" / name) for name in names})
    players: dict[str, dict[str, float]] = {
        "base": {},
        **{name: {name: 1.0} for name in names},
        "uniform": dict.fromkeys(names, 1.0),
    }
    scores = {}
    for player, weights in players.items():
        voice = Voice(bank, bank.new_gates(weights))
        scores[player] = {name: _score(base, voice, out / f"data/{name}.heldout.jsonl") for name in tested}
        log.info("%s: %s", player, {name: round(score.value, 3) for name, score in scores[player].items()})
    bank.detach()
    return scores


def _score(base: Base, voice: Voice, data: Path) -> Scored:
    running = score(base, voice, Score(base=base.name, data=data.name), str(data))
    while True:
        try:
            next(running)
        except StopIteration as end:
            scored: Scored = end.value
            return scored


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
