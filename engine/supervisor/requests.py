"""What the engine does for a client: every request, answered by the room that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from engine import messages
from engine.formats.errors import StudioError
from engine.messages import Body
from engine.supervisor.doctor import examine
from engine.supervisor.home import Home
from engine.supervisor.jobs import Jobs
from engine.supervisor.live import Live, Say

__all__ = ["HUB", "JUDGING", "LIBRARY", "RANKS", "SPEECH", "Desk", "Requests"]

HUB = (
    messages.SearchHub,
    messages.ShowHub,
    messages.AskAccount,
    messages.SignIn,
    messages.SignOut,
    messages.PublishAdapter,
)
JUDGING = (messages.JudgeHub, messages.JudgeAdapters)
RANKS = (messages.OrderRanks, messages.BakeRank, messages.ReadSpectrum)
SPEECH = (
    messages.ListSpeech,
    messages.LookAtClip,
    messages.Transcribe,
    messages.AddNoise,
    messages.InspectSpeech,
    messages.ImportSpeech,
    messages.RemoveSpeech,
    messages.RestoreSpeech,
    messages.WarmUpSpeech,
)
LIBRARY = (
    messages.ListAdapters,
    messages.InspectAdapter,
    messages.ImportAdapter,
    messages.VerifyAdapters,
    messages.RemoveAdapter,
    messages.RestoreAdapter,
    messages.ExportAdapter,
    messages.DescribeAdapter,
    messages.CheckRevisions,
    messages.ListBases,
    messages.AddBase,
    messages.RemoveBase,
    messages.RestoreBase,
    messages.ListMixes,
    messages.RemoveMix,
    messages.RestoreMix,
    messages.CopyMix,
    messages.ImportMix,
    messages.Rename,
    messages.FindUses,
    messages.ReadProvenance,
    messages.MeasureDisk,
    messages.EmptyTrash,
    messages.ListData,
    messages.CheckData,
)


class Desk(Protocol):
    """Where one kind of request is answered."""

    async def perform(self, body: Any, say: Say) -> Body:
        """The answer, ``say`` its progress. StudioError when it cannot be given."""


class Requests:
    """``desks`` answer the requests of their lists; ``status`` and ``stop`` are the engine's own."""

    def __init__(
        self,
        home: Home,
        jobs: Jobs,
        live: Live,
        desks: dict[tuple[type, ...], Desk],
        status: Callable[[], messages.EngineStatus],
        stop: Callable[[], None],
    ) -> None:
        self._home = home
        self._jobs = jobs
        self._live = live
        self._desks = {kind: desk for kinds, desk in desks.items() for kind in kinds}
        self._status = status
        self._stop = stop

    async def perform(self, body: Any, say: Say) -> Body:
        """The answer to a request, ``say`` its progress. StudioError when it cannot be given."""
        if desk := self._desks.get(type(body)):
            return await desk.perform(body, say)
        match body:
            case messages.Generate() | messages.Route() | messages.Score():
                return await self._live.one(body, say)
            case messages.Slide():
                return await self._live.slide(body, say)
            case messages.MeasureRanks():
                return await self._live.ranks(body, say)
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
        return await self._job(body)

    async def _job(self, body: Any) -> Body:
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
        raise StudioError("protocol", f"A client may not ask for {type(body).__name__}.")
