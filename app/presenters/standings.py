"""What a scoring found, in words, as Markdown and as CSV: who wins, and where the rows do not tell."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from app.presenters.playing import listed
from engine.messages import ArmScore, Job, ScoreMix

__all__ = ["OURS", "Standings", "short"]

OURS = ("soft", "topk", "hard")
ORACLE = "oracle"
HEAD = ("Arm", "Mean", "95 % low", "95 % high")
TAIL = ("Beside the mix", "Beside low", "Beside high", "Trained on", "Parameters", "Seconds")


@dataclass(frozen=True)
class Standings:
    """``arms`` in the order scored, ``sets`` the test sets in the order asked, ``n`` rows of them in all;
    ``ranks`` of experts that were not whole."""

    mix: str
    metric: Literal["exact", "loss"]
    n: int
    arms: tuple[ArmScore, ...]
    sets: tuple[str, ...]
    ranks: Mapping[str, int] = field(default_factory=dict)

    @staticmethod
    def of(job: Job) -> Standings | None:
        """The finished scoring of a mix; None for any other job. msgspec.ValidationError if it is damaged."""
        if not isinstance(job.spec, ScoreMix) or "arms" not in job.result:
            return None
        arms = msgspec.convert(job.result["arms"], list[ArmScore])
        spec = job.spec
        return Standings(
            spec.mix, spec.metric, int(job.result["n"]), tuple(arms), tuple(spec.data), spec.ranks
        )

    @property
    def scored(self) -> list[ArmScore]:
        return [arm for arm in self.arms if not arm.missing]

    @property
    def oracle(self) -> ArmScore | None:
        """The best expert of each set, as if somebody had told which one to take."""
        return next((arm for arm in self.scored if arm.arm == ORACLE), None)

    @property
    def ours(self) -> ArmScore | None:
        """The mix as the others were held against it, row by row; where none was, as it did best."""
        mixes = [arm for arm in self.scored if arm.arm in OURS]
        if any(arm.beside_mix is not None for arm in self.scored):
            return next((arm for arm in mixes if arm.beside_mix is None), None)
        return self._best(mixes)

    @property
    def lower_is_better(self) -> bool:
        return self.metric == "loss"

    @property
    def places(self) -> int:
        """Decimals that are worth reading."""
        return 3 if self.metric == "loss" else 2

    def figure(self, value: float) -> str:
        return f"{value:.{self.places}f}"

    def beside(self, arm: ArmScore) -> str:
        """How far an arm is from the mix on the same rows, with its interval; "" where that is not known."""
        if arm.beside_mix is None:
            return ""
        gap, low, high = (f"{number:+.{self.places}f}" for number in arm.beside_mix)
        return f"{gap} ({low} to {high})"

    def _named(self, arm: ArmScore) -> str:
        return f"{arm.label} ({self.figure(arm.value)})"

    def _best(self, arms: Sequence[ArmScore]) -> ArmScore | None:
        sign = -1 if self.lower_is_better else 1
        return max(arms, key=lambda arm: sign * arm.value, default=None)

    def _is_ahead(self, one: tuple[float, float], other: tuple[float, float]) -> bool:
        """Whether the interval (low, high) of one lies wholly on the better side of the other's."""
        return one[1] < other[0] if self.lower_is_better else one[0] > other[1]

    def _verdict(self, arm: ArmScore, ours: ArmScore) -> int:
        """1 where ``arm`` does better than the mix, -1 where it does worse, 0 where the rows do not tell.

        The difference row by row decides; without one, two intervals that lie apart.
        """
        if arm.beside_mix is not None:
            _, low, high = arm.beside_mix
            return ((low > 0) - (high < 0)) * (-1 if self.lower_is_better else 1)
        return self._is_ahead(arm.interval, ours.interval) - self._is_ahead(ours.interval, arm.interval)

    @property
    def sentence(self) -> str:
        """Who wins, no more than the rows say: where they do not tell two apart, neither does this."""
        ours = self.ours
        if ours is None:
            best = self._best(self.scored)
            return NOTHING if best is None else f"{_upper(self._named(best))} is ahead. {NO_MIX}"
        who_wins = f"{self._named(ours)} {self._against_oracle(ours)}{self._against_others(ours)}."
        return _upper(who_wins) + self._unlike(ours)

    def _against_oracle(self, ours: ArmScore) -> str:
        oracle = self.oracle
        if oracle is None:
            return "was scored without the oracle"
        where = f"the oracle ({self.figure(oracle.value)})"
        verdict = self._verdict(oracle, ours)
        if not verdict:
            return f"cannot be told apart from {where}"
        if oracle.beside_mix is not None:
            gap, *ends = map(abs, oracle.beside_mix)
            where += f" by {self.figure(gap)} ({self.figure(min(ends))} to {self.figure(max(ends))})"
        return f"stays behind {where}" if verdict > 0 else f"does better than {where}"

    def _against_others(self, ours: ArmScore) -> str:
        rivals = [arm for arm in self.scored if arm.arm not in (*OURS, ORACLE)]
        better = [arm for arm in self.scored if arm.arm != ORACLE and self._verdict(arm, ours) > 0]
        words = [f"{self._named(arm)} does better" for arm in better]
        for arm in rivals:
            sets = [short(name) for name in self.sets if self._is_ahead_on(name, arm, ours)]
            # An expert on its own set is what the oracle is made of: that has been said.
            is_said = arm in better or (arm.arm == "experts" and self.oracle is not None)
            if sets and not is_said:
                words.append(f"{arm.label} does better on {listed(sets)}")
        close = [arm for arm in rivals if not self._verdict(arm, ours)]
        if close and not words:
            words.append(f"{listed([arm.label for arm in close])} cannot be told apart from the mix")
        if rivals and not words:
            words.append("every other arm stays behind the mix")
        return "".join(f"; {each}" for each in words)

    def _unlike(self, ours: ArmScore) -> str:
        """What makes the comparison uneven: arms that learned from another number of rows than the mix."""
        learned = [arm for arm in self.scored if arm.arm not in OURS and arm.trained]
        others = [arm for arm in learned if ours.trained and arm.trained != ours.trained]
        if not others:
            return ""
        names = _upper(listed([arm.label for arm in others]))
        rows = listed([f"{number:,}" for number in dict.fromkeys(arm.trained for arm in others)])
        return f" {names} learned from {rows} rows, the mix from {ours.trained:,}."

    def _is_ahead_on(self, name: str, one: ArmScore, other: ArmScore) -> bool:
        if name not in one.sets or name not in other.sets:
            return False
        return self._is_ahead(one.sets[name][1:], other.sets[name][1:])

    # elsewhere

    @property
    def table(self) -> list[list[str]]:
        """Head and rows as text; an arm without numbers has its reason in the place of the mean."""
        rows = [[*HEAD, *map(short, self.sets), *TAIL]]
        for arm in self.arms:
            if arm.missing:
                rows.append([arm.label, arm.missing, *[""] * (len(rows[0]) - 2)])
                continue
            sets = [self.figure(arm.sets[name][0]) if name in arm.sets else "" for name in self.sets]
            rows.append(
                [
                    arm.label,
                    *map(self.figure, (arm.value, *arm.interval)),
                    *sets,
                    *(map(self.figure, arm.beside_mix) if arm.beside_mix else ("", "", "")),
                    str(arm.trained),
                    str(arm.parameters),
                    f"{arm.seconds:.1f}",
                ]
            )
        return rows

    @property
    def caption(self) -> str:
        """What the numbers are of."""
        what = "nats per token, less is better" if self.lower_is_better else "share of exact answers"
        slid = listed([f"{name} at rank {rank}" for name, rank in self.ranks.items()])
        mix = f"{self.mix} with {slid}" if slid else self.mix
        return f"{mix}: {what}, mean of {listed([short(name) for name in self.sets])}, {self.n:,} rows"

    @property
    def markdown(self) -> str:
        head, *rows = [[cell.replace("|", "\\|") for cell in row] for row in self.table]
        lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"{self.caption}\n\n{table}\n\n{self.sentence}\n"

    @property
    def csv(self) -> str:
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerows(self.table)
        return file.getvalue()


NOTHING = "No arm could be scored."
NO_MIX = "Tick soft, top-k or hard to see the mix beside it."


def short(name: str) -> str:
    """A test set's name without what all of them end with."""
    return name.removesuffix(".heldout")


def _upper(words: str) -> str:
    return words[:1].upper() + words[1:]
