"""Adapters' folders: brought in by copying or converting, read into a card, written elsewhere."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import sys
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
from engine.formats.convert import convert
from engine.formats.errors import StudioError
from engine.formats.files import atomic_folder, sha256_file
from engine.formats.plain import refuse_link
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
    "export_at_rank",
    "make_ready",
    "own_files",
]

ADAPTER_FILES = (CONFIG, WEIGHTS, STUDIO, GATE, README)
"""All that is ever taken from an adapter's folder; its gate is the one that it brings into a mix."""


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
        converted = _fill(given, work)
        sound = check_sound(work)
        if converted and not origin.files:
            origin = replace(origin, files=_hashes_of(given))
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


def _fill(source: Path, work: Path) -> str:
    """Fill the empty folder ``work``. Returns the format that the adapter came in, "" for PEFT's own."""
    if not is_foreign(source):
        _copy_files(source, work)
        return ""
    made = work / "converted"
    came = convert(source, made)
    for file in made.iterdir():
        file.rename(work / file.name)
    made.rmdir()
    if (source / README).is_file():
        refuse_link(source / README)
        shutil.copyfile(source / README, work / README)
    return came


def _hashes_of(source: Path) -> dict[str, str]:
    files = [source] if source.is_file() else sorted(source.iterdir())
    return {
        file.name: sha256_file(file)
        for file in files
        if file.is_file() and file.suffix.lower() in (".json", ".safetensors", ".bin", ".pt", ".pth", ".ckpt")
    }


def _copy_files(source: Path, work: Path) -> None:
    for file in own_files(source):
        if file.is_file():
            refuse_link(file)
            shutil.copyfile(file, work / file.name)


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
    read_folder(folder)  # which raises where inspect_folder would only say "refuse"
    inspection = inspect_folder(folder)
    description, license_ = read_readme(folder / README)
    facts: dict[str, Any] = {
        "name": folder.name,
        "path": str(folder),
        "base": inspection.base,
        "kind": inspection.kind,
        "rank": inspection.rank,
        "alpha": inspection.alpha,
        "targets": inspection.targets,
        "tensors": inspection.tensors,
        "bytes": inspection.bytes,
        "description": description,
        "license": license_,
        "sha256": fingerprint(folder),
    }
    return AdapterCard(**facts | known)


async def export_at_rank(source: Path, target: Path, rank: int) -> None:
    """Ordering an adapter's columns needs torch, which this process does without: a child does it."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", "engine.lora.export", str(source), str(target), str(rank)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await child.communicate()
    if child.returncode != 0:
        lines = errors.decode(errors="replace").strip().splitlines()
        raise StudioError(
            "failed",
            f"The adapter could not be written at rank {rank}.",
            lines[-1] if lines else "",
            "\n".join(lines),
        )
