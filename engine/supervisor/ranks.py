"""Adapters made of others' ranks, in order or baked at one; and how an adapter's energy lies in its ranks."""

from __future__ import annotations

import asyncio
import shutil
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import msgspec
import yaml  # type: ignore[import-untyped]

from engine.formats.adapter_file import GATE
from engine.formats.errors import StudioError
from engine.formats.files import sha256_file
from engine.formats.studio_file import check_rank
from engine.messages import AdapterCard, BakeRank, Body, OrderRanks, RanksOrdered, ReadSpectrum, Spectrum
from engine.supervisor.entry import origin_now
from engine.supervisor.factors import read_spectrum, write_cut, write_in_order, write_weighed
from engine.supervisor.home import Home
from engine.supervisor.jobs import Jobs
from engine.supervisor.library import Library
from engine.supervisor.live import Live, Say
from engine.supervisor.readme import README
from engine.supervisor.results import base_hashes

__all__ = ["Ranks"]

KEPT = 64
"""Spectra that need not be worked out again."""


class Ranks:
    """What is asked of an adapter's ranks beside playing them. ``live`` gathers what one is weighed by."""

    def __init__(self, home: Home, library: Library, jobs: Jobs, live: Live) -> None:
        self._home = home
        self._library = library
        self._jobs = jobs
        self._live = live
        self._spectra: OrderedDict[str, Spectrum] = OrderedDict()
        self._reading = asyncio.Lock()

    async def perform(self, body: Any, say: Say) -> Body:
        """The answer to a request of ``requests.RANKS``. StudioError when it cannot be given."""
        match body:
            case OrderRanks():
                return await self._order(body, say)
            case BakeRank():
                return await self._bake(body)
            case ReadSpectrum(adapter=name):
                return await self._spectrum(self._library.adapter(name))
        raise StudioError("protocol", f"A client may not ask for {type(body).__name__}.")

    async def _spectrum(self, card: AdapterCard) -> Spectrum:
        """One at a time: who leafs through the library asks for many, and waits for the last."""
        async with self._reading:
            if card.sha256 not in self._spectra:
                self._spectra[card.sha256] = await read_spectrum(Path(card.path))
            self._spectra.move_to_end(card.sha256)
            while len(self._spectra) > KEPT:
                self._spectra.popitem(last=False)
            return self._spectra[card.sha256]

    async def _bake(self, request: BakeRank) -> AdapterCard:
        card = self._library.adapter(request.adapter)
        check_rank(card.name, request.rank, card.low, card.rank)
        self._jobs.check_free("adapters", request.out)
        with self._room() as room:
            await write_cut(Path(card.path), room / "out", request.rank, request.order)
            said = f"{card.description} " if card.description else ""
            head = yaml.safe_dump({"license": card.license}) if card.license else ""
            text = f"---\n{head}---\n\n{said}Rank {request.rank} of {card.name}.\n"
            (room / "out" / README).write_text(text, encoding="utf-8")
            return await self._adopt(room / "out", card, request)

    async def _order(self, request: OrderRanks, say: Say) -> RanksOrdered:
        card = self._library.adapter(request.adapter)
        base, data = self._weighing(request, card)
        self._jobs.check_free("adapters", request.out)
        with self._room() as room:
            out, moments = room / "plain", room / "moments"
            hashes: dict[str, str] = {}
            worth = await write_in_order(Path(card.path), out)
            error = worth.apart
            if data is not None:
                paths = {f"adapter:{card.name}": str(out), "data": str(data), "out": str(moments)}
                await self._live.gather(base, request, paths, say)
                worth = await write_weighed(out, room / "weighed", moments)
                out, error = room / "weighed", error + worth.apart
                hashes["data"] = await asyncio.to_thread(sha256_file, data)
            if (readme := Path(card.path, README)).is_file():
                await asyncio.to_thread(shutil.copyfile, readme, out / README)
            made = await self._adopt(out, card, request, base, hashes)
        return RanksOrdered(card=made, energy=worth.energy, plain=worth.plain, error=error, notes=worth.notes)

    def _weighing(self, request: OrderRanks, card: AdapterCard) -> tuple[str, Path | None]:
        """The base and the data that an adapter is weighed on; "" and None for its own weights alone."""
        if not request.data:
            if request.base:
                raise StudioError(
                    "usage", "A base alone says nothing: it has to read data.", "Give data, or no base."
                )
            return "", None
        base = request.base or card.base
        if not base:
            raise StudioError("usage", f"{card.name} does not say for which base it is.", "Name a base.")
        return self._library.base(base).name, self._library.data(request.data)

    @contextmanager
    def _room(self) -> Iterator[Path]:
        """A folder for what is on its way."""
        with TemporaryDirectory(prefix="ranks-", dir=self._home.tmp) as room:
            yield Path(room)

    async def _adopt(
        self,
        folder: Path,
        source: AdapterCard,
        request: BakeRank | OrderRanks,
        base: str = "",
        data: Mapping[str, str] = MappingProxyType({}),
    ) -> AdapterCard:
        """Take what was made of ``source`` into the library; a gate of its own goes along. ``base`` and
        ``data`` {what: sha256} are those that it was weighed on."""
        gate = Path(source.path, GATE)
        if gate.is_file():
            await asyncio.to_thread(shutil.copyfile, gate, folder / GATE)
        read = await asyncio.to_thread(base_hashes, self._library, base) if base else {}
        origin = origin_now(spec=msgspec.to_builtins(request), data=dict(data), base=read)
        self._jobs.check_free("adapters", request.out)
        await self._library.adopt("adapters", folder, request.out, origin=origin)
        return self._library.adapter(request.out)
