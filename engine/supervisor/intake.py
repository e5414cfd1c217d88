"""What comes into the library besides imported adapters: downloads, results of jobs, mixes, bases."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from msgspec.structs import replace

from engine.formats.errors import StudioError
from engine.formats.mix_file import MIXER, Mix, read_mix, read_mix_card
from engine.hub.address import parse_address
from engine.messages import AdapterCard, BaseCard, Download, MixCard
from engine.supervisor.adapter_folders import adapter_card
from engine.supervisor.adapter_intake import AdapterIntake, address_of
from engine.supervisor.bases import has_projections, read_base
from engine.supervisor.entry import Entry, Origin, origin_now, read_note, write_note
from engine.supervisor.folders import copy_mix, hashes, sign_mix
from engine.supervisor.names import name_from
from engine.supervisor.shelf import Kind

__all__ = ["Intake", "as_said", "found"]

SAID = ("source", "repo", "commit", "newer", "converted", "added", "favourite", "tags", "note")
"""What an adapter's files do not say about it."""


class Intake(AdapterIntake):
    """The shelf, with every way onto it."""

    # --- downloads ---

    async def adopt_download(
        self, folder: Path, spec: Download, commit: str, sha256: Mapping[str, str]
    ) -> AdapterCard | BaseCard:
        """Take in what a finished download has brought to ``folder``; doing it twice is doing it once.

        ``sha256`` {file: hex} is compared with what lies there. An adapter is copied or converted; one of
        the same name and repository goes to the trash, and what the person said about it stays. A base is
        used where it lies. When this fails, what was there before is as it was.
        """
        async with self._moving:
            if spec.room == "adapters":
                await self._adopt_adapter(folder, spec, commit, sha256)
                return self.adapter(spec.out)
            await self._adopt_base(folder, spec, commit, sha256)
            return self.base(spec.out)

    async def _adopt_base(self, folder: Path, spec: Download, commit: str, sha256: Mapping[str, str]) -> None:
        old = self._entry("bases", spec.out)
        known = old is not None and isinstance(old.card, BaseCard) and old.card.repo == spec.repo
        if old is None or old.removed or not known:
            found = self._of_repo("bases", spec.repo)  # the cache was looked through meanwhile
            if found is None or found.card.name != spec.out:
                self.check_free("bases", spec.out)
            old = found
        card = await asyncio.to_thread(read_base, folder, spec.out, "hub")
        card = replace(card, repo=spec.repo, commit=commit)
        origin = origin_now(address=address_of(spec.repo, commit))
        entry = Entry(card=card, files=dict(sha256), origin=origin, former=old.former if old else [])
        self._keep("bases", entry, instead_of=old.card.name if old else "")

    # --- what jobs made ---

    async def adopt(
        self,
        kind: Kind,
        folder: Path,
        name: str,
        licenses: Mapping[str, str] = MappingProxyType({}),
        origin: Origin | None = None,
    ) -> None:
        """Move a finished result into the library under ``name``; doing it twice is doing it once.

        ``licenses`` are those of a mix's experts, where known; ``origin`` says who made it and from what.
        """
        target = self._room(kind) / name
        async with self._moving:
            if folder.exists():
                self._check_taken(kind, name, target)
                if licenses:
                    await asyncio.to_thread(sign_mix, folder, licenses)
                made = origin or origin_now()
                entry = await asyncio.to_thread(_read, kind, folder, target, "training", made)
                await asyncio.to_thread(write_note, folder, entry)
                await self._put(kind, folder, entry)
            elif known := self._entry(kind, name):
                self._keep(kind, known)
            else:
                self._keep(kind, await asyncio.to_thread(found, kind, target, "training"))

    def _check_taken(self, kind: Kind, name: str, target: Path) -> None:
        """StudioError("usage") where something came, while the job ran, to the name of its result."""
        entry = self._entry(kind, name)
        if target.exists() or (entry is not None and entry.card.path != str(target)):
            raise StudioError(
                "usage",
                f"Meanwhile something else is called {name}.",
                "Rename or remove that, then resume the job: its result is still there.",
            )

    # --- mixes ---

    async def import_mix(self, path: str, name: str | None, base: str | None) -> MixCard:
        """Copy a mix's folder into the home. ``base`` is what the base that it was made on is called here."""
        source = _given_mix(path)
        chosen = name_from(name, source)
        async with self._moving:
            self.check_free("mixes", chosen)
            mix = await asyncio.to_thread(read_mix, source)
            card = await asyncio.to_thread(self._check_base, mix, base or mix.base)
            target, ready = self._home.mixes / chosen, self._home.tmp / f"{chosen}-{uuid.uuid4().hex}"
            origin, changes = origin_now(path=str(source)), {"name": chosen, "base": card.name}
            try:
                await asyncio.to_thread(copy_mix, source, ready, changes)
                entry = await asyncio.to_thread(_read, "mixes", ready, target, "import", origin)
                await asyncio.to_thread(write_note, ready, entry)
                await self._put("mixes", ready, entry)
            finally:
                await asyncio.to_thread(shutil.rmtree, ready, ignore_errors=True)
        return self.mix(chosen)

    def _check_base(self, mix: Mix, name: str) -> BaseCard:
        """The base on which ``mix`` can be heard under ``name``; StudioError("base") where there is none."""
        try:
            card = self.base(name)
        except StudioError as error:
            raise StudioError(
                "base",
                f"The mix was made on {mix.base or 'a base without a name'}, and there is no base called "
                f"{name or 'so'} here.",
                f"Add it with `adapter-studio bases add FOLDER --name {mix.base or 'NAME'}`, or say with "
                "--base what it is called here.",
            ) from error
        if not has_projections(Path(card.path), mix.base_shape):
            raise StudioError(
                "base",
                f"The mix was made on {mix.base or 'another base'}, whose projections {name} does not have.",
                "Choose the base that it was made on.",
            )
        return card

    # --- bases ---

    async def add_base(self, path: str, name: str | None) -> BaseCard:
        """Register a base model where it lies; it is not copied."""
        folder = Path(path).expanduser().absolute()
        if not folder.is_dir():
            raise _no_base_at(path)
        async with self._moving:
            chosen = name_from(name, folder)
            self.check_free("bases", chosen)
            card = await asyncio.to_thread(read_base, folder, chosen)
            card = replace(card)
            self._keep("bases", Entry(card=card, origin=origin_now(path=str(folder))))
        return card


