"""What the studio takes on the disk, item by item."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.hub.cache import Cache, cached_repos
from engine.messages import DiskItem, DiskUse
from engine.supervisor.entry import Entry
from engine.supervisor.home import Home
from engine.supervisor.trash import trashed

__all__ = ["measure"]


def measure(home: Home, shelves: Mapping[str, Sequence[Entry]]) -> DiskUse:
    """Largest first. What is there twice under two names (a job's own link to an adapter) counts where it is
    listed first; what lies in the Hugging Face cache counts there, whoever uses it."""
    seen: set[tuple[int, int]] = set()
    cached = cached_repos()
    items = [
        DiskItem(place="cache", name=repo.repo, bytes=repo.bytes, path=str(repo.path)) for repo in cached
    ]
    items += [
        DiskItem(place="cache", name=f"{repo} (partly fetched)", bytes=count, path=str(folder))
        for repo, count, folder in Cache().unfinished()
    ]
    in_cache = {str(repo.path) for repo in cached}
    for kind, entries in shelves.items():
        for entry in entries:
            path = entry.card.path
            if path not in in_cache and Path(path).is_dir():
                items.append(_item(kind, entry.card.name, Path(path), seen))
    for bin_ in _within(home.trash):
        items.append(_item("trash", "/".join(trashed(bin_)), bin_, seen))
    for place, room in (
        ("speech", home.speech),
        ("clips", home.clips),
        ("data", home.data),
        ("jobs", home.jobs),
    ):
        items += [_item(place, path.name, path, seen) for path in _within(room)]
    disk = shutil.disk_usage(home.root)
    items.sort(key=lambda item: item.bytes, reverse=True)
    return DiskUse(items=items, free=disk.free, total=disk.total)


def _within(room: Path) -> list[Path]:
    return sorted(path for path in room.iterdir() if not path.name.startswith("."))


def _item(place: str, name: str, path: Path, seen: set[tuple[int, int]]) -> DiskItem:
    return DiskItem(place=place, name=name, bytes=_size(path, seen), path=str(path))


def _size(path: Path, seen: set[tuple[int, int]]) -> int:
    """Bytes of a file, or of all files below a folder that were not counted yet; links are not followed."""
    total = 0
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        try:
            state = file.lstat()
        except FileNotFoundError:
            continue  # a job that runs tidies up behind itself
        if file.is_file() and not file.is_symlink() and (state.st_dev, state.st_ino) not in seen:
            seen.add((state.st_dev, state.st_ino))
            total += state.st_size
    return total
