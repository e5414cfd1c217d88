"""Adapters that come in from outside: from a folder or a file of this machine, and from the Hub."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from engine.formats.adapter_folder import AdapterFile, read_folder
from engine.formats.errors import StudioError
from engine.formats.files import sha256_file
from engine.hub.address import parse_address
from engine.hub.client import page_of
from engine.messages import AdapterCard, Download
from engine.supervisor.adapter_folders import ADAPTER_FILES, make_ready
from engine.supervisor.entry import Entry, origin_now
from engine.supervisor.folders import move
from engine.supervisor.home import Home
from engine.supervisor.names import name_from
from engine.supervisor.shelf import Kind, Shelf
from engine.supervisor.soundness import Twin, twin_of, weights_of
from engine.supervisor.spec import Room
from engine.supervisor.starter import Starter
from engine.supervisor.store import Store

__all__ = ["AdapterIntake", "address_of"]


class AdapterIntake(Shelf):
    """The shelf, and how adapters come onto it: one change at a time.

    Whatever comes is made ready in the home's tmp, looked at there, noted, and appears in its place by one
    rename; the store hears of it last. A kill before the rename leaves nothing, one after it leaves a folder
    whose note says everything.
    """

    def __init__(self, home: Home, store: Store, starter: Starter, changed: Callable[[Room], None]) -> None:
        super().__init__(home, store, starter, changed)
        self._moving = asyncio.Lock()

    async def import_adapter(self, path: str, name: str | None) -> tuple[AdapterCard, Twin | None]:
        """Copy or convert what lies at ``path`` into the home, and keep it if it is sound.

        Returns its card, and the adapter that has the same weights at another strength. One that is there
        already under another name is refused.
        """
        source = _given_adapter(path)
        chosen = name_from(name, source)
        place = self._home.adapters / chosen
        async with self._moving:
            self.check_free("adapters", chosen)
            origin = origin_now(path=str(source))
            ready = await asyncio.to_thread(
                make_ready, source, place, self._home.tmp, origin, source="import"
            )
            try:
                twin = await self._twin(ready.file, ready.entry)
                if twin and not twin.how:
                    raise StudioError(
                        "adapter",
                        f"The same weights are already in the library as {twin.name}.",
                        f"Use {twin.name}" + (", after bringing it back." if twin.removed else "."),
                    )
                await self._put("adapters", ready.folder, ready.entry)
            finally:
                await asyncio.to_thread(shutil.rmtree, ready.folder, ignore_errors=True)
        return self.adapter(chosen), twin

    async def _put(self, kind: Kind, folder: Path, entry: Entry) -> None:
        """Put the finished ``folder``, its note in it, to where its card says, what was there before into the
        trash; or leave all as it was."""
        place = Path(entry.card.path)
        bin_ = self._trash_place(kind, place.name)
        await asyncio.to_thread(_exchange, folder, place, bin_)
        try:
            self._record(kind, entry)
        except StudioError:
            await asyncio.to_thread(_exchange, bin_, place, folder)
            raise

    async def twin(self, name: str) -> str:
        """Which other adapter has the very weights of the one called ``name``, in a sentence; "" for none."""
        entry = self._entry("adapters", name)
        if entry is None:
            return ""
        twin = await self._twin(await asyncio.to_thread(read_folder, Path(entry.card.path)), entry)
        return twin.sentence if twin and not twin.removed else ""

    async def _twin(self, file: AdapterFile, own: Entry) -> Twin | None:
        """Another adapter of the library with the very weights of this one, and how it differs."""
        same = []
        for entry in self._store.entries("adapters"):
            here = Path(entry.card.path).is_dir() and entry.card.name != own.card.name
            if not here or not _alike(entry, own):
                continue
            if not entry.weights:
                digest = await asyncio.to_thread(weights_of, Path(entry.card.path))
                entry = replace(entry, weights=digest)
                self._store.save_entry("adapters", entry)
            if entry.weights == own.weights:
                same.append(entry)
        return await asyncio.to_thread(twin_of, file, same)

    async def _adopt_adapter(
        self, folder: Path, spec: Download, commit: str, sha256: Mapping[str, str]
    ) -> None:
        """See ``Intake.adopt_download``."""
        old = self._replaced(spec)
        if old is not None and _arrived(old, commit, sha256):
            return
        await asyncio.to_thread(_check_hashes, folder, sha256)
        said = {field: getattr(old.card, field) for field in ("favourite", "tags", "note")} if old else {}
        ready = await asyncio.to_thread(
            make_ready,
            folder,
            self._home.adapters / spec.out,
            self._home.tmp,
            origin_now(files=dict(sha256), address=address_of(spec.repo, commit)),
            old.former if old else (),
            source="hub",
            repo=spec.repo,
            commit=commit,
            **said,
        )
        try:
            await self._put("adapters", ready.folder, ready.entry)
        finally:
            await asyncio.to_thread(shutil.rmtree, ready.folder, ignore_errors=True)

    def _replaced(self, spec: Download) -> Entry | None:
        """The adapter whose place a download takes, None where the name is free. StudioError("usage") where
        it is another's."""
        old = self._entry("adapters", spec.out)
        replaced = old is not None and isinstance(old.card, AdapterCard) and old.card.repo == spec.repo
        if old is None or old.removed or not replaced or not self._is_ours("adapters", old):
            self.check_free("adapters", spec.out)
            return None
        return old


def _given_adapter(path: str) -> Path:
    """The folder or file that a person named; the folder where the file is one of an adapter's own."""
    source = Path(path).expanduser().absolute()
    if source.is_file() and source.name in ADAPTER_FILES:
        return source.parent
    if source.exists():
        return source
    if address := parse_address(path):
        at = "" if address.revision == "main" else f" --revision {address.revision}"
        raise StudioError(
            "usage",
            f"{address.repo} is not here: it names a repository of the Hub.",
            f"Download it with: adapter-studio hub download {address.repo}{at}",
        )
    raise StudioError(
        "missing", f"There is no folder {path}.", "Give the folder that PEFT wrote the adapter to."
    )


def _alike(entry: Entry, new: Entry) -> bool:
    """Whether two adapters could hold the same weights, as far as their cards say."""
    a, b = entry.card, new.card
    assert isinstance(a, AdapterCard)
    assert isinstance(b, AdapterCard)
    return (a.tensors, a.rank, a.targets) == (b.tensors, b.rank, b.targets)


def address_of(repo: str, commit: str) -> str:
    """The page on the Hub that shows these very files."""
    return f"{page_of(repo)}/tree/{commit}"


def _arrived(old: Entry, commit: str, sha256: Mapping[str, str]) -> bool:
    """Whether this very download is what already lies there."""
    assert isinstance(old.card, AdapterCard)
    same = old.card.commit == commit and old.origin.files == dict(sha256)
    return same and all(Path(old.card.path, file).is_file() for file in old.files)


def _check_hashes(folder: Path, sha256: Mapping[str, str]) -> None:
    for name, expected in sha256.items():
        if not (folder / name).is_file() or sha256_file(folder / name) != expected:
            raise StudioError(
                "failed", f"{name} is not what was downloaded.", "Check the disk, then download it again."
            )


def _exchange(coming: Path, place: Path, going: Path) -> None:
    """Move what lies in ``place`` to ``going``, and ``coming`` there; either may be missing. When the system
    refuses, nothing has moved."""
    doing = f"taking {place.name} into the library"
    moved = place.exists()
    if moved:
        move(place, going, doing)
    try:
        if coming.exists():
            move(coming, place, doing)
    except StudioError:
        if moved:
            move(going, place, doing)
        raise
