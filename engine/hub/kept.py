"""What downloads that were given up have left: the next one takes it over, or it goes with its job."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from engine.hub.cache import Cache
from engine.hub.plan import Plan

__all__ = ["PARTIAL", "PLAN", "WHOLE", "at_work", "discard", "take_over"]

PLAN = "plan.json"
"""The plan of a download, in its job's folder."""

WHOLE, PARTIAL = "adapter", "partial"
"""The folders of an adapter in quarantine, in its job's folder."""

_turn = threading.Lock()
_busy: set[Path] = set()
"""Folders of jobs that are at work. All downloads of a home run in one process."""


@contextlib.contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """While a job writes into its ``folder`` nothing is taken from there."""
    with _turn:
        _busy.add(folder)
    try:
        yield
    finally:
        with _turn:
            _busy.discard(folder)


def take_over(plan: Plan, folder: Path, others: Sequence[Path]) -> None:
    """Move what is left of an adapter's files in ``others``, folders of jobs that were given up, into a job's
    ``folder``: the most of each file of its ``plan``, where nothing of it is here. All of it is checked anew.
    """
    if plan.room != "adapters":
        return  # what there is of a base lies in the cache, for whoever comes
    (folder / PARTIAL).mkdir(exist_ok=True)
    with _turn:
        left = [found for other in others if other not in _busy for found in _left(other, plan.repo)]
        for file in plan.files:
            target = folder / PARTIAL / file.name
            if target.exists() or (folder / WHOLE / file.name).exists():
                continue
            with contextlib.suppress(FileNotFoundError):  # the other job has just been removed
                sizes = {
                    path: path.stat().st_size for etag, path in left if etag == file.etag and path.exists()
                }
                if most := max(sizes, key=sizes.__getitem__, default=None):
                    most.replace(target)


def discard(folder: Path) -> None:
    """Delete what the download whose job has ``folder`` has fetched, but what another one still counts on."""
    for place in (WHOLE, PARTIAL):
        shutil.rmtree(folder / place, ignore_errors=True)
    plan = _read_plan(folder)
    if plan is None or plan.room != "bases":
        return
    wanted = {
        file.etag
        for other in folder.parent.iterdir()
        if other != folder and (theirs := _read_plan(other)) and theirs.repo == plan.repo
        for file in theirs.files
    }
    for file in plan.files:
        if file.etag not in wanted:
            Cache().drop(plan.repo, file.etag)


def _left(folder: Path, repo: str) -> list[tuple[str, Path]]:
    """(ETag, where it lies) of everything that a job's ``folder`` has of ``repo``."""
    plan = _read_plan(folder)
    if plan is None or plan.repo.casefold() != repo.casefold():
        return []
    return [(file.etag, folder / place / file.name) for file in plan.files for place in (WHOLE, PARTIAL)]


def _read_plan(folder: Path) -> Plan | None:
    try:
        return msgspec.json.decode((folder / PLAN).read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError):
        return None  # it never got so far, or has just been removed
