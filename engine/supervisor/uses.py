"""What depends on a thing of the library, and what would become of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.messages import AdapterCard, BaseCard, Job, JobSpec, MixCard, Uses
from engine.supervisor.entry import Entry
from engine.supervisor.ledger import ENDED
from engine.supervisor.spec import experts_of, parts_of, worker_of

__all__ = ["find", "needed_by"]

_TO_THE_TRASH = "Removing moves it to the trash; it can be restored until that is emptied."
_OFF_THE_LIST = "Removing takes it off the list; its files stay where they lie."


def find(
    thing: Entry, ours: bool, adapters: Sequence[AdapterCard], mixes: Sequence[Entry], jobs: Sequence[Job]
) -> Uses:
    """Mixes, jobs that are not over, and where ``thing`` is a base, adapters that are made for it. ``ours``
    says that its files lie in the home."""
    names, there = {thing.card.name, *thing.former}, [entry for entry in mixes if not entry.removed]
    needed = [job for job in jobs if needed_by(thing, job)]
    made_for: list[str] = []
    match thing.card:
        case AdapterCard():
            with_it = [entry for entry in there if names & _experts(entry)]
        case BaseCard():
            made_for = [card.name for card in adapters if card.base in names]
            with_it = [entry for entry in there if _base(entry) in names]
        case _:
            with_it = [entry for entry in there if _extended(entry) in names]
    found = [entry.card.name for entry in with_it if entry.card.name not in names or thing not in there]
    return Uses(
        mixes=found,
        jobs=[job.id for job in needed],
        adapters=made_for,
        sentence=_sentence(thing, ours, found, made_for, [job.name for job in needed]),
    )


def needed_by(thing: Entry, job: Job) -> bool:
    """Whether a job that is not over reads ``thing``."""
    if job.state in ENDED:
        return False
    names = {thing.card.name, *thing.former}
    adapters, mix = parts_of(job.spec)
    match thing.card:
        case AdapterCard():
            return bool(names & set(adapters))
        case BaseCard():
            return worker_of(job.spec) in names
    return mix in names


def _experts(mix: Entry) -> set[str]:
    """The adapters that a mix was made with, as they were called then."""
    assert isinstance(mix.card, MixCard)
    spec = _spec(mix)
    whence = experts_of(spec)[0] if spec else {}
    return {whence.get(expert, expert) for expert in mix.card.experts}


def _base(mix: Entry) -> str:
    assert isinstance(mix.card, MixCard)
    return mix.card.base


def _extended(mix: Entry) -> str:
    spec = _spec(mix)
    return experts_of(spec)[1] if spec else ""


def _spec(entry: Entry) -> JobSpec | None:
    """The spec of the job that made something, None where no job did."""
    try:
        return msgspec.convert(entry.origin.spec, JobSpec) if entry.origin.spec else None
    except msgspec.ValidationError:
        return None  # of another kind of work, or of a version that had other fields


def _sentence(thing: Entry, ours: bool, mixes: list[str], adapters: list[str], jobs: list[str]) -> str:
    parts = []
    if isinstance(thing.card, BaseCard):
        if waiting := [*adapters, *mixes]:
            parts.append(f"Without it {_listed(waiting)} cannot be heard, until it is back.")
        if jobs:
            parts.append(f"It cannot be removed before {_listed(jobs)} is over; renaming disturbs nothing.")
    else:
        if mixes:
            parts.append(f"{_listed(mixes)} {_plays(mixes)} of {'their' if len(mixes) > 1 else 'its'} own.")
        if jobs:
            parts.append(f"{_listed(jobs)} {_reads(jobs)} it had when it was submitted.")
        parts = parts or ["Nothing else needs it."]
    parts.append(_TO_THE_TRASH if ours else _OFF_THE_LIST)
    return " ".join(parts)


def _plays(mixes: list[str]) -> str:
    return "keep playing: they have copies" if len(mixes) > 1 else "keeps playing: it has a copy"


def _reads(jobs: list[str]) -> str:
    return "keep reading the copies that" if len(jobs) > 1 else "keeps reading the copy that"


def _listed(names: list[str]) -> str:
    """Up to four names in a row."""
    shown = names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
