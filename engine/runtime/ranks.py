"""Quality by rank: one adapter at many ranks, which are rows of one batch."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from functools import partial

import numpy
import torch
from msgspec.structs import replace
from transformers import DynamicCache

from engine.formats.dataset import read_rows
from engine.formats.errors import StudioError
from engine.formats.studio_file import check_rank
from engine.lora import Bank, Gates
from engine.lora.adapter import Adapter
from engine.lora.order import energy, order_notes
from engine.messages import MeasureRanks, Part, RankCurve, RankPoint, Scoring
from engine.runtime.base import Base
from engine.runtime.checking import check
from engine.runtime.decoding import PASSES, measure_speeds
from engine.runtime.intervals import Numbers
from engine.runtime.opening import Opening
from engine.runtime.scoring import Measured, Speaker, matches, read_examples
from engine.runtime.voices import Voices
from engine.training.play import play
from engine.training.text import Example, collate, completion_logits, completion_loss

__all__ = ["measure_ranks"]

MOST = 64
"""Ranks of one curve."""
APART = 3
"""Prompts that are told because ranks part on them."""
LIKELY = 0.9
"""Share of first tokens that were right from which on prompts and references are read in one pass: it takes
less than two, unless the references of more than a few rows are read in vain."""

Steps = Generator[Scoring | None, None, RankCurve]


def measure_ranks(voices: Voices, request: MeasureRanks, folder: str, data: str) -> Steps:
    """Score the adapter in ``folder`` at every rank on the rows of the file ``data``.

    The values are those of ``score`` at each rank alone (up to near ties, where a number format is coarse).
    All ranks are rows of one batch, and no answer is written that need not be (see ``check``). Yields after
    every pass, a Scoring of the highest rank after every batch. StudioError for a rank that the adapter has
    not, DataError for a file that cannot be used.
    """
    base = voices.base
    part = Part(name=request.adapter, order=request.order)
    with voices.hold([part], None, {f"adapter:{part.name}": folder}) as voice:
        bank = voice.bank
        assert bank is not None
        adapter = bank.adapters[request.adapter]
        ranks = _ranks(request, adapter)
        examples = read_examples(base, data, request.limit)
        gates = [bank.new_gates({request.adapter: 1.0}, {request.adapter: rank}) for rank in ranks]
        curve = _Curve(base, bank, gates, examples)
        yield from curve.open()
        # Neighbours of like length need little padding.
        order = sorted(
            range(len(examples)), key=lambda number: (examples[number].asked, len(examples[number].ids))
        )
        size = max(1, request.batch_size // len(ranks))
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            yield from curve.exact(chosen) if request.metric == "exact" else curve.loss(chosen)
            done = order[: start + size]
            value = float(curve.totals[-1, done].sum() / curve.counts[done].sum())
            yield Scoring(done=len(done), total=len(order), value=value)
        prompt = examples[order[0]]
        speeds = []
        if request.speed:
            speeds = yield from measure_speeds(base, bank, gates, prompt.ids[: prompt.asked])
    told = _told(request, adapter, ranks, curve, speeds)
    return replace(told, apart=_apart(curve, data)) if request.metric == "exact" else told


def _ranks(request: MeasureRanks, adapter: Adapter) -> list[int]:
    """The ranks to measure, each once and in order: those that were asked for, or 1, 2, 4 ... and all, as far
    as it was trained at them."""
    powers = {1 << power for power in range(adapter.rank.bit_length())}
    own = {adapter.low, *(power for power in powers if power > adapter.low), adapter.rank}
    ranks = sorted({*request.ranks} or own)
    for rank in ranks:
        check_rank(request.adapter, rank, adapter.low, adapter.rank)
    if len(ranks) > MOST:
        raise StudioError("usage", f"{len(ranks)} ranks are too many for one curve.", f"Name {MOST} at most.")
    return ranks


class _Curve:
    """What each rank gave on each example: ``totals`` [ranks, examples], ``counts`` [examples]."""

    def __init__(self, base: Base, bank: Bank, gates: Sequence[Gates], examples: Sequence[Example]) -> None:
        self.totals: Numbers = numpy.zeros((len(gates), len(examples)))
        self.counts: Numbers = numpy.zeros(len(examples))
        self._base = base
        self._bank = bank
        self._gates = gates
        self._examples = examples
        # A DoRA at a part of its rank has a B of its own, so it cannot be one row of many.
        alone = any(one.cut_doras for one in gates)
        places = range(len(gates))
        self._parts = [[place] for place in places] if alone else [list(places)]
        self._openings = [Opening(base, examples) for _ in self._parts]
        self._begun_right = self._begun = 0

    def open(self) -> Generator[None, None, None]:
        """Read what all prompts begin with, at every rank."""
        for places, opening in zip(self._parts, self._openings, strict=True):
            opening.read(self._playing([self._gates[place] for place in places]), len(places))
            yield

    def loss(self, chosen: Sequence[int]) -> Generator[None, None, None]:
        """Nats and learned tokens of the examples of these numbers."""
        for places, opening in zip(self._parts, self._openings, strict=True):
            rest = [_without(self._examples[number], opening.length) for number in chosen]
            batch = collate(rest * len(places), self._base.device)
            cache = self._cache(opening, len(places), len(chosen)) if opening.length else None
            with torch.no_grad(), self._playing([self._gates[place] for place in places for _ in chosen]):
                logits = completion_logits(self._base.model, batch, cache=cache)
            tokens = completion_loss(logits, batch, reduction="none").double()
            counts = batch.learned.sum(1)
            sums = [float(part.sum()) for part in torch.split(tokens, counts.tolist())]
            self.totals[numpy.ix_(places, chosen)] = numpy.reshape(sums, (len(places), len(chosen)))
            self.counts[chosen] = counts[: len(chosen)].cpu().numpy()
            yield

    def exact(self, chosen: Sequence[int]) -> Generator[None, None, None]:
        """1 or 0 for each example, and 1 each. What the check leaves open is written on to its end."""
        self.counts[chosen] = 1
        for places, opening in zip(self._parts, self._openings, strict=True):
            rows = [(place, number) for place in places for number in chosen]
            examples = [self._examples[number] for _, number in rows]
            gates = [self._gates[place] for place, _ in rows]
            cache = self._cache(opening, len(places), len(chosen))
            playing = partial(self._playing, gates)
            likely = self._begun_right > LIKELY * self._begun
            verdicts = yield from check(self._base, examples, playing, cache, opening.length, likely)
            open_ = []
            for (place, number), (hit, begun) in zip(rows, verdicts, strict=True):
                example = self._examples[number]
                self._begun_right += begun[:1] == example.ids[example.asked : example.asked + 1]
                self.totals[place, number] = hit or 0.0
                if hit is None:
                    open_.append((place, number, begun))
            self._begun += len(rows)
            if open_:
                yield from self._write_on(open_)

    def _write_on(self, open_: Sequence[tuple[int, int, list[int]]]) -> Generator[None, None, None]:
        rows = [self._gates[place] for place, _, _ in open_]
        speaker = Speaker(self._base.model, partial(self._playing, rows))
        examples = [self._examples[number] for _, number, _ in open_]
        hits, _ = yield from matches(self._base, speaker, examples, [begun for _, _, begun in open_])
        for (place, number, _), hit in zip(open_, hits, strict=True):
            self.totals[place, number] = hit

    @staticmethod
    def _cache(opening: Opening, places: int, chosen: int) -> DynamicCache:
        return opening.cache([place for place in range(places) for _ in range(chosen)])

    def _playing(
        self, gates: Sequence[Gates], rows: Sequence[int] | None = None
    ) -> AbstractContextManager[None]:
        """Around a pass over those of the rows that ``gates`` play which have these numbers; None: all."""
        chosen = gates if rows is None else [gates[row] for row in rows]
        return play(self._bank, chosen[0] if len(set(chosen)) == 1 else self._bank.new_rows(chosen))


def _without(example: Example, opened: int) -> Example:
    return Example(example.ids[opened:], example.asked - opened)


def _apart(curve: _Curve, data: str) -> list[str]:
    """The first prompts of the file on which not all ranks are right, nor all wrong."""
    parted = numpy.flatnonzero(numpy.ptp(curve.totals, axis=0) > 0)[:APART]
    rows = read_rows(data, int(parted[-1]) + 1) if len(parted) else []
    return [rows[place].prompt for place in parted]


def _told(
    request: MeasureRanks, adapter: Adapter, ranks: Sequence[int], curve: _Curve, speeds: Sequence[float]
) -> RankCurve:
    kept = energy(adapter) if adapter.kind == "svd" else None
    points = []
    for place, (rank, totals) in enumerate(zip(ranks, curve.totals, strict=True)):
        measured = Measured(totals, curve.counts)
        points.append(
            RankPoint(
                rank=rank,
                value=measured.value,
                interval=measured.interval(request.metric),
                bytes=adapter.bytes_at(rank),
                energy=None if kept is None else kept[rank - 1],
                tokens_per_second=speeds[place] if speeds else None,
            )
        )
    notes = [UNORDERED] if adapter.kind == "lora" else order_notes(adapter) if kept else []
    if speeds:
        notes.append(
            f"Tokens a second are of {PASSES} passes at each rank, one answer alone, written in turns here."
        )
    return RankCurve(
        metric=request.metric,
        n=len(curve.counts),
        kind=adapter.kind,
        points=points,
        notes=notes,
    )


UNORDERED = (
    "Its columns have no order, so a lower rank of it is an arbitrary part. In order, every rank is the best "
    "of its rank."
)
