"""What has to read an adapter's numbers, and so needs torch, which this process does without: a child of its
own does it (see ``engine.lora.child``)."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import msgspec

from engine.formats.errors import StudioError
from engine.messages import RankOrder, Spectrum

__all__ = ["Worth", "read_spectrum", "write_cut", "write_cuts", "write_in_order", "write_weighed"]


class Worth(msgspec.Struct, frozen=True):
    """What an order is worth; fields as in RanksOrdered, ``apart`` its error."""

    energy: list[float]
    apart: float
    notes: list[str]
    plain: list[float] = []


async def write_in_order(source: Path, target: Path) -> Worth:
    """Write an adapter with its columns in order of energy. StudioError where they can have none."""
    return msgspec.json.decode(await _child("order", source, target), type=Worth)


async def write_weighed(source: Path, target: Path, moments: Path) -> Worth:
    """The same of an adapter that is in order, by what it says on the data that ``moments`` were gathered
    from."""
    return msgspec.json.decode(await _child("weigh", source, target, moments), type=Worth)


async def write_cut(source: Path, target: Path, rank: int, order: RankOrder) -> None:
    """Write what an adapter plays at ``rank``."""
    await write_cuts([(source, target, rank, order)])


async def write_cuts(cuts: Sequence[tuple[Path, Path, int, RankOrder]]) -> None:
    """Write what each of some adapters plays at a rank of its own: (source, target, rank, order)."""
    if cuts:
        await _child("cut", *chain.from_iterable(cuts))


async def read_spectrum(source: Path) -> Spectrum:
    """How the energy of an adapter lies in its projections and ranks."""
    return msgspec.json.decode(await _child("spectrum", source), type=Spectrum)


async def _child(*words: object) -> bytes:
    """What the child says. StudioError when it cannot do it; it ends with whoever waits for it."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "engine.lora.child", str(os.getpid()), *map(str, words)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, errors = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode == 0:
        return said
    if said.startswith(b'{"error":'):
        raise StudioError(*msgspec.json.decode(said)["error"])
    lines = errors.decode(errors="replace").strip().splitlines()
    raise StudioError(
        "failed",
        "The adapter's factors could not be worked on.",
        lines[-1] if lines else "",
        "\n".join(lines),
    )
