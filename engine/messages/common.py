"""What every message is made of: the frozen struct, errors, and the words that fields choose from."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "PROTOCOL",
    "Activation",
    "Arm",
    "Error",
    "GateMode",
    "JobState",
    "RankOrder",
    "RouterInput",
    "RouterShare",
    "Struct",
]


PROTOCOL = 5

JobState = Literal["queued", "running", "paused", "done", "failed", "cancelled", "held"]
RouterInput = Literal["local", "context"]
RouterShare = Literal["projection", "group", "layer"]
Activation = Literal["softmax", "sigmoid"]
GateMode = Literal["soft", "topk", "hard"]
RankOrder = Literal["", "energy", "spread"]
"""Which columns rank b of an adapter keeps: the first b of each projection as its file has them; the b of
most energy (SVD order); or of all projections together the b * (their number) of most energy, so that one
takes more and another less."""
Arm = Literal[
    "base", "experts", "oracle", "uniform", "learned", "arrow", "xlora", "lora", "soft", "topk", "hard"
]


class Struct(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all messages: immutable, keyword-only, tagged with its own class name."""


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """What a person reads when something failed: a sentence, a next step, and details behind a fold.

    ``code`` is for machines: usage, missing, data, adapter, base, refused, disk, database, busy, cancelled,
    crashed, held, protocol, failed; of the Hub: offline, sign-in, gated, limited (try again later),
    changed. The command line maps ``usage`` to exit 2, ``refused`` to 3, ``cancelled`` to 130 and
    everything else to 1.
    """

    code: str
    message: str
    hint: str = ""
    detail: str = ""
