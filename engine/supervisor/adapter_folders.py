"""Adapters' folders: brought in by copying or converting, read into a card, written elsewhere."""

from __future__ import annotations

import dataclasses
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from engine.formats.adapter_file import (
    CONFIG,
    GATE,
    STUDIO,
    WEIGHTS,
    AdapterFile,
    fingerprint,
    inspect_folder,
    is_foreign,
    read_folder,
)
from engine.formats.convert import convert, recognise
from engine.formats.errors import AdapterError
from engine.formats.files import atomic_folder, sha256_file
from engine.formats.plain import open_plain, refuse_link
from engine.messages import AdapterCard
from engine.supervisor.entry import Entry, Origin, write_note
from engine.supervisor.folders import hashes
from engine.supervisor.readme import README, read_readme
from engine.supervisor.soundness import check_sound

__all__ = [
    "ADAPTER_FILES",
    "Ready",
    "adapter_card",
    "copy_adapter",
    "make_ready",
    "own_files",
]

ADAPTER_FILES = (CONFIG, WEIGHTS, STUDIO, GATE, README)
"""All that is ever taken from an adapter's folder; its gate is the one that it brings into a mix."""

LARGEST_BESIDE = 64 << 20
"""Bytes of a file beside the weights: a gate has one number for each input of a projection."""


@dataclass(frozen=True)
class Ready:
    """An adapter on its way in: a finished ``folder`` that only has to be moved to where its card says."""

    folder: Path
    entry: Entry
    file: AdapterFile


def make_ready(
    given: Path, place: Path, tmp: Path, origin: Origin, former: Sequence[str] = (), **known: Any
) -> Ready:
    """Copy or convert the adapter that was ``given`` into ``tmp``, look at what arrived, and note beside it
    what is known. AdapterError when it is refused, StudioError("disk") when it does not fit."""
    folder = tmp / f"{place.name}-{uuid.uuid4().hex}"
    with atomic_folder(folder, doing="copying the adapter") as work:
        converted, originals = _fill(given, work)
        sound = check_sound(work)
        if not origin.files:
            origin = replace(origin, files=originals)
        facts = {"name": place.name, "path": str(place), "converted": converted, "added": origin.time}
        card = adapter_card(work, **facts | known)
        entry = Entry(
            card=card,
            files=hashes(work),
            origin=origin,
            former=list(former),
            weights=sound.numbers.digest,
        )
        write_note(work, entry)
    return Ready(folder, entry, dataclasses.replace(sound.file, folder=folder))


def _fill(source: Path, work: Path) -> tuple[str, dict[str, str]]:
    """Fill the empty folder ``work``. Returns the format that the adapter came in and {file: sha256} of what
    was converted; "" and {} for PEFT's own."""
    foreign = recognise(source) if is_foreign(source) else None
    if foreign is None:
        _copy_files(source, work)
        return "", {}
    made = work / "converted"
    came = convert(source, made)
    for file in made.iterdir():
        file.rename(work / file.name)
    made.rmdir()
    refuse_link(source / README)
    if (source / README).exists():
        _copy_plain(source / README, work / README)
    files = [file for file in (foreign.weights, foreign.weights.with_name(CONFIG)) if file.is_file()]
    return came, {file.name: sha256_file(file) for file in files}


def _copy_files(source: Path, work: Path) -> None:
    for file in own_files(source):
        refuse_link(file)
        if file.exists():
            _copy_plain(file, work / file.name)


def _copy_plain(file: Path, target: Path) -> None:
    """Copy an ordinary file. AdapterError for any other, and for one that is far larger than its like."""
    with open_plain(file) as source:
        if file.name != WEIGHTS and os.fstat(source.fileno()).st_size > LARGEST_BESIDE:
            raise AdapterError(
                f"{file.name} is larger than {LARGEST_BESIDE >> 20} MB, which no adapter needs.",
                "Check where it comes from.",
                code="refused",
            )
        with target.open("xb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)


def copy_adapter(source: Path, target: Path) -> None:
    """Write an adapter of the library as the new folder ``target``, and look at what arrived."""
    with atomic_folder(target, doing="copying the adapter") as work:
        _copy_files(source, work)
        read_folder(work)


def own_files(folder: Path) -> list[Path]:
    """Where the files of an adapter are, or would be."""
    return [folder / name for name in ADAPTER_FILES]


def adapter_card(folder: Path, **known: Any) -> AdapterCard:
    """The card of the adapter in ``folder``; ``known`` is what no file says. AdapterError when refused."""
    file = read_folder(folder)  # which raises where inspect_folder would only say "refuse"
    inspection = inspect_folder(folder)
    description, license_ = read_readme(folder / README)
    facts: dict[str, Any] = {
        "name": folder.name,
        "path": str(folder),
        "base": inspection.base,
        "kind": inspection.kind,
        "rank": inspection.rank,
        "low": file.cutting.low,
        "alpha": inspection.alpha,
        "targets": inspection.targets,
        "tensors": inspection.tensors,
        "bytes": inspection.bytes,
        "description": description,
        "license": license_,
        "sha256": fingerprint(folder),
    }
    return AdapterCard(**facts | known)
