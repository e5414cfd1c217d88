"""What a job must be before it is acknowledged: possible numbers, names that exist, data read to its end."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Literal

from engine.formats.dataset import describe, snapshot
from engine.formats.errors import StudioError
from engine.messages import Job, JobSpec, SubmitJob, TrainLora, TrainRouter
from engine.supervisor.home import Home
from engine.supervisor.ledger import ENDED, Ledger
from engine.supervisor.library import Library
from engine.supervisor.spec import check_spec, planned_steps
from engine.supervisor.store import Record

__all__ = ["Admission", "room_of"]

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def room_of(spec: JobSpec) -> Literal["adapters", "mixes"]:
    """Where the result of a job will live."""
    return "mixes" if isinstance(spec, TrainRouter) else "adapters"


class Admission:
    """Examines jobs against the library and the jobs that are already there."""

    def __init__(self, home: Home, library: Library, ledger: Ledger) -> None:
        self._home = home
        self._library = library
        self._ledger = ledger

    async def examine(self, request: SubmitJob) -> Record:
        """The record of a job that can run, its data copied under its hash. StudioError otherwise."""
        if not _ID.fullmatch(request.id):
            raise StudioError(
                "usage",
                "A job's id has up to 64 letters, digits, dashes and underscores.",
                "Choose another id.",
            )
        spec = request.spec
        check_spec(spec)
        self.resolve(spec)
        self.check_name(spec)
        source = self._library.data(spec.data)
        data = await asyncio.to_thread(describe, source)
        copy = await asyncio.to_thread(snapshot, source, self._home.data)
        job = Job(
            id=request.id,
            kind="lora" if isinstance(spec, TrainLora) else "router",
            name=spec.out,
            state="queued",
            step=0,
            steps=planned_steps(spec, data.rows),
            message="Waiting for its turn.",
            spec=spec,
            created=time.time(),
        )
        return Record(job=job, paths={"data": str(copy)}, number=self._ledger.next_number())

    def check_name(self, spec: JobSpec) -> None:
        """StudioError("usage") when the result's name is taken, now or by a job that is not over."""
        self._library.check_free(room_of(spec), spec.out)
        for record in self._ledger.records.values():
            other = record.job
            same = room_of(other.spec) == room_of(spec) and other.spec.out.casefold() == spec.out.casefold()
            if same and other.state not in ENDED:
                raise StudioError(
                    "usage",
                    f"A job that makes {other.name} is already {other.state}.",
                    "Choose another name, or cancel that job first.",
                )

    def resolve(self, spec: JobSpec) -> dict[str, str]:
        """The folders behind the names in a spec; StudioError for one missing or made for another base."""
        base = self._library.base(spec.base)
        if isinstance(spec, TrainLora):
            return {}
        paths = {}
        known = {card.name for card in self._library.bases()}
        for name in spec.experts:
            card = self._library.adapter(name)
            if card.base in known and card.base != base.name:
                raise StudioError(
                    "adapter",
                    f"The expert {name} was made for {card.base}, not for {base.name}.",
                    "Choose experts of one base.",
                )
            paths[f"adapter:{name}"] = card.path
        return paths
