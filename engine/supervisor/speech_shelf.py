"""The speech models that there are: folders of the home, the program's demo, Whispers of the Hugging Face
cache. The folders themselves are the record."""

from __future__ import annotations

import asyncio
import difflib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from engine.formats.errors import StudioError
from engine.formats.files import write_file
from engine.hub.cache import CachedRepo
from engine.messages import Download, ExampleClip, SpeechCard
from engine.supervisor.entry import Origin
from engine.supervisor.folders import move
from engine.supervisor.home import Home
from engine.supervisor.names import check_name
from engine.supervisor.speech_cards import ORIGIN, card_of

__all__ = ["DEMO", "SpeechShelf"]

log = logging.getLogger(__name__)

DEMO = "demo"
"""What the model that comes with the program is called."""

HIDDEN = "hidden.json"
"""Beside the models' folders: the Whispers of the cache that were taken off the list, by repository."""


class _Example(msgspec.Struct):
    file: str
    title: str
    text: str


class SpeechShelf:
    """All models of speech. ``starter`` is the folder that came with the program; ``changed()`` is called
    after every change.

    What comes in is made ready in the home's tmp and appears by one rename; what leaves goes to the trash by
    another. What reads files may block.
    """

    def __init__(self, home: Home, starter: Path, changed: Callable[[], None]) -> None:
        self._home = home
        self._starter = starter
        self._changed = changed
        self._moving = asyncio.Lock()
        self._whispers: list[CachedRepo] = []

    # --- looking ---

    def cards(self) -> list[SpeechCard]:
        """Every model, the demo first; one that cannot be used says why."""
        return [card_of(name, folder) for name, folder in self._folders()]

    def find(self, name: str) -> SpeechCard:
        """The model of this name, which can be used. StudioError otherwise."""
        card = card_of(name, self.folder(name))
        if card.problem:
            raise StudioError("adapter", f"{name} cannot be used. {card.problem}", "Import it again.")
        return card

    def folder(self, name: str) -> Path:
        """Where the model of this name lies. StudioError("missing") when there is none."""
        if found := self.folder_or_none(name):
            return found
        near = difflib.get_close_matches(name, [known for known, _ in self._folders()], n=1)
        hint = "`adapter-studio speech models` shows what there is."
        if name == DEMO:
            hint = "Fetch a Whisper instead: adapter-studio speech import openai/whisper-base.en"
        raise StudioError(
            "missing",
            f"There is no speech model called {name}.",
            f"Did you mean {near[0]}?" if near else hint,
        )

    def folder_or_none(self, name: str) -> Path | None:
        return dict(self._folders()).get(name)

    def examples(self) -> list[ExampleClip]:
        """The clips that come with the studio; none where they were not installed."""
        folder = self._starter / "examples"
        try:
            listed = msgspec.json.decode((folder / "examples.json").read_bytes(), type=list[_Example])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError) as error:
            raise StudioError(
                "data", "The list of example clips is damaged.", "Install Adapter Studio again.", str(error)
            ) from error
        return [
            ExampleClip(path=str(folder / each.file), title=each.title, text=each.text) for each in listed
        ]

    def check_free(self, name: str) -> None:
        """StudioError("usage") unless a new model may be called ``name``."""
        check_name(name)
        for taken in [DEMO, *(known for known, _ in self._folders())]:
            if taken.casefold() == name.casefold():
                raise StudioError(
                    "usage",
                    f"There already is a speech model called {taken}.",
                    "Choose another name, or remove that one first.",
                )

    def check_download(self, spec: Download) -> None:
        """StudioError("usage") where a Whisper is here already, or would be called otherwise than ``spec``
        says: one of the cache has the name of its repository."""
        known = {repo.repo: name for name, repo in self._cached()}
        if (name := known.get(spec.repo)) and not spec.replace:
            raise StudioError(
                "usage",
                f"{spec.repo} is already here, as {name}.",
                "Use it, or say --replace to fetch it anew.",
            )
        if spec.out != (wanted := name or self._whisper_name(spec.repo)):
            raise StudioError("usage", f"{spec.repo} is called {wanted} here.", f"Download it as {wanted}.")

    # --- changing ---

    def see_whispers(self, repos: Sequence[CachedRepo]) -> None:
        """These are the Whispers that lie in the Hugging Face cache now."""
        if list(repos) != self._whispers:
            self._whispers = list(repos)
            self._changed()

    async def adopt(self, folder: Path, name: str, origin: Origin) -> None:
        """Move a finished ``folder`` in as ``name``; doing it twice is doing it once."""
        async with self._moving:
            if folder.exists():
                self.check_free(name)
                note = msgspec.json.encode(origin)
                await asyncio.to_thread(write_file, folder / ORIGIN, note, doing="noting where it comes from")
                await asyncio.to_thread(move, folder, self._home.speech / name, f"keeping {name}")
        self._changed()

    async def remove(self, name: str) -> str:
        """Take a model off the list. Returns where its files are now, by which ``restore`` finds it."""
        async with self._moving:
            if name == DEMO:
                raise StudioError(
                    "usage", "The demo belongs to the studio.", "Choose another model to remove."
                )
            cached = dict(self._cached())
            if name in cached:
                self._hide({*self._hidden(), cached[name].repo})
                return str(cached[name].path)
            folder = self.folder(name)
            bin_ = self._home.trash / f"speech-{name}-{time.time_ns()}"
            await asyncio.to_thread(move, folder, bin_, f"removing {name}")
        self._changed()
        return str(bin_)

    async def restore(self, path: str) -> str:
        """Bring back what ``remove`` has put to ``path``. Returns its name."""
        async with self._moving:
            bin_ = Path(path)
            off = self._hidden()
            hidden = [repo for repo in self._whispers if str(repo.path) == path and repo.repo in off]
            if hidden:
                self._hide(off - {hidden[0].repo})
                name = next(name for name, repo in self._cached() if repo == hidden[0])
            elif bin_.parent == self._home.trash and bin_.is_dir() and bin_.name.startswith("speech-"):
                name = bin_.name.removeprefix("speech-").rpartition("-")[0]
                self.check_free(name)
                await asyncio.to_thread(move, bin_, self._home.speech / name, f"bringing {name} back")
            else:
                raise StudioError(
                    "missing", "There is no removed speech model at that place.", "Look into the trash."
                )
        self._changed()
        return name

    # --- the folders ---

    def _folders(self) -> Iterator[tuple[str, Path]]:
        if (demo := self._starter / "model").is_dir():
            yield DEMO, demo
        yield from self._own()
        for name, repo in self._cached():
            yield name, repo.path

    def _own(self) -> list[tuple[str, Path]]:
        room = self._home.speech
        return [(path.name, path) for path in sorted(room.iterdir()) if path.is_dir() and path.name[0] != "."]

    def _cached(self) -> Iterator[tuple[str, CachedRepo]]:
        hidden = self._hidden()
        taken: set[str] = set()
        for repo in self._whispers:
            if repo.repo not in hidden:
                name = self._whisper_name(repo.repo, taken)
                taken.add(name.casefold())
                yield name, repo

    def _whisper_name(self, repo: str, taken: AbstractSet[str] = frozenset()) -> str:
        """What a Whisper of the Hub is called: as its repository, with the owner where that is taken."""
        own = repo.rpartition("/")[2]
        others = {DEMO, *taken, *(name.casefold() for name, _ in self._own())}
        return repo.replace("/", "-") if own.casefold() in others else own

    def _hidden(self) -> set[str]:
        try:
            return set(msgspec.json.decode((self._home.speech / HIDDEN).read_bytes(), type=list[str]))
        except FileNotFoundError:
            return set()
        except (OSError, msgspec.DecodeError) as error:  # then they are all on the list again
            log.warning("%s cannot be read: %s", HIDDEN, error)
            return set()

    def _hide(self, repos: set[str]) -> None:
        write_file(
            self._home.speech / HIDDEN, msgspec.json.encode(sorted(repos)), doing="noting what is hidden"
        )
        self._changed()
