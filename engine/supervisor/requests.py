"""What the engine does for a client: every request, answered by the room that it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from engine import messages
from engine.formats.adapter_file import inspect_folder
from engine.formats.dataset import describe
from engine.formats.errors import StudioError
from engine.messages import Body, Part
from engine.supervisor.doctor import examine
from engine.supervisor.home import Home
from engine.supervisor.jobs import Jobs
from engine.supervisor.library import Library
from engine.supervisor.runtimes import Runtimes

__all__ = ["Requests"]

Say = Callable[[Body], None]
Live = messages.Generate | messages.Route | messages.Score


class Requests:
    """``status`` and ``stop`` are the engine's own."""

    def __init__(
        self,
        home: Home,
        library: Library,
        jobs: Jobs,
        runtimes: Runtimes,
        status: Callable[[], messages.EngineStatus],
        stop: Callable[[], None],
    ) -> None:
        self._home = home
        self._library = library
        self._jobs = jobs
        self._runtimes = runtimes
        self._status = status
        self._stop = stop

    async def perform(self, body: Any, say: Say) -> Body:
        """The answer to a request, ``say`` its progress. StudioError when it cannot be given."""
        match body:
            case messages.Generate() | messages.Route() | messages.Score():
                return await self._live(body, say)
            case messages.WarmUp(base=base):
                await self._runtimes.ready(self._library.base(base), _in_words(say))
                return messages.Done()
            case messages.Compare() | messages.DropExpert() | messages.CopyMix():
                raise StudioError("failed", f"This engine cannot do {type(body).__name__} yet.")
            case messages.Status():
                return self._status()
            case messages.Shutdown():
                self._stop()
                return messages.Done()
            case messages.RunDoctor():
                return messages.Doctor(checks=await examine(self._home))
        return await self._job(body) or await self._in_library(body)

    async def _job(self, body: Any) -> Body | None:
        jobs = self._jobs
        match body:
            case messages.SubmitJob():
                return await jobs.submit(body)
            case messages.ListJobs():
                return messages.Jobs(jobs=jobs.all())
            case messages.ShowJob(id=job):
                return jobs.show(job)
            case messages.ReadLog(id=job):
                return messages.Log(lines=jobs.log(job))
            case messages.ReadMetrics(id=job, since=since):
                return jobs.metrics(job, since)
            case messages.PauseJob(id=job):
                return await jobs.pause(job)
            case messages.ResumeJob(id=job):
                return await jobs.resume(job)
            case messages.CancelJob(id=job, keep=keep):
                return await jobs.cancel(job, keep)
            case messages.RemoveJob(id=job):
                await jobs.remove(job)
                return messages.Done()
        return None

    async def _in_library(self, body: Any) -> Body:
        library = self._library
        match body:
            case messages.ListAdapters():
                return messages.Adapters(adapters=library.adapters())
            case messages.InspectAdapter(path=path):
                return await asyncio.to_thread(inspect_folder, Path(path).expanduser().absolute())
            case messages.ImportAdapter(path=path, name=name):
                return await library.import_adapter(path, name)
            case messages.VerifyAdapters(name=name):
                return messages.Verified(adapters=await library.verify(name))
            case messages.RemoveAdapter(name=name):
                return messages.Done(path=await library.remove("adapters", name))
            case messages.RestoreAdapter(name=name):
                await library.restore("adapters", name)
                return library.adapter(name)
            case messages.ExportAdapter(name=name, folder=folder, rank=rank):
                return messages.Done(path=await library.export_adapter(name, folder, rank))
            case messages.ListBases():
                return messages.Bases(bases=library.bases())
            case messages.AddBase(path=path, name=name):
                return await library.add_base(path, name)
            case messages.ListMixes():
                return messages.Mixes(mixes=library.mixes())
            case messages.RemoveMix(name=name):
                return messages.Done(path=await library.remove("mixes", name))
            case messages.RestoreMix(name=name):
                await library.restore("mixes", name)
                return library.mix(name)
            case messages.ListData():
                return messages.DataSets(sets=await asyncio.to_thread(library.starter.data_sets))
            case messages.CheckData(path=path):
                return await asyncio.to_thread(describe, library.data(path))
        raise StudioError("protocol", f"A client may not ask for {type(body).__name__}.")

    # --- live ---

    async def _live(self, request: Live, say: Say) -> Body:
        """Resolve the names in a live request, then hand it to the runtime of its base."""
        wish, mixing = None if isinstance(request, messages.Route) else request.base, request.mixing
        if mixing is None:
            base_name, paths = wish or "", self._adapters(request.parts)
        elif mixing.job:
            job, spec = self._jobs.training_router(mixing.job)
            base_name, paths = spec.base, {}
            _check_mixing(spec.out, base_name, self._experts(spec), wish, request.parts)
            request = msgspec.structs.replace(request, mixing=msgspec.structs.replace(mixing, job=job))
        else:
            mix = self._library.mix(mixing.name)
            base_name, paths = mix.base, {f"mix:{mix.name}": mix.path}
            _check_mixing(mix.name, base_name, mix.experts, wish, request.parts)
        if isinstance(request, messages.Score):
            paths["data"] = str(self._library.data(request.data))
        runtime = await self._runtimes.ready(self._library.base(base_name), _in_words(say))
        return await self._runtimes.ask(runtime, messages.Work(request=request, paths=paths), say)

    def _experts(self, spec: messages.TrainRouter | messages.TrainJoint) -> list[str]:
        match spec:
            case messages.TrainJoint(domains=domains):
                return [domain.expert for domain in domains]
            case messages.TrainRouter(experts=experts, extend=mix):
                return [*(self._library.mix(mix).experts if mix else []), *experts]

    def _adapters(self, parts: list[Part]) -> dict[str, str]:
        return {f"adapter:{part.name}": self._library.adapter(part.name).path for part in parts}


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


def _in_words(say: Say) -> Callable[[str], None]:
    return lambda text: say(messages.Said(text=text))
