"""Folders of the library and beyond it: mixes copied, results delivered, everything moved and hashed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from engine.formats.adapter_file import read_folder
from engine.formats.errors import StudioError
from engine.formats.files import atomic_folder, explain_os_error, sha256_file, sync_folder, write_file
from engine.formats.mix_card import mix_readme
from engine.formats.mix_file import EXPERTS, MIXER, encode_mix, expert_folders, read_mix
from engine.supervisor.entry import NOTE

__all__ = [
    "check_target",
    "copy_mix",
    "deliver",
    "hashes",
    "move",
    "sign_mix",
]


def copy_mix(
    source: Path, target: Path, changes: Mapping[str, Any], other: Mapping[str, Path] = MappingProxyType({})
) -> None:
    """Copy a mix with its experts, ``changes`` on its card, and a README of it all; look at what arrived.
    ``other`` {expert: folder} take the place of its own.

    StudioError when it is not what it was when it was saved, or one of its experts cannot be read.
    """
    mix, found = read_mix(source), hashes(source)
    if any(found.get(name) != digest for name, digest in mix.sha256.items()):
        raise StudioError(
            "failed", f"The mix {mix.name} has changed since it was saved.", "Restore it from a copy."
        )
    with atomic_folder(target, doing="copying the mix") as work:
        for name in mix.sha256:
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, work / name)
        for expert, folder in other.items():
            shutil.rmtree(work / EXPERTS / expert)
            shutil.copytree(folder, work / EXPERTS / expert)
        mix = msgspec.structs.replace(mix, sha256=hashes(work) if other else mix.sha256, **changes)
        (work / MIXER).write_bytes(encode_mix(mix))
        for folder in expert_folders(work, mix).values():
            read_folder(folder)
        (work / "README.md").write_text(mix_readme(work), encoding="utf-8")


def sign_mix(folder: Path, licenses: Mapping[str, str]) -> None:
    """Note on the card of the mix in ``folder`` under which licences its experts came."""
    mix = read_mix(folder)
    known = {name: licenses[name] for name in mix.experts if licenses.get(name)}
    if known != mix.licenses:
        write_file(folder / MIXER, encode_mix(msgspec.structs.replace(mix, licenses=known)))


def move(source: Path, target: Path, doing: str) -> None:
    try:
        source.rename(target)
        sync_folder(target.parent)
        sync_folder(source.parent)
    except OSError as error:
        raise explain_os_error(error, doing) from error


def check_target(folder: Path, home: Path) -> None:
    """StudioError("usage") unless a new folder may be made here, outside of the studio's own ``home``."""
    if folder.exists() or folder.is_symlink():
        raise StudioError("usage", f"{folder} already exists.", "Choose a folder that does not exist yet.")
    if folder.is_relative_to(home):
        raise StudioError("usage", f"{folder} lies within the studio's own folder.", "Choose another place.")
    there = next(parent for parent in folder.parents if parent.exists())
    try:
        Path(tempfile.mkdtemp(prefix=".", dir=there)).rmdir()  # being allowed to is not being able to
    except OSError as error:
        raise StudioError(
            "usage", f"Nothing can be written to {there}.", "Choose another place.", str(error)
        ) from error


def deliver(source: Path, target: Path, doing: str) -> None:
    """Copy a finished folder to ``target``, on whatever disk that is; doing it twice is doing it once.

    StudioError("usage") when something else is there, StudioError("disk") when it does not fit.
    """
    try:
        if target.is_dir() and hashes(target) == hashes(source):
            return
    except OSError as error:
        raise explain_os_error(error, doing) from error
    if target.exists():
        raise StudioError(
            "usage",
            f"Meanwhile something else has been put to {target}.",
            "Move it away, then resume the job: its result is still there.",
        )
    with atomic_folder(target, doing=doing) as work:
        for path in sorted(source.rglob("*")):
            place = work / path.relative_to(source)
            if path.is_dir():
                place.mkdir()
            else:
                shutil.copyfile(path, place)


def hashes(folder: Path) -> dict[str, str]:
    """{file: sha256} of all in ``folder`` but the note beside them, by their paths in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / NOTE)
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}
