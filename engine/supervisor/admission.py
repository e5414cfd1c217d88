"""What a job must be before it is acknowledged: possible numbers, names that exist, data read to its end."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.formats.dataset import describe, snapshot
from engine.formats.errors import StudioError
from engine.formats.studio_file import check_rank, check_ranks
from engine.messages import (
    AdapterCard,
    BaseCard,
    Domain,
    Download,
    ExportMix,
    Fit,
    Job,
    JobSpec,
    MixCard,
    ScoreMix,
    SubmitJob,
    TrainJoint,
    TrainRouter,
    TrainSpeech,
)
from engine.speech.data import read_clip_list
from engine.supervisor.bounds import check_spec
from engine.supervisor.folders import check_target
from engine.supervisor.home import Home
from engine.supervisor.ledger import ENDED, Ledger
from engine.supervisor.library import Library
from engine.supervisor.names import check_name
from engine.supervisor.spec import (
    Room,
    data_of,
    kind_of,
    name_of,
    parts_of,
    planned_steps,
    room_of,
)
from engine.supervisor.store import Record

__all__ = ["Admission"]

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Admission:
    """Examines jobs against the library and the jobs that are already there. ``judge`` says whether an
    adapter plays on a base; it reads files."""

    def __init__(
        self,
        home: Home,
        library: Library,
        ledger: Ledger,
        judge: Callable[[AdapterCard, BaseCard], Fit],
    ) -> None:
        self._home = home
        self._library = library
        self._ledger = ledger
        self._judge = judge

    async def examine(self, request: SubmitJob) -> tuple[Record, list[str]]:
        """The record of a job that can run, its data copied under its hash, what else it reads named where it
        lies; and what its log is to say of that. StudioError otherwise."""
        if not _ID.fullmatch(request.id):
            raise StudioError(
                "usage",
                "A job's id has up to 64 letters, digits, dashes and underscores.",
                "Choose another id.",
            )
        spec = request.spec
        check_spec(spec)
        paths, rows = self._resolve(spec), {}
        self._check_ranks(spec)
        doubts = await asyncio.to_thread(self._doubts, spec, paths)
        self.check_name(spec)
        for key, named in data_of(spec).items():
            source = self._library.data(named)
            rows[key] = await asyncio.to_thread(_rows, spec, source)
            paths[key] = str(await asyncio.to_thread(snapshot, source, self._home.data))
        job = Job(
            id=request.id,
            kind=kind_of(spec),
            name=name_of(spec),
            state="queued",
            step=0,
            steps=planned_steps(spec, rows),
            message="Waiting for its turn.",
            spec=spec,
            created=time.time(),
        )
        return Record(job=job, paths=paths, number=self._ledger.next_number()), doubts

    def check_name(self, spec: JobSpec) -> None:
        """StudioError("usage") when the place of the result is taken, now or by a job that is not over."""
        if isinstance(spec, Download):
            self._check_download(spec)
        elif isinstance(spec, ExportMix):
            check_target(Path(spec.folder), self._home.root)
            self._check_place(("outside", spec.folder))
        elif (room := room_of(spec)) is not None:
            self.check_free(room, name_of(spec))

    def _check_download(self, spec: Download) -> None:
        for record in self._unfinished():
            other = record.job.spec
            if isinstance(other, Download) and _fetched(other) == _fetched(spec):
                raise StudioError(
                    "usage",
                    f"{spec.repo} is already being downloaded, as {other.out}: that is {record.job.state}.",
                    "Follow, resume or cancel that download; `adapter-studio jobs list` shows it.",
                )
        if spec.room == "speech":
            self._library.speech.check_download(spec)
            return
        if spec.room == "bases":
            self._check_base_once(spec)
        cards = self._library.adapters() if spec.room == "adapters" else self._library.bases()
        known = next((card for card in cards if card.name == spec.out), None)
        cached = known is not None and known.source == "cache"
        if known is None or known.repo != spec.repo or (cached and spec.room == "adapters"):
            self.check_free(spec.room, spec.out)
        elif not cached and not spec.replace:
            raise StudioError(
                "usage",
                f"{spec.out} is already here: it came from {spec.repo}, commit {known.commit[:12]}.",
                "Say --replace to put another revision in its place, or choose another name with --name.",
            )
        self._check_place((spec.room, spec.out.casefold()))

    def _check_base_once(self, spec: Download) -> None:
        """A base has its one place in the Hugging Face cache: a second name would take it from the first."""
        for card in self._library.bases():
            named = card.source != "cache" and not card.missing
            if named and card.repo == spec.repo and card.name != spec.out:
                raise StudioError(
                    "usage",
                    f"{spec.repo} is already here, as {card.name}.",
                    f"Use {card.name}, or rename it: adapter-studio bases rename {card.name} {spec.out}",
                )

    def check_free(self, room: Room, name: str) -> None:
        """StudioError("usage") unless a new adapter or mix may be called ``name``."""
        if room == "speech":
            self._library.speech.check_free(name)
        else:
            self._library.check_free(room, name)
        self._check_place((room, name.casefold()))

    def _check_place(self, place: tuple[str, str]) -> None:
        for record in self._unfinished():
            if _place(record.job.spec) == place:
                raise StudioError(
                    "usage",
                    f"A job that makes {record.job.name} is already {record.job.state}.",
                    "Choose another name, or cancel that job first.",
                )

    def _unfinished(self) -> list[Record]:
        return [record for record in self._ledger.records.values() if record.job.state not in ENDED]

    def _resolve(self, spec: JobSpec) -> dict[str, str]:
        """The folders behind the names in a spec; StudioError for one missing, or a mix of another base."""
        if isinstance(spec, Download):
            return {}
        if isinstance(spec, TrainSpeech):
            return self._library.speech_parts(spec)
        base = self._library.base(spec.base)
        names, mixed = parts_of(spec)
        paths, mix = {}, None
        if mixed:
            mix = self._library.mix(mixed)
            paths[f"mix:{mixed}"] = mix.path
            if mix.base != base.name:
                raise StudioError(
                    "adapter",
                    f"The mix {mixed} was made for {mix.base}, not for {base.name}.",
                    "Choose its own base.",
                )
        if isinstance(spec, TrainRouter) and mix:
            names = _newcomers(spec, mix)
        for name in names:
            paths[f"adapter:{name}"] = self._library.adapter(name).path
        if isinstance(spec, TrainJoint):
            for domain in spec.domains:
                check_name(domain.expert)
        return paths

    def _check_ranks(self, spec: JobSpec) -> None:
        """StudioError("usage") for a rank that an expert does not have."""
        match spec:
            case ScoreMix(mix=mix, ranks=ranks) | ExportMix(mix=mix, ranks=ranks):
                check_ranks(ranks, self._library.mix(mix).ranks)
            case TrainRouter(experts=experts, extend=mix, ranks=ranks):
                spans = self._library.mix(mix).ranks if mix else {}
                loose = {name: self._library.adapter(name) for name in experts if name not in spans}
                check_ranks(ranks, spans | {name: (card.low, card.rank) for name, card in loose.items()})
            case TrainJoint(domains=domains):
                for domain in domains:
                    if domain.rank is not None:
                        self._check_start(domain, domain.rank)

    def _check_start(self, domain: Domain, rank: int) -> None:
        if not domain.adapter:
            raise StudioError(
                "usage",
                f"{domain.expert} begins fresh, so it cannot begin at rank {rank} of itself.",
                "Leave its rank out; --rank is that of new experts.",
            )
        card = self._library.adapter(domain.adapter)
        check_rank(card.name, rank, card.low, card.rank)

    def _doubts(self, spec: JobSpec, paths: Mapping[str, str]) -> list[str]:
        """What is not certain of the adapters that a job reads. StudioError for one that does not fit."""
        doubts: list[str] = []
        if isinstance(spec, Download | TrainSpeech):
            return doubts
        for name in (key.partition(":")[2] for key in paths if key.startswith("adapter:")):
            base = self._library.base(spec.base)
            fit = self._judge(self._library.adapter(name), base)
            if fit.verdict == "red":
                raise StudioError(
                    "adapter",
                    f"{name} does not fit {base.name}. {fit.reason}",
                    "Choose experts that fit, or their own base.",
                )
            if fit.verdict == "amber":
                doubts.append(f"{name}: {fit.reason}")
        return doubts


def _rows(spec: JobSpec, data: Path) -> int:
    """The rows of a data file that a job can use. DataError for one that it cannot."""
    return len(read_clip_list(data)) if isinstance(spec, TrainSpeech) else describe(data).rows


def _place(spec: JobSpec) -> tuple[str, str] | None:
    """Where the result goes, so that two jobs do not go to the same place; None where none is made."""
    room = room_of(spec)
    if room is not None:
        return room, name_of(spec).casefold()
    return ("outside", spec.folder) if isinstance(spec, ExportMix) else None


def _fetched(spec: Download) -> tuple[str, str, str]:
    return spec.room, spec.repo.casefold(), spec.revision


def _newcomers(spec: TrainRouter, mix: MixCard) -> list[str]:
    names = [name for name in spec.experts if name not in mix.experts]
    if not names:
        raise StudioError(
            "usage",
            f"The mix {mix.name} already has {', '.join(spec.experts)}.",
            "Name an expert that it does not have.",
        )
    return names
