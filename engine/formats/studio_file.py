"""studio.json: what PEFT has no word for, how an adapter may be cut to a lower rank."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

from engine.formats.adapter_config import AdapterConfig
from engine.formats.errors import AdapterError, StudioError
from engine.formats.plain import load_json

__all__ = ["STUDIO", "Cutting", "check_rank", "check_ranks", "parse_studio", "read_studio", "studio_text"]

STUDIO = "studio.json"
SCALING = {"svd": "constant", "dylora": "alpha/rank"}
"""By kind of adapter what becomes of its scale when columns are cut. A file that does not say it would be
played too loud or too soft in silence."""

_AGAIN = "Export the adapter again."


@dataclass(frozen=True)
class Cutting:
    """How an adapter may be cut. ``kind`` is "lora" (its columns have no order), "svd" (ordered by energy;
    where ``weighed`` by that of what they say on data) or "dylora" (trained at every rank from ``low`` on).
    """

    kind: str = "lora"
    low: int = 1
    weighed: bool = False


def read_studio(folder: Path, config: AdapterConfig, highest: int) -> Cutting:
    """What the adapter in ``folder``, whose largest rank is ``highest``, says of itself; without the file it
    is a plain LoRA. AdapterError for what is unknown here, or contradicts the rest of it."""
    return (
        parse_studio(load_json(folder / STUDIO), config, highest) if (folder / STUDIO).exists() else Cutting()
    )


def parse_studio(card: Mapping[str, Any], config: AdapterConfig, highest: int) -> Cutting:
    """The same of the file's content."""
    kind, scaling = str(card.get("kind", "")), card.get("scaling")
    if kind == "lora":
        return Cutting()
    if not kind:
        raise AdapterError(f"Its {STUDIO} does not say of which kind it is.", _AGAIN)
    if kind not in SCALING:
        raise AdapterError(
            f"This version cannot play adapters of the kind {kind[:40]!r}.",
            "A newer version of the studio wrote it.",
        )
    if scaling != SCALING[kind]:
        said = f"says {str(scaling)[:40]!r} of" if scaling else "does not say"
        raise AdapterError(
            f"Its {STUDIO} {said} how its scale changes with its rank, so its strength cannot be known.",
            f"Of this kind it is {SCALING[kind]!r}; export the adapter again.",
        )
    if kind == "dylora" and (config.dora or config.rslora):
        method = "a DoRA" if config.dora else "rank-stabilised"
        raise AdapterError(
            f"It says to be trained at every rank and to be {method}; the two contradict each other.", _AGAIN
        )
    return Cutting(kind, _low(kind, card, highest), card.get("energy") == "data")


def _low(kind: str, card: Mapping[str, Any], highest: int) -> int:
    """The lowest of the ranks that a file names, which end with ``highest``; it may name none."""
    ranks = card.get("ranks")
    if ranks is None:
        return 1
    whole = isinstance(ranks, list) and ranks and all(type(rank) is int for rank in ranks)
    low = ranks[0] if whole else 0
    if not 1 <= low <= highest or ranks != list(range(low, highest + 1)):
        raise AdapterError(
            f"Its {STUDIO} says that it has ranks {str(ranks)[:40]}, but its factors have 1 to {highest}.",
            _AGAIN,
        )
    if kind == "svd" and low > 1:
        raise AdapterError(
            f"Its {STUDIO} says that its ranks begin at {low}, but columns in order begin at 1.", _AGAIN
        )
    return low


def studio_text(cutting: Cutting, highest: int) -> str:
    """The content of the file, for an adapter that is more than a plain LoRA."""
    card = {
        "kind": cutting.kind,
        "scaling": SCALING[cutting.kind],
        "ranks": list(range(cutting.low, highest + 1)),
    }
    return json.dumps(card | ({"energy": "data"} if cutting.weighed else {}), indent=2) + "\n"


def check_rank(name: str, rank: int, low: int, high: int) -> None:
    """StudioError("usage") for a rank that the adapter ``name`` does not have, or was not trained at."""
    if isinstance(rank, Integral) and low <= rank <= high:
        return
    what = "has" if low == 1 else "was trained at"
    span = f"ranks {low} to {high}" if low < high else f"rank {high} alone"
    hint = "Choose one of these, or none for all of it."
    raise StudioError("usage", f"{name} {what} {span}, not {rank}.", hint)


def check_ranks(ranks: Mapping[str, int], spans: Mapping[str, tuple[int, int]]) -> None:
    """StudioError("usage") for a rank of an expert that is not among ``spans`` {name: (lowest, highest)}, or
    that it does not have."""
    for name, rank in ranks.items():
        if name not in spans:
            raise StudioError(
                "usage", f"{name} takes no part, so it can have no rank.", f"Name one of {', '.join(spans)}."
            )
        check_rank(name, rank, *spans[name])
