"""Work that a runtime does at once: the names in a request resolved, then asked of its base's runtime."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from msgspec.structs import replace

from engine.formats.errors import StudioError
from engine.messages import (
    Ask,
    Body,
    Compare,
    DropExpert,
    Generate,
    MeasureRanks,
    MixCard,
    Mixing,
    OrderRanks,
    Part,
    Route,
    Said,
    Score,
    Slide,
    TrainJoint,
    TrainRouter,
    Work,
)
from engine.supervisor.home import Home
from engine.supervisor.jobs import Jobs
from engine.supervisor.library import Library
from engine.supervisor.runtimes import Runtimes

__all__ = ["Live", "Say"]

Say = Callable[[Body], None]

VOICES = 64
"""Rows that a comparison may have."""


class Live:
    """Answers, comparisons, routings, scores and curves, and what else needs a base but no job."""

    def __init__(self, home: Home, library: Library, jobs: Jobs, runtimes: Runtimes) -> None:
        self._home = home
        self._library = library
        self._jobs = jobs
        self._runtimes = runtimes

    async def warm_up(self, base: str, say: Say) -> None:
        """Start the runtime of ``base`` and wait until it is ready."""
        await self._runtimes.ready(self._library.base(base), lambda text: say(Said(text=text)))

    async def one(self, request: Generate | Route | Score, say: Say) -> Body:
        """What one voice says, or who speaks in it."""
        wish = None if isinstance(request, Route) else request.base
        base, paths, mixing = self._voice(wish, request.parts, request.mixing)
        if isinstance(request, Score):
            paths["data"] = str(self._library.data(request.data))
        return await self._ask(base, Work(request=replace(request, mixing=mixing), paths=paths), say)

    async def slide(self, request: Slide, say: Say) -> Body:
        """Another rank for an answer that is being said."""
        return await self._ask(request.base, Work(request=request, paths={}), say)

    async def several(self, request: Compare, say: Say) -> Body:
        """What several voices say to one prompt."""
        if not 1 <= len(request.voices) <= VOICES:
            raise StudioError(
                "usage",
                f"{len(request.voices)} voices cannot be compared.",
                f"Name from 1 to {VOICES} of them.",
            )
        paths: dict[str, str] = {}
        for ask in request.voices:
            _check_finished(ask)
            paths |= self._voice(request.base, ask.parts, ask.mixing)[1]
        return await self._ask(request.base, Work(request=request, paths=paths), say)

    async def ranks(self, request: MeasureRanks, say: Say) -> Body:
        """How good an adapter is at each of its ranks."""
        card = self._library.adapter(request.adapter)
        paths = {f"adapter:{card.name}": card.path, "data": str(self._library.data(request.data))}
        return await self._ask(request.base, Work(request=request, paths=paths), say)

    async def gather(self, base: str, request: OrderRanks, paths: dict[str, str], say: Say) -> None:
        """Write what an adapter is to be weighed by; ``paths`` as in Work."""
        await self._ask(base, Work(request=request, paths=paths), say)

    async def drop(self, request: DropExpert, say: Say) -> MixCard:
        """A new mix without one expert of another, made by the runtime and taken into the library."""
        mix = self._library.mix(request.mix)
        self._jobs.check_free("mixes", request.out)
        folder = self._home.tmp / f"mix-{uuid.uuid4().hex}"
        paths = {f"mix:{mix.name}": mix.path, "out": str(folder)}
        await self._ask(mix.base, Work(request=request, paths=paths), say)
        self._jobs.check_free("mixes", request.out)
        licenses = self._library.licenses({}, request.mix)
        await self._library.adopt("mixes", folder, request.out, licenses)
        return self._library.mix(request.out)

    async def _ask(self, base: str, work: Work, say: Say) -> Body:
        runtime = await self._runtimes.ready(self._library.base(base), lambda text: say(Said(text=text)))
        return await self._runtimes.ask(runtime, work, say)

    def _voice(
        self, wish: str | None, parts: list[Part], mixing: Mixing | None
    ) -> tuple[str, dict[str, str], Mixing | None]:
        """The base that a voice is heard on, the folders behind its names, and its mixing with a job in
        full."""
        if mixing is None:
            paths = {f"adapter:{part.name}": self._library.adapter(part.name).path for part in parts}
            return wish or "", paths, None
        if mixing.job:
            job, spec = self._jobs.training_router(mixing.job)
            base = self._library.base_name(spec.base)
            _check_mixing(spec.out, base, self._experts(spec), wish, parts)
            return base, {}, replace(mixing, job=job)
        mix = self._library.mix(mixing.name)
        _check_mixing(mix.name, mix.base, mix.experts, wish, parts)
        return mix.base, {f"mix:{mix.name}": mix.path}, mixing

    def _experts(self, spec: TrainRouter | TrainJoint) -> list[str]:
        if isinstance(spec, TrainJoint):
            return [domain.expert for domain in spec.domains]
        return [*(self._library.mix(spec.extend).experts if spec.extend else []), *spec.experts]


def _check_finished(ask: Ask) -> None:
    if ask.mixing is not None and ask.mixing.job:
        raise StudioError(
            "usage",
            "A mix that still trains changes between two tokens, so it cannot be heard beside others.",
            "Ask it by itself.",
        )


def _check_mixing(name: str, base: str, experts: list[str], wish: str | None, parts: list[Part]) -> None:
    """StudioError("usage") for a mix that is asked on another base, or for a fader that it has not."""
    if wish is not None and wish != base:
        raise StudioError(
            "usage", f"The mix {name} was trained on {base}, not on {wish}.", "Choose its own base."
        )
    for part in parts:
        if part.name not in experts:
            raise StudioError(
                "usage", f"{part.name} is no expert of {name}.", f"It has {', '.join(experts)}."
            )
