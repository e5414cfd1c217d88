"""What a scoring is to be of: arms, test sets, training data; what it suggests by itself, what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.presenters.stock import HELD_OUT, Stock
from app.words import count
from engine.messages import Arm, DataSet, MixCard, ScoreMix

__all__ = ["ARMS", "LEARNING", "METRICS", "Metric", "Plan", "named"]

Metric = Literal["exact", "loss"]

# What can be scored, in the order in which it runs: words, and what it is.
ARMS: dict[Arm, tuple[str, str]] = {
    "base": ("Base", "The experts' gain is measured from here"),
    "experts": ("Every expert", "Each one alone, on every test set"),
    "oracle": ("Oracle", "The best expert of each set"),
    "uniform": ("Uniform sum", "All at once, equally loud, without a router"),
    "learned": ("Learned weights", "One fixed weight per expert, learned"),
    "arrow": ("Arrow", "Routing by directions, without training"),
    "xlora": ("X-LoRA", "A trained gate that reads every text twice"),
    "lora": ("One LoRA", "As large as all experts and the router"),
    "soft": ("Mix, soft", "As loud as the router says"),
    "topk": ("Mix, top-k", "Only the k loudest at each token"),
    "hard": ("Mix, hard", "Only the loudest at each token"),
}
LEARNING: tuple[Arm, ...] = ("learned", "xlora", "lora")
METRICS: dict[Metric, tuple[str, str]] = {
    "exact": ("Exact answers", "Share of completions that are right to the last token"),
    "loss": ("Loss", "Nats per token of the completion: for long ones, that nobody says word for word"),
}
EXAMPLES = 2000
ROWS = 100


@dataclass(frozen=True)
class Plan:
    """What the next scoring is of: test sets and training data by path, arms, ``limit`` rows of each set.

    Arms that learn do so from at most ``examples`` rows of ``train``.
    """

    sets: tuple[str, ...] = ()
    train: str = ""
    arms: tuple[Arm, ...] = tuple(arm for arm in ARMS if arm not in LEARNING)
    limit: int | None = ROWS
    metric: Metric = "exact"
    examples: int = EXAMPLES

    @staticmethod
    def suggested(mix: MixCard, sets: Sequence[DataSet], train: str) -> Plan:
        """The starter sets that are named after the mix's experts, and what its router learned from."""
        names = {expert + HELD_OUT for expert in mix.experts}
        return Plan(sets=tuple(data.path for data in sets if data.name in names), train=train)

    @staticmethod
    def again(spec: ScoreMix, stock: Stock) -> Plan | None:
        """As scored before, with the files that are still known: one's own is chosen anew after a restart."""
        known = tuple(path for path in spec.data.values() if stock.data(path) is not None)
        train = spec.train if stock.data(spec.train) is not None else ""
        if not known:
            return None
        return Plan(known, train, spec.arms, spec.limit, spec.metric, spec.max_examples)

    @property
    def learning(self) -> list[str]:
        """The arms that learn, by their words."""
        return [ARMS[arm][0] for arm in LEARNING if arm in self.arms]

    def is_of(self, spec: ScoreMix) -> bool:
        """Whether ``spec`` asked for as much work: the same arms, sets, rows, measure and lessons."""
        lessons = (spec.train, spec.max_examples) if self.learning else ()
        return (set(spec.arms), spec.limit, set(spec.data.values()), spec.metric, lessons) == (
            set(self.arms),
            self.limit,
            set(self.sets),
            self.metric,
            (self.train, self.examples) if self.learning else (),
        )

    def cost(self, mix: MixCard, sets: Sequence[DataSet], train: DataSet | None) -> str:
        """Answers and trainings that this takes, before anything runs; "" while nothing would."""
        if not sets or not self.arms:
            return ""
        rows = sum(data.rows if self.limit is None else min(self.limit, data.rows) for data in sets)
        experts = len([name for name in mix.experts if name != "null"])
        voices = sum(experts if arm == "experts" else 1 for arm in self.arms)
        if "oracle" in self.arms:
            # The oracle takes the experts' answers and gives none of its own.
            voices += -1 if "experts" in self.arms else experts - 1
        what = "answer" if self.metric == "exact" else "reading"
        words = f"{count(rows * voices, what)}: {count(voices, 'voice')} on {count(rows, 'row')}."
        if self.learning and train is not None:
            examples = count(min(self.examples, train.rows), "example")
            words += f" {count(len(self.learning), 'arm')} to train first, on {examples}."
        return words


def named(sets: list[DataSet]) -> dict[str, str]:
    """Paths by name; a name that two files share gets a number."""
    paths: dict[str, str] = {}
    for data in sets:
        name, number = data.name, 2
        while name in paths:
            name, number = f"{data.name} {number}", number + 1
        paths[name] = data.path
    return paths
