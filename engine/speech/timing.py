"""When each word was said: what a decoder attends to while it writes a word lies where the word is.

Of all attention heads those are believed whose attention goes through the clip in order, as some do in any
model that transcribes; nothing about a model has to be known beforehand (Whisper's own alignment heads, arXiv
2212.04356, are of this kind). The best monotone path through their mean gives each token its time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["GRID", "attention_kept", "spread", "token_times"]

GRID = 50
"""Steps a second in which times are told."""
BELIEVED = 0.1
"""The share of heads, those that go most in order, whose attention is averaged."""
_TINY = 1e-6


@contextmanager
def attention_kept(
    model: PreTrainedModel, kind: tuple[str, ...], rows: slice, columns: Sequence[int]
) -> Iterator[list[Tensor]]:
    """Inside the block each forward pass leaves [heads, rows, columns] of what one row of a batch attends to,
    for every attention module whose name ends in one of ``kind``. A model without any leaves nothing."""
    kept: list[Tensor] = []
    wanted = torch.as_tensor(columns)

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        weights = output[1] if isinstance(output, tuple) and len(output) > 1 else None
        if isinstance(weights, Tensor) and weights.dim() == 4:
            kept.append(weights[0, :, rows].float()[..., wanted.to(weights.device)].cpu())

    hooks = [
        module.register_forward_hook(keep)
        for name, module in model.named_modules()
        if name.rpartition(".")[2].endswith(kind)
    ]
    own = model.config._attn_implementation
    model.set_attn_implementation("eager")  # the others do not tell what they attend to
    try:
        yield kept
    finally:
        model.set_attn_implementation(own)
        for hook in hooks:
            hook.remove()


def spread(positions: int, rate: float, steps: int) -> Tensor:
    """[positions, steps]: which of ``steps`` on the grid each of ``positions``, ``rate`` a second, covers."""
    edges = torch.arange(positions + 1) * (GRID / rate)
    grid = torch.arange(steps)[None]
    overlap = torch.minimum(edges[1:, None], grid + 1) - torch.maximum(edges[:-1, None], grid)
    return overlap.clamp_min(0) / (GRID / rate)


def token_times(
    attended: Tensor, first: int = 0, last: int | None = None, *, to_the_last: bool = False
) -> list[tuple[float, float]]:
    """(start, end) in seconds of each token, from ``attended`` [heads, tokens, steps]: what each head attends
    to while it writes each token. All lies within the steps from ``first`` to before ``last``, evenly where
    there are no heads. ``to_the_last``: somebody speaks until then, so that the end of the text, which is the
    last of the tokens, gets no time of its own."""
    part = attended[..., first:last]
    if not len(part) or part.shape[-1] < part.shape[1]:  # nothing can be told apart
        edges = torch.linspace(0, part.shape[-1], part.shape[1] + 1)
    else:
        scores = _scores(part)
        order = _path(scores)[0].topk(max(1, round(BELIEVED * len(scores)))).indices
        edges = _path(scores[order].mean(0, keepdim=True))[1][0]
    times = ((edges + first) / GRID).tolist()
    if to_the_last and len(times) > 2:
        del times[-2]  # who writes the end still attends to the last word
    return list(itertools.pairwise(times))


def _scores(attended: Tensor) -> Tensor:
    """How much likelier than any other each token is at each step: logarithms [heads, tokens, steps]."""
    rows = attended / attended.sum(-1, keepdim=True).clamp_min(_TINY) + _TINY
    return (rows / rows.sum(1, keepdim=True)).log()


def _path(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The best way through each of ``scores`` [heads, tokens, steps] with tokens as runs of steps in order:
    its mean score [heads], and where runs begin and the last ends, [heads, tokens + 1]."""
    heads, tokens, steps = scores.shape
    best = scores.new_full((heads, tokens), -torch.inf)
    best[:, 0] = scores[:, 0, 0]
    came = torch.zeros(steps, heads, tokens, dtype=torch.bool)
    for step in range(1, steps):
        before = torch.nn.functional.pad(best[:, :-1], (1, 0), value=-torch.inf)
        came[step] = before > best
        best = torch.maximum(best, before) + scores[..., step]
    edges = torch.full((heads, tokens + 1), steps)
    edges[:, 0] = 0
    token = torch.full((heads,), tokens - 1)
    every = torch.arange(heads)
    for step in range(steps - 1, 0, -1):
        moved = came[step, every, token]
        edges[every[moved], token[moved]] = step
        token = token - moved.long()
    return best[:, -1] / steps, edges
