"""What the engine does for a client: every request, answered by the room that it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import messages
from engine.formats.adapter_file import inspect_folder
from engine.formats.dataset import describe
from engine.formats.errors import StudioError
from engine.messages import Body
from engine.supervisor.doctor import examine
from engine.supervisor.home import Home
from engine.supervisor.jobs import Jobs
from engine.supervisor.library import Library
from engine.supervisor.live import Live, Say

__all__ = ["Requests"]


class Requests:
    """``status`` and ``stop`` are the engine's own."""

    def __init__(
        self,
        home: Home,
        library: Library,
        jobs: Jobs,
        live: Live,
        status: Callable[[], messages.EngineStatus],
        stop: Callable[[], None],
    ) -> None:
        self._home = home
        self._library = library
        self._jobs = jobs
        self._live = live
        self._status = status
        self._stop = stop

    async def perform(self, body: Any, say: Say) -> Body:
        """The answer to a request, ``say`` its progress. StudioError when it cannot be given."""
        match body:
            case messages.Generate() | messages.Route() | messages.Score():
                return await self._live.one(body, say)
            case messages.Compare():
                return await self._live.several(body, say)
            case messages.DropExpert():
                return await self._live.drop(body, say)
            case messages.WarmUp(base=base):
                await self._live.warm_up(base, say)
                return messages.Done()
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
            case messages.CopyMix(name=name, folder=folder):
                scores = self._jobs.scores_of(library.mix(name))
                return messages.Done(path=await library.copy_mix(name, folder, scores))
            case messages.ImportMix(path=path, name=name, base=base):
                return await library.import_mix(path, name, base)
            case messages.ListData():
                return messages.DataSets(sets=await asyncio.to_thread(library.starter.data_sets))
            case messages.CheckData(path=path):
                return await asyncio.to_thread(describe, library.data(path))
        raise StudioError("protocol", f"A client may not ask for {type(body).__name__}.")
