"""Why this expert: the gates of one token through the depth of the model, and what they say in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.presenters.playing import NULL, listed
from engine.messages import MixCard, RouterInput, RouterShare, Routing, TrainJoint, TrainRouter

__all__ = ["Why", "places", "read_by"]

LAYER = re.compile(r"\.(\d+)\.")
MOST_LAYERS = 3
# A lead counts as clear where the leader has so much more than the next one.
CLEAR = 0.1
READER: dict[RouterShare, str] = {
    "projection": "Each projection's gate reads this token's vector there",
    "group": "Projections of one input (q, k and v; gate and up) share a gate; it reads this token's vector",
    "layer": "One gate serves a whole layer; it reads this token's vector where the layer begins",
}
READS: dict[RouterInput, str] = {
    "context": " and the mean of the text up to it.",
    "local": ", and nothing of the text before it.",
}


def read_by(router: MixCard | TrainRouter | TrainJoint | None) -> str:
    """What the gates of a mix, or of one in training, look at; "" where that is not known."""
    return READER[router.router_share] + READS[router.router_input] if router is not None else ""


def places(modules: Sequence[str]) -> list[tuple[int, str]]:
    """(layer, projection) of every module: "model.layers.3.mlp.up_proj" is (3, "up_proj")."""
    return [
        (int(match.group(1)) if (match := LAYER.search(name)) else 0, name.rpartition(".")[2])
        for name in modules
    ]


@dataclass(frozen=True)
class Why:
    """``gates[module][expert]`` of one ``token``; module m stands at ``rows[m]`` = (layer, projection)."""

    token: str
    rows: tuple[tuple[int, str], ...]
    experts: tuple[str, ...]
    gates: tuple[tuple[float, ...], ...]

    @staticmethod
    def of(routing: Routing, token: int) -> Why | None:
        """None where the text has no such token."""
        if not 0 <= token < len(routing.tokens):
            return None
        return Why(
            routing.tokens[token],
            tuple(places(routing.modules)),
            tuple(routing.experts),
            tuple(map(tuple, routing.gates[token])),
        )

    @property
    def leaders(self) -> list[str]:
        """The loudest expert of every module."""
        return [self.experts[max(range(len(row)), key=row.__getitem__)] for row in self.gates]

    @property
    def shares(self) -> dict[str, float]:
        """Every expert's mean gate over all modules."""
        columns = zip(*self.gates, strict=True)
        return {
            name: sum(column) / len(self.gates) for name, column in zip(self.experts, columns, strict=True)
        }

    @property
    def layers(self) -> dict[int, Counter[str]]:
        """How many projections of each layer everyone leads."""
        found: dict[int, Counter[str]] = {}
        for (layer, _), leader in zip(self.rows, self.leaders, strict=True):
            found.setdefault(layer, Counter())[leader] += 1
        return found

    @property
    def sentences(self) -> list[str]:
        """What the numbers say, and no more."""
        if not self.gates:
            return []
        return [self._lead(), self._shares(), *self._null(), *self._doubt()]

    def _lead(self) -> str:
        counts = Counter(self.leaders)
        shares = self.shares
        leader = max(counts, key=lambda name: (counts[name], shares[name]))
        words = f"{leader} leads in {counts[leader]} of {len(self.gates)} projections"
        layers = self.layers
        if len(layers) == 1:
            return words + "."
        most = max(found[leader] for found in layers.values())
        where = [layer for layer, found in layers.items() if found[leader] == most]
        if counts[leader] == len(self.gates):
            return words + ": in every layer."
        if len(where) <= MOST_LAYERS:
            words += f", most in {_numbered(where)}"
        return words + self._elsewhere(leader, layers) + "."

    def _elsewhere(self, leader: str, layers: dict[int, Counter[str]]) -> str:
        """Where the leader leads nothing, and who does there."""
        quiet = [layer for layer, found in layers.items() if not found[leader]]
        if not quiet or len(quiet) > MOST_LAYERS:
            return f"; it leads nothing in {len(quiet)} of {len(layers)} layers" if quiet else ""
        others = sum((layers[layer] for layer in quiet), Counter[str]())
        return f"; it leads nothing in {_numbered(quiet)}, where {others.most_common(1)[0][0]} leads most"

    def _shares(self) -> str:
        loudest = sorted(self.shares.items(), key=lambda pair: -pair[1])[:3]
        return f"Mean gates: {', '.join(f'{name} {share:.2f}' for name, share in loudest)}."

    def _null(self) -> list[str]:
        share = self.shares.get(NULL)
        return [] if share is None else [f"The null expert holds {share:.2f}: so much is left to the base."]

    def _doubt(self) -> list[str]:
        close = sum(sorted(row)[-1] - sorted(row)[-2] < CLEAR for row in self.gates if len(row) > 1)
        if not close:
            return []
        return [f"In {close} of {len(self.gates)} the first two are less than {CLEAR} apart."]


def _numbered(layers: list[int]) -> str:
    return f"{'layer' if len(layers) == 1 else 'layers'} {listed([str(layer) for layer in layers])}"
