"""Training an adapter that works at every rank, from the ranks page: the plan, and the job followed live."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Any, Literal

from PySide6.QtCore import QObject

from app.client import Client
from app.presenters.planned import PlannedTraining
from app.presenters.ranks import Ranks
from app.words import count
from engine.messages import DataSet, TrainDylora

__all__ = ["AT_RANK", "RankTraining", "TrainingPlan"]

AT_RANK = "loss at "
OWN_SET = ".train"
NESTED = "-dylora"
SMOOTHING = 0.6


@dataclass(frozen=True)
class TrainingPlan:
    """The fields of TrainDylora that a person chooses; ``name`` "" takes the proposed one."""

    data: str = ""
    name: str = ""
    rank: int = 8
    low: int = 1
    draw: Literal["uniform", "geometric"] = "uniform"
    mode: Literal["full", "frozen"] = "full"
    steps: int = 300
    batch_size: int = 32
    learning_rate: float = 3e-3
    seed: int = 0


class RankTraining(PlannedTraining):
    """The plan for the adapter on the ranks page."""

    kinds = (TrainDylora,)

    def __init__(self, client: Client, ranks: Ranks, parent: QObject | None = None) -> None:
        super().__init__(client, TrainingPlan(), parent)
        self.ranks = ranks
        self._is_chosen = False
        client.welcomed.connect(self.find)
        ranks.changed.connect(self._suggest)
        ranks.stock.changed.connect(self._suggest)
        self._suggest()
        if client.engine.phase == "ready":
            self.find()

    # the plan

    @property
    def offered(self) -> list[DataSet]:
        """Starter sets that nothing is measured on."""
        stock = self.ranks.stock
        return [data for data in stock.sets if not stock.is_held_out(data)]

    @property
    def data(self) -> DataSet | None:
        return self.ranks.stock.data(self.plan.data)

    def set(self, **changes: Any) -> None:
        """Another TrainingPlan; the lowest rank never exceeds the highest."""
        plan = replace(self.plan, **changes)
        if plan.low > plan.rank:
            end = plan.rank if "rank" in changes else plan.low
            changes |= {"low": end, "rank": end}
        super().set(**changes)

    def choose_data(self, path: str) -> None:
        """Train on the file at ``path``; it is read to its end first."""

        def read(data: DataSet) -> None:
            self._is_chosen = True
            self.set(data=data.path)

        self.ranks.stock.read(path, read)

    @property
    def stem(self) -> str:
        data = self.data
        return (data.name.removesuffix(OWN_SET).removesuffix(".jsonl") if data else "new") + NESTED

    @property
    def taken(self) -> Set[str]:
        return self.ranks.stock.adapters.keys()

    @property
    def why_not(self) -> str:
        if not self.ranks.state.base:
            return "Choose a base model first."
        if self.data is None:
            return "Choose training data."
        if self.name in self.taken:
            return f"There is a {self.name} in the library. Choose another name."
        if self.is_open:
            return "An adapter is being trained."
        return ""

    @property
    def sentence(self) -> str:
        """What the plan means, in words."""
        plan = self.plan
        ranks = plan.rank - plan.low + 1
        how = "low ranks more often" if plan.draw == "geometric" else f"about {plan.steps // ranks} at each"
        trains = "all columns up to it" if plan.mode == "full" else "its own column alone"
        if ranks == 1:
            return f"Each of {count(plan.steps, 'step')} trains rank {plan.rank}."
        steps = count(plan.steps, "step")
        return f"Each of {steps} trains one of ranks {plan.low} to {plan.rank}, {how}: {trains}."

    def spec_of_plan(self) -> TrainDylora:
        plan = self.plan
        return TrainDylora(
            base=self.ranks.state.base,
            data=plan.data,
            out=self.name,
            rank=plan.rank,
            low=plan.low,
            draw=plan.draw,
            mode=plan.mode,
            steps=plan.steps,
            batch_size=plan.batch_size,
            learning_rate=plan.learning_rate,
            seed=plan.seed,
        )

    def trained(self, name: str) -> str:
        self.ranks.choose(name)
        return "in the library; slide its rank."

    # what is learned

    @property
    def spec(self) -> TrainDylora | None:
        spec = self.job.spec if self.job is not None else None
        return spec if isinstance(spec, TrainDylora) else None

    @property
    def newest(self) -> dict[int, float | None]:
        """{rank: its newest loss, smoothed}; None at ranks that no step was made at yet."""
        spec = self.spec
        if spec is None:
            return {}
        return {
            rank: _smooth(self.curve.get(AT_RANK + str(rank), [])) for rank in range(spec.low, spec.rank + 1)
        }

    def _suggest(self) -> None:
        """The data of the adapter that slides is the likeliest, until a person chooses."""
        card = self.ranks.state.adapter
        named = [data for data in self.offered if card and data.name == card.name + OWN_SET]
        if not self._is_chosen and (named or self.data is None):
            self.plan = replace(self.plan, data=next((data.path for data in named or self.offered), ""))
        self.planned.emit()


def _smooth(points: list[tuple[int, float]]) -> float | None:
    value = None
    for _, newest in points:
        value = newest if value is None else SMOOTHING * value + (1 - SMOOTHING) * newest
    return value
