"""What a job reads, kept as it was when the job was submitted: whatever becomes of it in the library."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from engine.formats.files import explain_os_error, sync_folder
from engine.supervisor.adapter_folders import own_files
from engine.supervisor.library import Library
from engine.supervisor.spec import parts_of
from engine.supervisor.store import Record

__all__ = ["pin", "pin_late"]

INPUTS = "inputs"


def pin(paths: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Link the adapters and mixes of ``paths`` (as in StartJob) into the job's ``folder``; copy them where
    that cannot be. Returns the paths with theirs in place. StudioError("disk") when the system refuses."""
    pinned = dict(paths)
    try:
        for key, path in paths.items():
            kind, _, name = key.partition(":")
            if kind in ("adapter", "mix"):
                source, target = Path(path), folder / INPUTS / kind / name
                files = own_files(source) if kind == "adapter" else [*source.rglob("*")]
                for file in files:
                    if file.is_file():
                        _link(file, target / file.relative_to(source))
                sync_folder(target)
                pinned[key] = str(target)
    except OSError as error:
        raise explain_os_error(error, "keeping what the job reads") from error
    return pinned


def pin_late(record: Record, library: Library, folder: Path) -> None:
    """Pin what a job of an earlier version reads: that one noted names alone, looked up when the job began.

    StudioError("missing") for what the library has no more.
    """
    names, mix = parts_of(record.job.spec)
    if record.paths.keys() & {f"mix:{mix}", *(f"adapter:{name}" for name in names)} or not (names or mix):
        return
    paths, known = {}, list[str]()
    if mix:
        card = library.mix(mix)
        paths[f"mix:{mix}"], known = card.path, card.experts
    for name in names:
        if name not in known:
            paths[f"adapter:{name}"] = library.adapter(name).path
    record.paths |= pin(paths, folder)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)
