"""The gates of a text as a grid: a column per token, a row per layer or projection; and what a cell says."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["EACH", "MEAN", "GateGrid", "certainty", "short", "visible"]

MEAN = "mean"
EACH = "each"


def certainty(gate: NDArray[np.float32], experts: int) -> NDArray[np.float32]:
    """0 where the loudest gate is what chance would give it among ``experts``, 1 where it has everything."""
    chance = 1.0 / max(1, experts)
    return np.clip((gate - chance) / max(1e-6, 1.0 - chance), 0.0, 1.0).astype(np.float32)


class GateGrid:
    """``shown`` [rows, tokens, experts] are the gates as the view wants them: MEAN over the projections of a
    layer, EACH projection a row, or one projection by its name. ``rows`` are (layer, projection).

    ValueError when the shapes of what is given do not agree.
    """

    def __init__(
        self,
        tokens: Sequence[str] = (),
        layers: Sequence[int] = (),
        projections: Sequence[str] = (),
        experts: Sequence[str] = (),
        gates: NDArray[np.float32] | None = None,
    ) -> None:
        gates = np.zeros((0, 0, 0), np.float32) if gates is None else gates.astype(np.float32, copy=False)
        if gates.shape != (len(tokens), len(layers), len(experts)) or len(layers) != len(projections):
            raise ValueError(
                f"gates {gates.shape} are not [{len(tokens)} tokens, {len(layers)} modules, "
                f"{len(experts)} experts], with a layer and a projection for every module"
            )
        self.tokens, self.experts = list(tokens), list(experts)
        self._modules = list(zip(layers, projections, strict=True))
        self._gates = gates
        self.rows: list[tuple[int, str]] = []
        self._members: list[list[int]] = []
        self.shown: NDArray[np.float32] = np.zeros((0, 0, 0), np.float32)

    @property
    def projections(self) -> list[str]:
        """The projections' names in the model's order."""
        return list(dict.fromkeys(projection for _, projection in self._modules))

    def look(self, view: str) -> None:
        """Choose the modules that make up the rows."""
        groups: dict[tuple[int, str], list[int]] = {}
        for module, (layer, projection) in enumerate(self._modules):
            if view == MEAN:
                groups.setdefault((layer, ""), []).append(module)
            elif view in (EACH, projection):
                groups.setdefault((layer, projection), []).append(module)
        self.rows, self._members = list(groups), list(groups.values())
        self.shown = self._averaged(self._gates)

    def append(self, token: str, gates: NDArray[np.float32]) -> None:
        """One more token with its gates [modules, experts]."""
        column = gates.astype(np.float32, copy=False)[None]
        if column.shape[1:] != self._gates.shape[1:]:
            raise ValueError(f"gates {gates.shape} are not [modules, experts] {self._gates.shape[1:]}")
        self.tokens.append(token)
        self._gates = np.concatenate([self._gates, column])
        self.shown = np.concatenate([self.shown, self._averaged(column)], axis=1)

    def _averaged(self, gates: NDArray[np.float32]) -> NDArray[np.float32]:
        shown = np.zeros((len(self.rows), len(gates), len(self.experts)), np.float32)
        for row, modules in enumerate(self._members):
            shown[row] = gates[:, modules].mean(axis=1)
        return shown

    def ranking(self, token: int, row: int) -> list[tuple[str, float]]:
        """Who spoke in a cell and with which gate, the loudest first; empty outside of the grid."""
        if not (0 <= row < len(self.rows) and 0 <= token < len(self.tokens)):
            return []
        gates = self.shown[row, token]
        return [(self.experts[place], float(gates[place])) for place in np.argsort(gates)[::-1]]

    def read(self, token: int, row: int, silent: Collection[str]) -> str:
        """ "reverse 0.93 · layer 3 o_proj · token 'c' · then sort 0.05"."""
        ranking = self.ranking(token, row)
        if not ranking:
            return ""
        (first, gate), *others = ranking
        layer, projection = self.rows[row]
        words = [f"{first}{' (muted)' if first in silent else ''} {gate:.2f}"]
        words.append(f"layer {layer} {projection or 'all projections'}")
        words.append(f"token '{visible(self.tokens[token])}'")
        if others:
            words.append(f"then {others[0][0]} {others[0][1]:.2f}")
        return " · ".join(words)


def short(projection: str) -> str:
    """q_proj -> q."""
    return projection.removesuffix("_proj")


def visible(token: str) -> str:
    """A token as it can be seen: spaces and line ends get a sign."""
    return token.replace("\n", "↵").replace("\t", "⇥").replace(" ", "␣") or "·"
