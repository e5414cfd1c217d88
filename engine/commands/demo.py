"""The first mix: train a router on the starter pack and score everything on every task."""

from __future__ import annotations

import time
from typing import Any

from engine.client import Client
from engine.commands.session import session, table
from engine.commands.work import run_job
from engine.formats.errors import StudioError
from engine.messages import Job, ListMixes, Mixing, Part, RemoveMix, Score, TrainRouter
from engine.supervisor.starter import STARTER, Starter

__all__ = ["demo"]

MIX = "first-mix"
ROWS = 75
"""Held-out rows a task, of 150: nine models answer them on each of the tasks."""


def demo() -> None:
    """A first mix on the starter pack: train the router, score base, experts, their plain sum and the mix."""
    began = time.monotonic()
    starter = Starter(STARTER)
    if starter.problem:
        raise StudioError("missing", starter.problem)
    with session.engine() as engine:
        if any(card.name == MIX for card in engine.call(ListMixes()).mixes):
            engine.call(RemoveMix(name=MIX))
    session.note(f"Training a router over {len(starter.tasks)} experts of {starter.base} ...")
    job = run_job(TrainRouter(base=starter.base, experts=starter.tasks, data="mixed", out=MIX))
    session.note(f"{job.step} steps in {job.seconds:.0f} s. Scoring {ROWS} unseen words a task ...")
    with session.engine() as engine:
        tasks = {task: _score_task(engine, starter, task) for task in starter.tasks}
    _tell(starter, job, tasks, time.monotonic() - began)


def _score_task(engine: Client, starter: Starter, task: str) -> dict[str, Any]:
    """Exact match of every model on one task's held-out rows. Nobody is told which task it is."""

    def exact(parts: list[str], mixing: Mixing | None = None) -> float:
        request = Score(
            base=starter.base,
            data=f"{task}.heldout",
            parts=[Part(name=name) for name in parts],
            mixing=mixing,
            limit=ROWS,
        )
        value: float = engine.call(request, session.show_progress).value
        return value

    experts = {name: exact([name]) for name in starter.tasks}
    scores = {
        "base": exact([]),
        "experts": experts,
        "best_expert": max(experts.values()),
        "uniform": exact(starter.tasks),
        "mix": exact([], Mixing(name=MIX)),
    }
    session.note(f"{task}: best expert {scores['best_expert']:.2f}, mix {scores['mix']:.2f}")
    return scores


def _tell(starter: Starter, job: Job, tasks: dict[str, dict[str, Any]], seconds: float) -> None:
    columns = ("base", "best_expert", "uniform", "mix")
    mean = {column: sum(scores[column] for scores in tasks.values()) / len(tasks) for column in columns}
    alone = {name: sum(scores["experts"][name] for scores in tasks.values()) / len(tasks) for name in tasks}
    rows = [(task, *(f"{scores[column]:.3f}" for column in columns)) for task, scores in tasks.items()]
    rows.append(("mean", *(f"{mean[column]:.3f}" for column in columns)))
    best = max(alone, key=lambda name: alone[name])
    text = table(("task", "base", "best expert", "uniform sum", "mix"), rows)
    text += f"\n\nThe best single expert on all tasks is {best} with {alone[best]:.3f}."
    text += f"\nExact match on {ROWS} held-out words a task; {seconds:.0f} s in all."
    values = {
        "base": starter.base,
        "experts": starter.tasks,
        "tasks": tasks,
        "mean": mean | {"experts": alone},
        "router_steps": job.step,
        "mix": MIX,
        "rows": ROWS,
        "seconds": round(seconds, 2),
    }
    session.result(values, text)