def _read(kind: Kind, folder: Path, target: Path, source: str, origin: Origin) -> Entry:
    """The entry of what lies in ``folder`` on its way to ``target``."""
    card: AdapterCard | MixCard
    if kind == "adapters":
        card = adapter_card(folder, name=target.name, path=str(target), source=source, added=origin.time)
    else:
        card = replace(read_mix_card(folder), name=target.name, path=str(target))
    return Entry(card=card, files=hashes(folder), origin=origin)


def as_said(entry: Entry, before: AdapterCard | BaseCard | MixCard) -> Entry:
    """``entry`` under the name, and with the words, that a person gave to what was there ``before``."""
    card = replace(entry.card, name=before.name)
    if isinstance(card, AdapterCard) and isinstance(before, AdapterCard):
        words = ("favourite", "tags", "note", "added")
        card = replace(card, **{field: getattr(before, field) for field in words})
    return replace(entry, card=card)


def found(kind: Kind, folder: Path, source: str) -> Entry:
    """The entry of a folder that lies in its place: what its note says that no file does, and what the files
    say. StudioError when it is refused."""
    note = read_note(folder)
    if note is None:
        return _read(kind, folder, folder, source, Origin())
    entry = _read(kind, folder, folder, source, note.origin)
    card, noted = entry.card, note.card
    if isinstance(card, AdapterCard) and isinstance(noted, AdapterCard):
        card = replace(card, **{field: getattr(noted, field) for field in SAID})
    return replace(note, card=card)


def _given_mix(path: str) -> Path:
    """The folder that a person named, maybe by its card."""
    folder = Path(path).expanduser().absolute()
    if folder.name == MIXER and folder.is_file():
        folder = folder.parent
    if not folder.is_dir():
        raise StudioError(
            "missing", f"There is no folder {path}.", "Give the folder that `mix export` wrote."
        )
    if not (folder / MIXER).is_file():
        raise StudioError(
            "missing", f"{folder} is no mix: it has no {MIXER}.", "Adapters have their own import."
        )
    return folder


def _no_base_at(path: str) -> StudioError:
    address = parse_address(path)
    return StudioError(
        "base",
        f"There is no folder {path}.",
        f"Download it with: adapter-studio bases add {address.repo}"
        if address
        else "Give the folder of a transformers model.",
    )
