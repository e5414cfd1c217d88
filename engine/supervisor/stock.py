"""Taking stock: what lies in the home, the starter pack and the Hub's cache without being in the store."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

import msgspec
from msgspec.structs import replace

from engine.formats.errors import StudioError
from engine.messages import AdapterCard, BaseCard
from engine.supervisor.bases import read_base
from engine.supervisor.cached import Cached
from engine.supervisor.entry import Entry, read_note, write_note
from engine.supervisor.folders import move
from engine.supervisor.intake import as_said, found
from engine.supervisor.shelf import Kind

__all__ = ["Stock"]

log = logging.getLogger(__name__)

FOLDERS: tuple[Kind, ...] = ("adapters", "mixes")


class Stock(Cached):
    """The shelf, and how it finds out at the start what is there."""

    async def take_stock(self) -> list[str]:
        """At the start: end what a killed engine had begun, then register the starter pack, what lies in the
        home and what the Hub's cache holds. Returns a sentence for each folder that could not be taken in.
        """
        await asyncio.to_thread(_sweep, self._home.tmp)
        for kind in FOLDERS:
            self._note_old_trash(kind)
            self._mend(kind)
        await self._take_bases()
        places: list[tuple[Kind, Path, str]] = [
            ("adapters", folder, "starter") for folder in self.starter.adapters()
        ]
        places += [("adapters", folder, "import") for folder in _folders(self._home.adapters)]
        places += [("mixes", folder, "training") for folder in _folders(self._home.mixes)]
        complaints: list[str] = []
        for kind, folder, source in places:
            try:
                await self._register(kind, folder, source)
            except (StudioError, OSError) as error:
                log.warning("%s was left out of the library: %s", folder, error)
                complaints.append(f"{folder.name} could not be taken into the library: {error}")
        await self.watch_cache()
        return complaints

    async def _register(self, kind: Kind, folder: Path, source: str) -> None:
        entry = self._known_as(kind, folder, source)
        shipped = self.starter.hashes.get(folder.name) if source == "starter" else None
        # A newer pack may have come with a newer program; what was removed stays removed.
        if entry and (entry.removed or (entry.card.path == str(folder) and shipped in (None, entry.files))):
            note = read_note(folder) if self._is_ours(kind, entry) else entry
            if note is None:
                write_note(folder, entry)  # earlier versions kept none
                return
            if note.files == entry.files:
                self._believe(kind, note, entry)
                return
            # Else it was replaced, and the engine killed before the store could hear of it.
        new = await asyncio.to_thread(found, kind, folder, source)
        if entry and shipped:
            new = as_said(replace(new, former=entry.former), entry.card)
        self._keep(kind, replace(new, files=shipped or new.files))

    def _believe(self, kind: Kind, note: Entry, entry: Entry) -> None:
        """Record what a note says otherwise than the store, which may be an older backup."""
        card = replace(note.card, name=entry.card.name, path=entry.card.path)
        said = replace(note, card=card, weights=note.weights or entry.weights, removed=entry.removed)
        if said != entry:
            self._record(kind, said)

    def _known_as(self, kind: Kind, folder: Path, source: str) -> Entry | None:
        """The entry of a folder, which the pack's may have under another name. StudioError("usage") where
        something else has its name."""
        for entry in self._store.entries(kind):
            pack = source == "starter" and _came_along(entry)
            if entry.card.path == str(folder) or (pack and folder.name in entry.former):
                return entry
        named = self._entry(kind, folder.name)
        # A home or a program that was copied elsewhere finds itself at another place.
        if named and _in_place(named) != (source == "starter") and Path(named.card.path).exists():
            raise StudioError(
                "usage",
                f"Something else is called {folder.name}.",
                "Rename that, and start the engine again.",
            )
        return named

    async def _take_bases(self) -> None:
        for note in sorted(self._home.bases.glob("*.json")):
            if note.stem in self._former("bases"):
                note.unlink()  # the engine was killed when it had just been renamed
            elif (entry := _read_base_note(note)) and self._is_newer(entry):
                older = next((name for name in entry.former if self._entry("bases", name)), "")
                self._keep("bases", entry, instead_of=older)
        await self._take_starter_base()

    def _is_newer(self, note: Entry) -> bool:
        """Whether the store does not know what was noted about a base. Earlier versions noted no origin."""
        known = self._entry("bases", note.card.name)
        return known is None or (note != known and note.origin == known.origin)

    async def _take_starter_base(self) -> None:
        folder, named = self.starter.base_folder, self.starter.base
        known = next((entry for entry in self._store.entries("bases") if _came_along(entry)), None)
        taken = known.card.path == str(folder) if known else self._entry("bases", named) is not None
        if not named or taken:
            return
        card = await asyncio.to_thread(read_base, folder, known.card.name if known else named, "starter")
        self._keep("bases", replace(known, card=card) if known else Entry(card=card))

    # --- what a killed engine left ---

    def _mend(self, kind: Kind) -> None:
        """Put back what was on its way into the trash, and let what was being renamed have its new name."""
        for entry in self._store.entries(kind):
            place = Path(entry.card.path)
            if place.exists() or not self._is_ours(kind, entry):
                continue
            for folder in _folders(self._room(kind)):
                note = read_note(folder)
                if self._entry(kind, folder.name) is None and note and _same(note, entry):
                    card = replace(note.card, name=folder.name, path=str(folder))
                    former = list(dict.fromkeys([*note.former, entry.card.name]))
                    self._keep(kind, replace(note, card=card, former=former), instead_of=entry.card.name)
                    break
            else:
                trashed = sorted(self._home.trash.glob(f"{kind}-{entry.card.name}-*"), reverse=True)
                for bin_ in trashed:
                    if (note := read_note(bin_)) and _same(note, entry):
                        move(bin_, place, f"putting {entry.card.name} back")
                        break

    def _note_old_trash(self, kind: Kind) -> None:
        """Earlier versions kept in the store what lies in the trash; now each folder there says it itself."""
        for entry in self._store.entries(f"trash/{kind}"):
            bin_ = self._home.trash / Path(entry.card.path).name  # the home may have been copied elsewhere
            if bin_.is_dir():
                write_note(bin_, entry)
            self._store.drop_entry(f"trash/{kind}", entry.card.name)


def _came_along(entry: Entry) -> bool:
    """Whether it is of the starter pack."""
    return isinstance(entry.card, AdapterCard | BaseCard) and entry.card.source == "starter"


def _in_place(entry: Entry) -> bool:
    """Whether an adapter or a mix is used where it lies, outside of the home."""
    return isinstance(entry.card, AdapterCard) and entry.card.source in ("starter", "cache")


def _same(note: Entry, entry: Entry) -> bool:
    """Whether a note is that of ``entry``, wherever its folder has got to."""
    return (note.files, note.origin) == (entry.files, entry.origin)


def _read_base_note(note: Path) -> Entry | None:
    """What was noted about a base; earlier versions noted its card alone."""
    try:
        content = note.read_bytes()
        if b'"card"' not in content:
            return Entry(card=msgspec.json.decode(content, type=BaseCard))
        entry = msgspec.json.decode(content, type=Entry)
    except (OSError, msgspec.DecodeError) as error:
        log.warning("%s cannot be read: %s", note, error)
        return None
    return replace(entry, card=replace(entry.card, name=note.stem))


def _sweep(tmp: Path) -> None:
    """Nobody works here at the start: what lies here was left half made."""
    for path in tmp.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _folders(room: Path) -> list[Path]:
    return sorted(path for path in room.iterdir() if path.is_dir() and not path.name.startswith("."))
