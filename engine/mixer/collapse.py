"""Whether a router has collapsed, said in a sentence with what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from engine.mixer.losses import Routing
from engine.mixer.router import NULL, Router

__all__ = ["RoutingWatch", "collapse"]

ALONE = 0.9
"""Part of the experts' weight from which one, or of all weight from which silence, has taken everything."""
MOST = 0.5
"""Part of the experts' weight from which one that leads almost every token has taken everything too."""
UNUSED = 0.01
"""Part of the weight, and of the tokens led, below which an expert is said to be unused."""
SAME = 0.005
"""Nats between token and expert below which the weights no longer depend on the token."""
FIRST_STEPS = 20
MEMORY = 0.9


def collapse(load: Mapping[str, float], share: Mapping[str, float], spread: float | None = None) -> str:
    """A sentence about what is wrong and what to do; empty when all is well.

    ``load`` is each expert's mean part of the weight and ``share`` the part of the tokens that it leads,
    both where it has a say, the null expert among them; ``spread`` is ``Routing.spread`` (None: not asked).
    A mix of one expert cannot collapse.
    """
    names = [name for name in load if name != NULL]
    if len(names) < 2:
        return ""
    if load.get(NULL, 0.0) > ALONE:
        return (
            f"The null expert has {100 * load[NULL]:.0f} % of the weight, so the experts are hardly heard. "
            "Train on rows of the experts' own tasks, or with a larger balance weight."
        )
    first = max(names, key=load.__getitem__)
    weight, lead = (_part(first, names, values) for values in (load, share))
    if weight > ALONE or (lead > ALONE and weight > MOST):
        return (
            f"{first} has {100 * weight:.0f} % of the experts' weight and leads {100 * lead:.0f} % of their "
            "tokens: the router has collapsed onto one expert. Give it rows of every expert's task, or train "
            "again with a larger balance weight."
        )
    if spread is not None and spread < SAME:
        return (
            "The weights are the same for every token, so the router does not tell texts apart. "
            "Train longer, on more data, or with a smaller balance weight and no positive entropy weight."
        )
    bound = min(UNUSED, 0.1 / len(names))
    unused = [name for name in names if load[name] < bound and share[name] < bound]
    if unused:
        one = len(unused) == 1
        return (
            f"{_listed(unused)} {'is' if one else 'are'} never used. Give the router rows of "
            f"{'its task' if one else 'their tasks'}, or train again with a larger balance weight or a "
            "positive entropy weight."
        )
    return ""


class RoutingWatch:
    """Follows a training's routing, the last steps weighing most, and says when it has collapsed."""

    def __init__(self, router: Router) -> None:
        self._experts = router.experts
        self._presence = (~router.absent).float().mean(0).cpu()
        self._steps = 0
        self._load = self._share = torch.zeros(len(router.experts))
        self._spread = 0.0

    def note(self, seen: Routing) -> None:
        """One more batch."""
        self._steps += 1
        weight = max(1 - MEMORY, 1 / self._steps)
        self._load = torch.lerp(self._load, seen.load.detach().cpu(), weight)
        self._share = torch.lerp(self._share, seen.share.detach().cpu(), weight)
        self._spread += weight * (float(seen.spread.detach()) - self._spread)

    def warning(self, final: bool = False) -> str:
        """``collapse`` as of now. While training goes on the first steps are let pass, and weights that do
        not tell tokens apart yet."""
        if not self._steps or (not final and self._steps < FIRST_STEPS):
            return ""
        load, share = (self._of(values) for values in (self._load, self._share))
        return collapse(load, share, self._spread if final else None)

    def _of(self, values: torch.Tensor) -> dict[str, float]:
        """By expert, as a part of the projections that it has a say on."""
        return dict(zip(self._experts, (values / self._presence).tolist(), strict=True))


def _part(name: str, names: Sequence[str], values: Mapping[str, float]) -> float:
    """What ``name`` has of all that ``names`` have."""
    return values[name] / (sum(values[other] for other in names) or 1.0)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
