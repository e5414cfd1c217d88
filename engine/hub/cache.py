"""The standard Hugging Face cache: what lies there, and how a whole file comes there so that all find it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import filelock
from huggingface_hub import constants

from engine.formats.adapter_folder import CONFIG, WEIGHTS
from engine.formats.base_config import WHISPER, read_object
from engine.formats.errors import StudioError
from engine.formats.files import sync_folder

__all__ = ["Cache", "CachedRepo", "cached_repos"]

PARTIAL = ".adapter-studio"
"""What a blob is called while we fetch it. The client of huggingface_hub looks at no such names."""

LOOK_UP = 0.2
"""Seconds between two tries for a lock that another program holds."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


class Cache:
    """Blobs by their ETag, a folder of links to them for each commit, a file for each branch and tag."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or Path(constants.HF_HUB_CACHE)

    def blob(self, repo: str, etag: str) -> Path:
        return self._folder(repo) / "blobs" / etag

    def partial(self, repo: str, etag: str) -> Path:
        """Where a blob grows until it is whole."""
        return self._folder(repo) / "blobs" / (etag + PARTIAL)

    def snapshot(self, repo: str, commit: str) -> Path:
        return self._folder(repo) / "snapshots" / commit

    @contextlib.contextmanager
    def held(self, repo: str, etag: str, waiting: Callable[[], None]) -> Iterator[None]:
        """The lock under which huggingface_hub writes this blob, so that nobody fetches it twice.

        ``waiting()`` is called again and again while another has it, and may raise.
        """
        place = self._lock(repo, etag)
        place.parent.mkdir(parents=True, exist_ok=True)
        self.blob(repo, etag).parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(place)
        while True:
            try:
                lock.acquire(timeout=LOOK_UP)
                break
            except filelock.Timeout:
                waiting()
        try:
            yield
        finally:
            lock.release()

    def keep(self, repo: str, etag: str, partial: Path) -> None:
        """Put a whole, checked and synced file in its place, readable as the folder's other files are."""
        blob = self.blob(repo, etag)
        partial.chmod(0o666 & blob.parent.stat().st_mode)
        partial.replace(blob)
        sync_folder(blob.parent)

    def point(self, repo: str, commit: str, names: dict[str, str]) -> Path:
        """The snapshot of ``commit``, with ``names`` {file: etag} in it. Links; copies where none can be."""
        folder = self.snapshot(repo, commit)
        folder.mkdir(parents=True, exist_ok=True)
        for name, etag in names.items():
            pointer, blob = folder / name, self.blob(repo, etag)
            if pointer.exists() and pointer.resolve() == blob.resolve():
                continue
            with _written(pointer) as work:
                try:
                    work.symlink_to(os.path.relpath(blob, folder))
                except (OSError, NotImplementedError):
                    shutil.copyfile(blob, work)
        sync_folder(folder)
        return folder

    def refer(self, repo: str, revision: str, commit: str) -> None:
        """Note that ``revision`` means ``commit``."""
        if revision != commit:
            place = self._folder(repo) / "refs" / revision
            place.parent.mkdir(parents=True, exist_ok=True)
            with _written(place) as work:
                work.write_text(commit)

    def drop(self, repo: str, etag: str) -> None:
        """Delete what was fetched of a blob that no snapshot has, unless somebody is at it."""
        place, folder = self._lock(repo, etag), self._folder(repo)
        files = [path for path in (self.blob(repo, etag), self.partial(repo, etag)) if path.exists()]
        if not files:
            return
        with contextlib.suppress(filelock.Timeout), filelock.FileLock(place, timeout=0):
            used = {os.path.realpath(pointer) for pointer in folder.glob("snapshots/**/*")}
            for path in files:
                if os.path.realpath(path) not in used:
                    path.unlink(missing_ok=True)
        for empty in (folder / "blobs", folder):
            with contextlib.suppress(OSError):  # it is not
                empty.rmdir()

    def unfinished(self) -> Iterator[tuple[str, int, Path]]:
        """(repository, bytes, folder) wherever something of a file lies that is still to be fetched."""
        for folder in sorted(self.root.glob("models--*/blobs")):
            if count := sum(path.stat().st_size for path in folder.glob(f"*{PARTIAL}")):
                yield _repo_name(folder.parent), count, folder

    def _lock(self, repo: str, etag: str) -> Path:
        """Where huggingface_hub locks this blob."""
        return self.root / ".locks" / _folder_name(repo) / f"{etag}.lock"

    def _folder(self, repo: str) -> Path:
        return self.root / _folder_name(repo)


@dataclass(frozen=True, slots=True)
class CachedRepo:
    """A repository of the cache that can be used: the commit of main, or the one that came last.

    ``path`` is its snapshot, ``bytes`` the size of the files there.
    """

    repo: str
    commit: str
    path: Path
    room: Literal["adapters", "bases", "speech"]
    bytes: int


def cached_repos(root: Path | None = None) -> list[CachedRepo]:
    """The adapters, bases and Whispers of the cache, by name. What is incomplete or broken is left out."""
    found = []
    for folder in sorted((root or Path(constants.HF_HUB_CACHE)).glob("models--*")):
        snapshot = _newest(folder)
        room = _room(snapshot) if snapshot else None
        if snapshot is None or room is None:
            continue
        with contextlib.suppress(OSError):  # it is being taken away under our eyes
            count = sum(path.stat().st_size for path in snapshot.rglob("*") if path.is_file())
            found.append(CachedRepo(_repo_name(folder), snapshot.name, snapshot, room, count))
    return found


def _newest(folder: Path) -> Path | None:
    """The snapshot that main means; without such, the one that came last."""
    try:
        commit = (folder / "refs" / "main").read_text().strip()
    except (OSError, UnicodeDecodeError):
        commit = ""
    if _COMMIT.fullmatch(commit) and (folder / "snapshots" / commit).is_dir():
        return folder / "snapshots" / commit
    try:
        others = [path for path in (folder / "snapshots").iterdir() if _COMMIT.fullmatch(path.name)]
        return max(others, key=lambda path: path.stat().st_mtime, default=None)
    except OSError:
        return None


def _room(snapshot: Path) -> Literal["adapters", "bases", "speech"] | None:
    """What a snapshot is. None when a part of it is missing, as while it is being fetched."""
    if (snapshot / CONFIG).is_file():
        return "adapters" if (snapshot / WEIGHTS).is_file() else None
    if not (snapshot / "config.json").is_file():
        return None
    if _has_weights(snapshot):
        return "speech" if _is_whisper(snapshot) else "bases"
    return None


def _is_whisper(snapshot: Path) -> bool:
    try:
        return read_object(snapshot / "config.json").get("model_type") == WHISPER
    except (StudioError, OSError):
        return False  # what is wrong with it is said where it is looked into


def _has_weights(snapshot: Path) -> bool:
    """Whether all of them are there, in one file or in several."""
    if (snapshot / "model.safetensors").is_file():
        return True
    try:
        index = json.loads((snapshot / "model.safetensors.index.json").read_bytes())
        shards = set(index["weight_map"].values())
        return bool(shards) and all((snapshot / shard).is_file() for shard in shards)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


@contextlib.contextmanager
def _written(path: Path) -> Iterator[Path]:
    """A name beside ``path`` for its successor, which takes its place in one step."""
    work = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield work
        work.replace(path)
    finally:
        work.unlink(missing_ok=True)


def _folder_name(repo: str) -> str:
    return "--".join(["models", *repo.split("/")])


def _repo_name(folder: Path) -> str:
    return folder.name.removeprefix("models--").replace("--", "/")
