"""What leaves the library, how it comes back, and how it is deleted for good."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

from msgspec.structs import replace

from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error, sync_folder
from engine.supervisor.adapter_intake import AdapterIntake
from engine.supervisor.entry import read_note, write_note
from engine.supervisor.folders import move
from engine.supervisor.shelf import WHAT, Kind

__all__ = ["Trash", "trashed"]

_BIN = re.compile(r"(adapters|mixes|bases|speech|clips)-(.+)-\d+")


class Trash(AdapterIntake):
    """The shelf, with the way off it: a folder of the home is moved with its note, so that the trash says
    itself what is in it; what lies elsewhere is only taken off the list."""

    async def remove(self, kind: Kind, name: str) -> str:
        """Take something off the shelf. Returns where its files are now."""
        async with self._moving:
            entry = self._entry(kind, name)
            if entry is None or entry.removed:
                raise StudioError(
                    "missing",
                    f"There is no {WHAT[kind]} called {name}.",
                    "Look at the list of what is there.",
                )
            folder = Path(entry.card.path)
            if not self._is_ours(kind, entry):
                self._keep(kind, replace(entry, removed=True))
                return str(folder)
            bin_, there = self._trash_place(kind, name), folder.exists()
            if there:
                await asyncio.to_thread(move, folder, bin_, f"removing {name}")
            try:
                self._store.drop_entry(kind, name)
            except StudioError:
                if there:
                    await asyncio.to_thread(move, bin_, folder, f"leaving {name} where it was")
                raise
            self._changed(kind)
        return str(bin_ if there else folder)

    async def restore(self, kind: Kind, name: str) -> None:
        """Bring what was removed last under this name back from the trash."""
        async with self._moving:
            hidden = self._entry(kind, name)
            if hidden is not None and hidden.removed:
                self._keep(kind, replace(hidden, removed=False))
                return
            bins = [bin_ for bin_ in self._home.trash.iterdir() if trashed(bin_) == (kind, name)]
            bins = [bin_ for bin_ in bins if read_note(bin_)]
            if not bins:
                raise StudioError(
                    "missing",
                    f"There is no removed {WHAT[kind]} called {name}.",
                    "Names are written exactly as they were.",
                )
            self.check_free(kind, name)
            newest, target = max(bins, key=lambda bin_: bin_.name), self._room(kind) / name
            note = read_note(newest)
            assert note is not None
            entry = replace(note, card=replace(note.card, name=name, path=str(target)))
            await asyncio.to_thread(write_note, newest, entry)
            await self._put(kind, newest, entry)

    async def empty_trash(self, items: list[str]) -> None:
        """Delete for good what was removed: all, or the ``items``, each KIND/NAME."""
        async with self._moving:
            bins = {bin_: "/".join(trashed(bin_)) for bin_ in self._home.trash.iterdir()}
            for item in items:
                if item not in bins.values():
                    raise StudioError(
                        "missing", f"There is no {item} in the trash.", "`adapter-studio disk` shows what is."
                    )
            for bin_, item in bins.items():
                if not items or item in items:
                    await asyncio.to_thread(_delete, bin_)
            await asyncio.to_thread(sync_folder, self._home.trash)


def trashed(bin_: Path) -> tuple[str, str]:
    """What kind of thing lies in a folder of the trash, and the name that it had."""
    match = _BIN.fullmatch(bin_.name)
    return (match[1], match[2]) if match else ("other", bin_.name)


def _delete(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise explain_os_error(error, "emptying the trash") from error
