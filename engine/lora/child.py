"""What a process without torch has done with an adapter by a child of its own:

python -m engine.lora.child PARENT order SOURCE TARGET
python -m engine.lora.child PARENT weigh SOURCE TARGET MOMENTS
python -m engine.lora.child PARENT cut SOURCE TARGET RANK ORDER [SOURCE TARGET RANK ORDER ...]
python -m engine.lora.child PARENT spectrum SOURCE
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec
import torch

from engine.formats.errors import StudioError
from engine.formats.walls import die_with
from engine.lora import Adapter, in_order, read_adapter, svd_order, write_adapter
from engine.lora.order import difference, energy, order_notes
from engine.lora.spectrum import spectrum
from engine.lora.weighing import Moments, weigh
from engine.messages import RankOrder, Spectrum

__all__ = ["main"]


def main(parent: str, what: str, *words: str) -> None:
    """Do it, unless the process of the number ``parent`` has gone. stdout is one JSON object: {"error":
    [code, message, hint]}, or the answer."""
    die_with(int(parent))
    torch.set_num_threads(1)  # small factorisations are many times slower with more
    ways: dict[str, Callable[..., Any]]
    ways = {"order": _order, "weigh": _weigh, "cut": _cut, "spectrum": _spectrum}
    try:
        answer, failed = ways[what](*words), False
    except StudioError as error:
        answer, failed = {"error": [error.code, error.message, error.hint]}, True
    print(msgspec.json.encode(answer).decode())
    sys.exit(failed)


def _order(source: str, target: str) -> dict[str, Any]:
    """Write an adapter in order of energy."""
    adapter = read_adapter(source)
    return _write(adapter, svd_order(adapter), target)


def _weigh(source: str, target: str, moments: str) -> dict[str, Any]:
    """Write an adapter, which is in order of energy, in that of what it says on data."""
    adapter, gathered = read_adapter(source), Moments.load(moments)
    ordered, plain = weigh(adapter, gathered)
    worth = _write(adapter, ordered, target)
    read = f"{gathered.rows:,} of {gathered.of:,}" if gathered.rows < gathered.of else f"{gathered.rows:,}"
    return worth | {"plain": plain, "notes": [f"Weighed on {read} rows.", *worth["notes"]]}


def _write(adapter: Adapter, ordered: Adapter, target: str) -> dict[str, Any]:
    """Write what an adapter has become, and say what that is worth."""
    notes = order_notes(ordered)
    write_adapter(ordered, target)
    return {"energy": energy(ordered), "apart": difference(adapter, ordered), "notes": notes}


def _cut(source: str, target: str, rank: str, order: RankOrder, *more: Any) -> dict[str, Any]:
    """Write what an adapter plays at a rank; then ``more`` of them."""
    adapter = in_order(read_adapter(source), order)
    if order:
        order_notes(adapter)  # which refuses one that has nothing to order
    write_adapter(adapter, target, rank=int(rank))
    return _cut(*more) if more else {}


def _spectrum(source: str) -> Spectrum:
    return spectrum(read_adapter(source))


if __name__ == "__main__":
    main(*sys.argv[1:])
