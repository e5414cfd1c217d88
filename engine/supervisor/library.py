"""The library: adapters, bases and mixes, how they come in, are checked, leave and come back."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from engine.formats.adapter_file import fingerprint, inspect_folder, read_folder
from engine.formats.errors import StudioError
from engine.formats.files import write_file
from engine.formats.mix_file import MIXER, Mix, read_mix, read_mix_card
from engine.messages import AdapterCard, BaseCard, MixCard, Verification
from engine.supervisor.bases import has_projections, read_base
from engine.supervisor.folders import (
    ADAPTER_FILES,
    check_target,
    copy_adapter,
    copy_mix,
    export_at_rank,
    hashes,
    move,
    read_readme,
    sign_mix,
    verify_entry,
)
from engine.supervisor.home import Home
from engine.supervisor.shelf import WHAT, Kind, Shelf, check_name
from engine.supervisor.starter import Starter
from engine.supervisor.store import Store

__all__ = ["Library"]

log = logging.getLogger(__name__)


class Library(Shelf):
    """The shelf, with all that changes it: one change at a time."""

    def __init__(self, home: Home, store: Store, starter: Starter, changed: Callable[[Kind], None]) -> None:
        super().__init__(home, store, starter, changed)
        self._moving = asyncio.Lock()

    # --- adapters ---

    async def import_adapter(self, path: str, name: str | None) -> AdapterCard:
        """Copy a PEFT folder into the home, look at the copy, and keep it if it is sound."""
        source = _given_folder(path, ADAPTER_FILES, "Give the folder that PEFT wrote the adapter to.")
        chosen = check_name(name) if name else _name_from(source)
        async with self._moving:
            self.check_free("adapters", chosen)
            await asyncio.to_thread(read_folder, source)
            self._refuse_twin(await asyncio.to_thread(fingerprint, source))
            target = self._home.adapters / chosen
            await asyncio.to_thread(copy_adapter, source, target, self._home.tmp)
            card = await asyncio.to_thread(self._card, target, "import")
            self._keep("adapters", card, await asyncio.to_thread(hashes, target))
        return card

    def _refuse_twin(self, sha256: str) -> None:
        for entry in self._store.entries("adapters"):
            if isinstance(entry.card, AdapterCard) and entry.card.sha256 == sha256:
                raise StudioError(
                    "adapter",
                    f"The same weights are already in the library as {entry.card.name}.",
                    f"Use {entry.card.name}" + (", after bringing it back." if entry.removed else "."),
                )

    def _card(self, folder: Path, source: str) -> AdapterCard:
        read_folder(folder)  # which raises where inspect_folder would only say "refuse"
        inspection = inspect_folder(folder)
        description, license_ = read_readme(folder / "README.md")
        return AdapterCard(
            name=folder.name,
            path=str(folder),
            base=self._known_base(inspection.base),
            kind=inspection.kind,
            rank=inspection.rank,
            alpha=inspection.alpha,
            targets=inspection.targets,
            tensors=inspection.tensors,
            bytes=inspection.bytes,
            source=source,
            description=description,
            license=license_,
            sha256=fingerprint(folder),
        )

    async def verify(self, name: str | None) -> list[Verification]:
        """Compare files with the hashes taken when they came in."""
        if name is not None:
            self.adapter(name)
        entries = [entry for entry in self._store.entries("adapters") if not entry.removed]
        chosen = [entry for entry in entries if name in (None, entry.card.name)]
        return [await asyncio.to_thread(verify_entry, entry) for entry in chosen]

    async def remove(self, kind: Kind, name: str) -> str:
        """Move an adapter or mix to the trash (what lies elsewhere is only hidden). Returns its folder."""
        async with self._moving:
            entry = self._entry(kind, name)
            if entry is None or entry.removed:
                raise StudioError(
                    "missing",
                    f"There is no {WHAT[kind]} called {name}.",
                    "Look at the list of what is there.",
                )
            folder = Path(entry.card.path)
            if not folder.is_relative_to(self._room(kind)):
                self._store.save_entry(kind, msgspec.structs.replace(entry, removed=True))
            else:
                bin_ = self._home.trash / f"{kind}-{name}-{time.time_ns()}"
                if folder.exists():
                    await asyncio.to_thread(move, folder, bin_, f"removing {name}")
                folder = bin_
                card = msgspec.structs.replace(entry.card, path=str(bin_))
                self._store.save_entry(f"trash/{kind}", msgspec.structs.replace(entry, card=card))
                self._store.drop_entry(kind, name)
            self._changed(kind)
        return str(folder)

    async def restore(self, kind: Kind, name: str) -> None:
        """Bring what was removed last under this name back from the trash."""
        async with self._moving:
            hidden = self._entry(kind, name)
            if hidden is not None and hidden.removed:
                self._store.save_entry(kind, msgspec.structs.replace(hidden, removed=False))
                self._changed(kind)
                return
            trashed = self._entry(f"trash/{kind}", name)
            if trashed is None or not Path(trashed.card.path).is_dir():
                raise StudioError(
                    "missing",
                    f"There is no removed {WHAT[kind]} called {name}.",
                    "Names are written exactly as they were.",
                )
            self.check_free(kind, name)
            target = self._room(kind) / name
            await asyncio.to_thread(move, Path(trashed.card.path), target, f"bringing {name} back")
            card = msgspec.structs.replace(trashed.card, path=str(target))
            self._keep(kind, card, trashed.files)
            self._store.drop_entry(f"trash/{kind}", name)

    async def export_adapter(self, name: str, folder: str, rank: int | None) -> str:
        """Write an adapter as an ordinary PEFT folder, all of it or its best ``rank`` columns."""
        card = self.adapter(name)
        target = Path(folder).expanduser().absolute()
        check_target(target, self._home.root)
        if rank is not None and not 1 <= rank <= card.rank:
            raise StudioError(
                "usage", f"{name} has ranks 1 to {card.rank}, not {rank}.", "Choose one of these."
            )
        if rank is None:
            await asyncio.to_thread(copy_adapter, Path(card.path), target, None)
        else:
            await export_at_rank(Path(card.path), target, rank)
        return str(target)

    async def copy_mix(self, name: str, folder: str, scores: dict[str, Any]) -> str:
        """Write a mix as a folder that any studio can play, with a README that shows its ``scores``."""
        source, target = Path(self.mix(name).path), Path(folder).expanduser().absolute()
        check_target(target, self._home.root)
        await asyncio.to_thread(copy_mix, source, target, None, {"scores": scores} if scores else {})
        return str(target)

    async def import_mix(self, path: str, name: str | None, base: str | None) -> MixCard:
        """Copy a mix's folder into the home. ``base`` is what the base that it was made on is called here."""
        source = _given_folder(path, (MIXER,), "Give the folder that `mix export` wrote.")
        chosen = check_name(name) if name else _name_from(source)
        async with self._moving:
            self.check_free("mixes", chosen)
            if not (source / MIXER).is_file():
                raise StudioError(
                    "missing",
                    f"{source} is no mix: it has no {MIXER}.",
                    "Adapters have their own import.",
                )
            mix = await asyncio.to_thread(read_mix, source)
            await asyncio.to_thread(self._check_base, mix, base or mix.base)
            changes = {"name": chosen, "base": base or mix.base}
            target = self._home.mixes / chosen
            await asyncio.to_thread(copy_mix, source, target, self._home.tmp, changes)
            await self._register("mixes", target, "import")
        return self.mix(chosen)

    def _check_base(self, mix: Mix, name: str) -> None:
        """StudioError("base") unless the library has a base ``name`` on which ``mix`` can be heard."""
        card = next((card for card in self.bases() if card.name == name), None)
        if card is None:
            raise StudioError(
                "base",
                f"The mix was made on {mix.base or 'a base without a name'}, and there is no base called "
                f"{name or 'so'} here.",
                f"Add it with `adapter-studio bases add FOLDER --name {mix.base or 'NAME'}`, or say with "
                "--base what it is called here.",
            )
        if not has_projections(Path(card.path), mix.base_shape):
            raise StudioError(
                "base",
                f"The mix was made on {mix.base or 'another base'}, whose projections {name} does not have.",
                "Choose the base that it was made on.",
            )

    # --- bases ---

    async def add_base(self, path: str, name: str | None) -> BaseCard:
        """Register a base model where it lies; it is not copied."""
        folder = Path(path).expanduser().absolute()
        if not folder.is_dir():
            hub = re.fullmatch(r"[\w.-]+/[\w.-]+", path)
            raise StudioError(
                "base",
                f"There is no folder {path}.",
                f"To use a model of the Hub, download it first: hf download {path}. Then give the folder."
                if hub
                else "Give the folder of a transformers model.",
            )
        async with self._moving:
            chosen = check_name(name) if name else _name_from(folder)
            self.check_free("bases", chosen)
            card = await asyncio.to_thread(read_base, folder, chosen)
            # Its only trace besides the database, from which a damaged one is rebuilt.
            note = self._home.bases / f"{chosen}.json"
            await asyncio.to_thread(write_file, note, msgspec.json.encode(card))
            self._keep("bases", card, {})
        return card

    # --- what jobs made ---

    async def adopt(
        self,
        kind: Literal["adapters", "mixes"],
        folder: Path,
        name: str,
        licenses: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Move a finished result into the library under ``name``; doing it twice is doing it once.

        ``licenses`` are those of a mix's experts, where known.
        """
        target = self._room(kind) / name
        async with self._moving:
            if folder.exists():
                if licenses:
                    await asyncio.to_thread(sign_mix, folder, licenses)
                await asyncio.to_thread(move, folder, target, f"saving {name}")
            await self._register(kind, target, "training")

    async def _register(self, kind: Literal["adapters", "mixes"], folder: Path, source: str) -> None:
        card: AdapterCard | MixCard
        if kind == "adapters":
            card = await asyncio.to_thread(self._card, folder, source)
        else:
            card = await asyncio.to_thread(read_mix_card, folder)
        shipped = self.starter.hashes.get(folder.name, {}) if source == "starter" else {}
        self._keep(kind, card, shipped or await asyncio.to_thread(hashes, folder))

    async def take_stock(self) -> list[str]:
        """At the start: register the starter pack and what lies in the home without being in the store.

        Returns a sentence for each folder that could not be taken in.
        """
        complaints: list[str] = []
        named = self.starter.base
        if named and self._entry("bases", named) is None:
            base = await asyncio.to_thread(read_base, self.starter.base_folder, named, "starter")
            self._keep("bases", base, {})
        for note in sorted(self._home.bases.glob("*.json")):
            if self._entry("bases", note.stem) is None:
                self._keep("bases", msgspec.json.decode(note.read_bytes(), type=BaseCard), {})
        places = [("adapters", folder, "starter") for folder in self.starter.adapters()]
        places += [("adapters", folder, "import") for folder in _folders(self._home.adapters)]
        places += [("mixes", folder, "training") for folder in _folders(self._home.mixes)]
        for kind, folder, source in places:
            assert kind in ("adapters", "mixes")
            entry = self._entry(kind, folder.name)
            shipped = self.starter.hashes.get(folder.name) if source == "starter" else None
            # A newer pack may have come with a newer program; what was removed stays removed.
            if entry and (
                entry.removed or (entry.card.path == str(folder) and shipped in (None, entry.files))
            ):
                continue
            try:
                await self._register(kind, folder, source)  # type: ignore[arg-type]
            except (StudioError, OSError) as error:
                log.warning("%s was left out of the library: %s", folder, error)
                complaints.append(f"{folder.name} could not be taken into the library: {error}")
        return complaints


def _folders(room: Path) -> list[Path]:
    return sorted(path for path in room.iterdir() if path.is_dir() and not path.name.startswith("."))


def _name_from(folder: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name).strip(".-_")[:64]
    if not name:
        raise StudioError(
            "usage",
            f"“{folder.name[:80]}” cannot be a name here.",
            "Give one of letters and digits with --name.",
        )
    return check_name(name)


def _given_folder(path: str, files: Sequence[str], hint: str) -> Path:
    """The folder that a person named, maybe by one of its ``files``."""
    folder = Path(path).expanduser().absolute()
    if folder.is_file() and folder.name in files:
        folder = folder.parent
    if not folder.is_dir():
        raise StudioError("missing", f"There is no folder {path}.", hint)
    return folder
