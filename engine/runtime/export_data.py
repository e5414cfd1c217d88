"""What an export reads: of each data set the rows that it learns from, and those kept to measure on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.formats.dataset import read_rows
from engine.formats.errors import DataError, StudioError
from engine.formats.files import sha256_file
from engine.messages import ExportMix
from engine.runtime.base import Base
from engine.training.text import Example, encode

__all__ = ["Part", "read_parts"]

HELD_OUT = 5
"""Every fifth row is kept to measure on; the weights and the distillation read the others."""

ANSWERS = 100
"""Rows of a set, at most, that both answer in full, to be compared with the completion."""

PROBE = "random tokens"


@dataclass(frozen=True)
class Part:
    """The examples of one data set: what is learned from, and what is measured on."""

    name: str
    sha256: str
    learn: Sequence[Example]
    test: Sequence[Example]

    @property
    def answered(self) -> Sequence[Example]:
        """What both answer in full."""
        return () if self.name == PROBE else self.test[:ANSWERS]


def read_parts(base: Base, spec: ExportMix, paths: Mapping[str, str], static: bool) -> list[Part]:
    """One part for each data set of ``spec``, ``max_examples`` rows in all, drawn with ``seed``; without
    data random tokens, which only weights that are ``static`` can do with.

    ``paths``: "data:SET". StudioError without data, DataError for a file that cannot be used.
    """
    window = getattr(base.model.config, "max_position_embeddings", None) or spec.max_length
    if not spec.data:
        if not static:
            raise StudioError(
                "usage",
                "This mix decides token by token; a plain LoRA can only stand for its mean over some data.",
                "Choose the data that it shall be averaged on.",
            )
        ids = torch.randint(base.model.config.vocab_size, (4, 32), generator=torch.Generator().manual_seed(0))
        probe = [Example(row, 1) for row in ids.tolist()]
        return [Part(PROBE, "", probe, probe)]
    found = []
    for name in spec.data:
        rows = read_rows(paths[f"data:{name}"])
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(spec.seed))
        chosen = order[: max(2, spec.max_examples // len(spec.data))].tolist()
        examples = encode(base.tokenizer, [rows[n] for n in chosen], min(window, spec.max_length))
        if len(examples) < 2:
            raise DataError(f"{name} has a single row.", "Give at least two: one is kept to measure on.")
        learn = [example for n, example in enumerate(examples) if n % HELD_OUT]
        found.append(Part(name, sha256_file(Path(paths[f"data:{name}"])), learn, examples[::HELD_OUT]))
    return found
