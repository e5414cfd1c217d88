"""Static gates without the columns that they silence, where these are most: one expert of many, a low
rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.lora.stack import Group

__all__ = ["Packed", "pack"]

_MOST = 0.5


@dataclass(frozen=True, eq=False)
class Packed:
    """The columns of a group that are heard: ``A`` [d_in, R'] with their levels folded in, how many are
    each module's, and each module's rows of B."""

    A: Tensor
    sizes: list[int]
    B: tuple[Tensor, ...]

    def __call__(self, flat: Tensor) -> Sequence[tuple[Tensor, Tensor]]:
        """(g * (A_cat x), B) for each module: what ``Gates.columns`` answers."""
        return tuple(zip(torch.mm(flat, self.A).split_with_sizes(self.sizes, 1), self.B, strict=True))


def pack(group: Group, levels: Tensor) -> Packed | None:
    """``group`` under ``levels`` [1, R]; None where more than half of it is heard, or where a DoRA, a bias or
    an embedding takes part: then the whole stack is played.

    It costs a copy of what is heard, once after gates were made or moved, and it pays (measured with six
    experts of rank 16 on a Llama 1024 wide, one heard): decoding and reading a prompt take 1.04 of the base's
    time instead of 1.13 and 1.14.
    """
    if group.ones is not None or group.embedding:
        return None
    heard = levels[0] != 0
    if int(heard.sum()) > _MOST * len(heard):
        return None
    parts = torch.split(heard, group.sizes)
    with torch.inference_mode(False), torch.no_grad():  # gradient may flow through what is read, not to it
        A = (group.A[heard] * levels[0, heard, None]).t()
        B = tuple(site.B[part] for site, part in zip(group.sites, parts, strict=True))
    return Packed(A, [int(part.sum()) for part in parts], B)
