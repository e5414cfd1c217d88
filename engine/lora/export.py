"""Write an adapter in order, whole or cut: ``python -m engine.lora.export SOURCE TARGET [RANK]``."""

from __future__ import annotations

import json
import sys
from typing import Any

import torch

from engine.formats.errors import StudioError
from engine.lora import read_adapter, svd_order, write_adapter
from engine.lora.order import difference, energy, order_notes


def main(source: str, target: str, rank: str = "") -> None:
    """Order by energy (exact, see ``svd_order``) what has no order yet, then cut to ``rank``. Without a rank
    it is the order itself that is wanted. stdout is one JSON object: {"error": [code, message, hint]}, or
    what the order is worth: {"energy", "apart", "notes"}.
    """
    torch.set_num_threads(1)  # small factorisations are many times slower with more
    try:
        answer = _ordered(source, target) if not rank else _cut(source, target, int(rank))
    except StudioError as error:
        answer = {"error": [error.code, error.message, error.hint]}
    print(json.dumps(answer))
    sys.exit("error" in answer)


def _ordered(source: str, target: str) -> dict[str, Any]:
    adapter = read_adapter(source)
    ordered = svd_order(adapter)
    notes = order_notes(ordered)
    write_adapter(ordered, target)
    return {"energy": energy(ordered), "apart": difference(adapter, ordered), "notes": notes}


def _cut(source: str, target: str, rank: int) -> dict[str, Any]:
    adapter = read_adapter(source)
    write_adapter(svd_order(adapter) if adapter.kind == "lora" else adapter, target, rank=rank)
    return {}


if __name__ == "__main__":
    main(*sys.argv[1:])
