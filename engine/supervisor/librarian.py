"""What is asked of the library, answered from it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from engine import messages
from engine.formats.dataset import describe
from engine.formats.errors import StudioError
from engine.hub.client import Hub
from engine.messages import Body
from engine.supervisor.jobs import Jobs
from engine.supervisor.library import Library
from engine.supervisor.live import Say
from engine.supervisor.runtimes import Runtimes
from engine.supervisor.soundness import look_into

__all__ = ["Librarian"]


class Librarian:
    """``jobs`` are asked what they found out about a mix, and what they still need; ``hub`` whether it has
    anything newer."""

    def __init__(self, library: Library, jobs: Jobs, runtimes: Runtimes, hub: Hub) -> None:
        self._library = library
        self._jobs = jobs
        self._runtimes = runtimes
        self._hub = hub

    async def perform(self, body: Any, say: Say) -> Body:
        """The answer to a request of ``requests.LIBRARY``. StudioError when it cannot be given."""
        answer = await self._any(body) or await self._adapters(body, say) or await self._others(body)
        if answer is None:
            raise StudioError("protocol", f"A client may not ask for {type(body).__name__}.")
        return answer

    async def _any(self, body: Any) -> Body | None:
        """Whatever its kind."""
        library = self._library
        match body:
            case messages.Rename(kind=kind, name=name, to=to):
                await library.rename(kind, name, to)
                if kind == "bases":
                    self._runtimes.rename(name, to)
                return messages.Done()
            case messages.FindUses(kind=kind, name=name):
                return library.uses(kind, name, self._jobs.all())
            case messages.ReadProvenance(kind=kind, name=name):
                return library.provenance(kind, name)
            case messages.MeasureDisk():
                return await library.disk_use()
            case messages.EmptyTrash(items=items):
                await library.empty_trash(items)
                return messages.Done()
        return None

    async def _adapters(self, body: Any, say: Say) -> Body | None:
        library = self._library
        match body:
            case messages.ListAdapters():
                return messages.Adapters(adapters=library.adapters())
            case messages.InspectAdapter(path=path):
                return await asyncio.to_thread(look_into, Path(path).expanduser().absolute())
            case messages.ImportAdapter(path=path, name=name):
                card, twin = await library.import_adapter(path, name)
                if twin is not None:
                    say(messages.Said(text=twin.sentence))
                return card
            case messages.VerifyAdapters(name=name):
                return messages.Verified(adapters=await library.verify(name))
            case messages.DescribeAdapter(name=name, favourite=favourite, tags=tags, note=note):
                return library.describe(name, favourite, tags, note)
            case messages.CheckRevisions(names=names):
                return messages.Adapters(adapters=await library.check_revisions(self._hub, names))
            case messages.RemoveAdapter(name=name):
                return messages.Done(path=await library.remove("adapters", name))
            case messages.RestoreAdapter(name=name):
                await library.restore("adapters", name)
                return library.adapter(name)
            case messages.ExportAdapter(name=name, folder=folder, rank=rank, order=order):
                return messages.Done(path=await library.export_adapter(name, folder, rank, order))
        return None

    async def _others(self, body: Any) -> Body | None:
        """Bases, mixes and data."""
        library = self._library
        match body:
            case messages.ListBases():
                return messages.Bases(bases=library.bases())
            case messages.AddBase(path=path, name=name):
                return await library.add_base(path, name)
            case messages.RemoveBase(name=name):
                self._check_idle(name)
                return messages.Done(path=await library.remove("bases", name))
            case messages.RestoreBase(name=name):
                await library.restore("bases", name)
                return library.base(name)
            case messages.ListMixes():
                return messages.Mixes(mixes=library.mixes())
            case messages.RemoveMix(name=name):
                return messages.Done(path=await library.remove("mixes", name))
            case messages.RestoreMix(name=name):
                await library.restore("mixes", name)
                return library.mix(name)
            case messages.CopyMix(name=name, folder=folder, ranks=ranks):
                scores = self._jobs.scores_of(library.mix(name), ranks)
                return messages.Done(path=await library.copy_mix(name, folder, scores, ranks))
            case messages.ImportMix(path=path, name=name, base=base):
                return await library.import_mix(path, name, base)
            case messages.ListData():
                return messages.DataSets(sets=await asyncio.to_thread(library.starter.data_sets))
            case messages.CheckData(path=path):
                return await asyncio.to_thread(describe, library.data(path))
        return None

    def _check_idle(self, base: str) -> None:
        """StudioError("busy") while a job that is not over needs this base: it has no copy of it."""
        needed = self._library.uses("bases", base, self._jobs.all()).jobs
        for job in self._jobs.all():
            if job.id in needed:
                raise StudioError(
                    "busy",
                    f"{base} is needed by {job.name}, a job that is {job.state}.",
                    "It can be removed when that is over, or cancelled.",
                )
