"""What other programs have fetched: adapters, bases and Whispers of the Hugging Face cache, used in place."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

from msgspec.structs import replace

from engine.formats.errors import StudioError
from engine.formats.files import sha256_file
from engine.formats.plain import refuse_link
from engine.hub.cache import Cache, CachedRepo, cached_repos
from engine.messages import AdapterCard, BaseCard
from engine.supervisor.adapter_folders import adapter_card, own_files
from engine.supervisor.adapter_intake import address_of
from engine.supervisor.bases import read_base
from engine.supervisor.entry import Entry, origin_now
from engine.supervisor.intake import Intake, as_said
from engine.supervisor.shelf import Kind

__all__ = ["Cached"]

log = logging.getLogger(__name__)

KINDS: tuple[Kind, ...] = ("adapters", "bases")

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Cached(Intake):
    """The shelf, kept in step with the cache."""

    _left_out: frozenset[tuple[str, str, int]] = frozenset()
    _stamp: tuple[tuple[str, int], ...] = ()

    async def refresh_cache(self) -> None:
        """Take in what has come to the cache, take off what is gone. What the person removed stays hidden;
        what cannot be used is left out and not looked at again, unless a file has come to it."""
        repos = await asyncio.to_thread(cached_repos)
        self.speech.see_whispers([repo for repo in repos if repo.room == "speech"])
        there = {(repo.room, repo.repo) for repo in repos}
        async with self._moving:
            for kind in KINDS:
                for entry in self._store.entries(kind):
                    card = entry.card
                    assert isinstance(card, AdapterCard | BaseCard)
                    if card.source == "cache" and not entry.removed and (kind, card.repo) not in there:
                        self._store.drop_entry(kind, card.name)
                        self._changed(kind)
            for repo in repos:
                if _state(repo) not in self._left_out:
                    await self._take_cached(repo)

    async def watch_cache(self) -> None:
        """Look through the cache again if something came or went there since this was asked last."""
        try:
            stamp = await asyncio.to_thread(_stamp)
            if stamp != self._stamp:
                self._stamp = stamp
                await self.refresh_cache()
        except (StudioError, OSError) as error:
            log.warning("the cache cannot be looked through: %s", error)

    async def _take_cached(self, repo: CachedRepo) -> None:
        if repo.room == "speech":
            return
        known = self._of_repo(repo.room, repo.repo)
        if known is not None:
            card = known.card
            assert isinstance(card, AdapterCard | BaseCard)
            if card.source != "cache" or card.path == str(repo.path):
                return
        try:
            name = known.card.name if known else self._free_name(repo.room, repo.repo)
            entry = await asyncio.to_thread(_read_cached, repo, name)
        except (StudioError, OSError) as error:
            log.info("%s of the cache was left out of the library: %s", repo.repo, error)
            self._left_out |= {_state(repo)}
            return
        if known:
            entry = as_said(replace(entry, removed=known.removed, former=known.former), known.card)
        self._keep(repo.room, entry)

    def _free_name(self, kind: Kind, repo: str) -> str:
        """A name for a repository: its own, with its owner's where that is taken."""
        owner, _, own = repo.rpartition("/")
        for wish in (own, f"{owner}-{own}", *(f"{own}-{number}" for number in range(2, 10))):
            name = re.sub(r"[^A-Za-z0-9._-]+", "-", wish).strip(".-_")[:64].rstrip(".-_")
            try:
                self.check_free(kind, name)
            except StudioError:
                continue
            return name
        raise StudioError("usage", f"No name is left for {repo}.", "Rename what has its name.")


def _stamp() -> tuple[tuple[str, int], ...]:
    """When each repository of the cache got a snapshot last, or lost one, when a file came to one (another
    program may still be fetching it), and when a branch moved."""
    folders = [
        folder
        for places in ("snapshots", "snapshots/*", "refs")
        for folder in Cache().root.glob(f"models--*/{places}")
    ]
    return tuple(sorted((str(folder), folder.stat().st_mtime_ns) for folder in folders if folder.is_dir()))


def _state(repo: CachedRepo) -> tuple[str, str, int]:
    return repo.repo, repo.commit, repo.bytes


def _read_cached(repo: CachedRepo, name: str) -> Entry:
    """The entry of a snapshot. StudioError when it is no adapter or base that can be used."""
    folder = Path(repo.path)
    for path in folder.rglob("*"):
        refuse_link(path)
    origin = origin_now(address=address_of(repo.repo, repo.commit))
    if repo.room == "bases":
        base = read_base(folder, name, "cache")
        return Entry(card=replace(base, repo=repo.repo, commit=repo.commit), origin=origin)
    known = {"source": "cache", "repo": repo.repo, "commit": repo.commit, "added": origin.time}
    card = adapter_card(folder, name=name, **known)
    files = {file.name: _blob_hash(file) for file in own_files(folder) if file.is_file()}
    return Entry(card=card, files=files, origin=origin)


def _blob_hash(file: Path) -> str:
    """The sha256 that a file should have: large blobs are called by it."""
    name = file.resolve().name
    return name if _SHA256.fullmatch(name) else sha256_file(file)
