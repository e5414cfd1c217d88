"""The clips of the speech page: those that come with the studio, recordings, and files a person brought."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QObject, QSettings, Signal

from app.client import Client
from app.presenters.clip_files import bring_back, put_away, recordings, seconds_of
from app.presenters.clip_memory import ClipMemory
from app.presenters.notice import Notice, from_error
from app.presenters.presenter import Presenter
from engine.messages import (
    ClipCard,
    Error,
    ExampleClip,
    ListSpeech,
    LookAtClip,
    MouthPlace,
    Said,
    SpeechModels,
)

__all__ = ["ClipItem", "Clips", "ClipsState", "Origin"]

Origin = Literal["example", "recording", "file"]
SAVED = "speech/clips"
KEPT_CARDS = 12


@dataclass(frozen=True)
class ClipItem:
    """A clip on the shelf. ``seconds`` is 0 until somebody looked into it; ``text`` is what is said in it, as
    far as a person told; ``problem`` a sentence where the file cannot be used."""

    path: str
    title: str
    origin: Origin
    seconds: float = 0.0
    text: str = ""
    problem: str = ""


@dataclass(frozen=True)
class ClipsState:
    """``current`` is the path of the chosen clip or "", ``card`` what is in it (None until it is known),
    ``place`` where a person says that its mouth is (None: a face is searched). ``busy`` says what is being
    done to know the card; ``folder`` is where recordings go, "" until the engine has said so."""

    clips: tuple[ClipItem, ...] = ()
    current: str = ""
    card: ClipCard | None = None
    place: MouthPlace | None = None
    busy: str = ""
    folder: str = ""

    @property
    def item(self) -> ClipItem | None:
        """The chosen clip."""
        return self.find(self.current)

    def find(self, path: str) -> ClipItem | None:
        return next((clip for clip in self.clips if clip.path == path), None)


class Clips(Presenter[ClipsState]):
    """``changed``: another state; ``chosen(path)``: another clip, or "" for none; ``noticed(Notice)``;
    ``announced(sentence)``: for those who listen."""

    chosen = Signal(str)
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(self, client: Client, settings: QSettings, parent: QObject | None = None) -> None:
        memory = ClipMemory.from_json(str(settings.value(SAVED, "")))
        super().__init__(ClipsState(current=memory.current), parent)
        self._client = client
        self._settings = settings
        self._memory = memory
        self._examples: list[ExampleClip] = []
        self._problems: dict[str, str] = {}
        self._cards: dict[tuple[str, MouthPlace | None, int], ClipCard] = {}
        self._looking = ""
        self._removed: list[Callable[[], None]] = []
        client.welcomed.connect(self._welcomed)
        self._rebuild()
        if client.engine.phase == "ready":
            self._welcomed()

    # --- verbs ---

    def add(self, *paths: str) -> None:
        """Put files onto the shelf, and choose the first."""
        files = [str(Path(path).absolute()) for path in paths]
        there = [path for path in files if Path(path).is_file()]
        for path in files:
            if path not in there:
                words = f"{Path(path).name} is not a file that is there."
                self._say("warn", words, "Drop video or sound files, not folders.")
        if there:
            shelved = {clip.path for clip in self.state.clips}
            fresh = [path for path in dict.fromkeys(there) if path not in shelved]
            fresh = [path for path in fresh if Path(path).parent != Path(self.state.folder or "-")]
            self._remember(self._memory.with_files(fresh))
            self._rebuild()
            self.choose(there[0])

    def choose(self, path: str) -> None:
        """Another clip of the shelf; "" for none."""
        item = self.state.find(path)
        if path == self.state.current or (path and item is None):
            return
        self._remember(replace(self._memory, current=path))
        self._set(current=path, card=None, place=self._memory.places.get(path))
        self.chosen.emit(path)
        if item is not None:
            self.announced.emit(f"{item.title} is chosen")
        self._look()

    def remove(self, path: str) -> None:
        """Take a clip off the shelf; a recording goes to the trash. ``undo`` brings it back."""
        item = self.state.find(path)
        if item is None:
            return
        if item.origin == "example":
            self._say("info", f"{item.title} comes with the studio and stays on the shelf.")
            return
        if item.origin == "recording":
            try:
                bin_ = put_away(Path(path))
            except OSError as error:
                self._say("bad", f"{item.title} could not be moved to the trash.", "Try again.", str(error))
                return
            self._removed.append(lambda: self._restore(item, lambda: bring_back(bin_, Path(path))))
            words = f"{item.title} is in the trash."
        else:
            place = self._memory.files.index(path)
            self._remember(self._memory.without(path))
            self._removed.append(
                lambda: self._restore(item, lambda: self._remember(self._memory.with_files([path], place)))
            )
            words = f"{item.title} is off the shelf; the file is where it was."
        self._step_away(path)
        self._rebuild()
        self.noticed.emit(Notice("info", words, action=("Undo", self.undo)))

    def undo(self) -> None:
        """Bring back what was removed last."""
        if self._removed:
            self._removed.pop()()

    def set_reference(self, path: str, text: str) -> None:
        """What is said in a clip, as a person knows it."""
        self._remember(self._memory.with_text(path, text.strip()))
        self._rebuild()

    def set_place(self, place: MouthPlace | None) -> None:
        """Where the mouth of the chosen clip is; None lets a face be searched."""
        if self.state.current and place != self.state.place:
            self._remember(self._memory.with_place(self.state.current, place))
            self._set(place=place, card=None)
            self._look()

    def recorded(self, path: str) -> None:
        """A recording was made: put it onto the shelf and choose it."""
        self._rebuild()
        self.choose(path)

    # --- inside ---

    def _welcomed(self) -> None:
        self._client.ask(ListSpeech(), self._listed, self._complain)
        self._look()

    def _listed(self, answer: SpeechModels) -> None:
        self._examples = answer.examples
        self._set(folder=answer.clips)
        self._rebuild()

    def _rebuild(self) -> None:
        """Work out the shelf anew from the disk, the memory and what the engine has said."""
        folder = Path(self.state.folder) if self.state.folder else None
        made = recordings(folder) if folder else []
        said = {clip.path: clip.text for clip in self._examples} | self._memory.texts
        clips = [
            *(self._item(str(path), path.stem, "recording", said, seconds_of(path)) for path in made),
            *(self._item(path, Path(path).name, "file", said) for path in self._memory.files),
            *(self._item(clip.path, clip.title, "example", said) for clip in self._examples),
        ]
        self._set(clips=tuple(clips))
        if folder and self.state.current and self.state.item is None:
            self.choose("")
        elif not (self.state.card or self._looking or self.state.current in self._problems):
            self._look()

    def _item(
        self, path: str, title: str, origin: Origin, said: dict[str, str], seconds: float = 0.0
    ) -> ClipItem:
        known = next((card.seconds for (of, *_), card in self._cards.items() if of == path), seconds)
        problem = self._problems.get(path, "")
        return ClipItem(path, title, origin, known, said.get(path, ""), problem)

    def _look(self) -> None:
        """Ask what is in the chosen clip, unless that is known."""
        self._client.cancel(self._looking)
        self._looking = ""
        path, place = self.state.current, self._memory.places.get(self.state.current)
        if not path or self.state.item is None or self._client.engine.phase == "stopped":
            self._set(busy="")
            return
        known = self._cards.get(_key(path, place))
        if known is not None:
            self._set(card=known, place=place, busy="")
            return
        self._set(place=place, busy="Looking into the clip")

        def ours(act: Callable[..., None]) -> Callable[..., None]:
            return lambda answer: act(answer) if self._looking == call else None

        call = self._looking = self._client.ask(
            LookAtClip(clip=path, place=place),
            ours(lambda card: self._seen(path, place, card)),
            ours(lambda error: self._unseen(path, error)),
            ours(lambda said: self._set(busy=said.text) if isinstance(said, Said) else None),
        )

    def _seen(self, path: str, place: MouthPlace | None, card: ClipCard) -> None:
        self._looking = ""
        self._problems.pop(path, None)
        self._cards[_key(path, place)] = card
        if len(self._cards) > KEPT_CARDS:
            del self._cards[next(iter(self._cards))]
        self._set(card=card, busy="")
        self._rebuild()

    def _unseen(self, path: str, error: Error) -> None:
        """A clip that cannot be read says why on the shelf; an engine that went away is asked again later."""
        self._looking = ""
        self._set(busy="")
        if error.code not in ("crashed", "cancelled"):
            self._problems[path] = f"{error.message} {error.hint}".strip()
            self._rebuild()
            self.announced.emit(error.message)

    def _step_away(self, path: str) -> None:
        """Choose the clip after the one that goes, or the one before it."""
        if path == self.state.current:
            paths = [clip.path for clip in self.state.clips]
            here = paths.index(path)
            others = [*paths[here + 1 :], *reversed(paths[:here])]
            self.choose(others[0] if others else "")

    def _restore(self, item: ClipItem, back: Callable[[], None]) -> None:
        try:
            back()
        except OSError as error:
            self._say("bad", f"{item.title} could not be brought back.", "It is in the trash.", str(error))
            return
        self._rebuild()
        self.choose(item.path)
        self.announced.emit(f"{item.title} is back")

    def _remember(self, memory: ClipMemory) -> None:
        if memory != self._memory:
            self._memory = memory
            self._settings.setValue(SAVED, memory.to_json())

    def _say(self, level: Literal["info", "warn", "bad"], words: str, hint: str = "", why: str = "") -> None:
        self.noticed.emit(Notice(level, words, hint, why))

    def _complain(self, error: Error) -> None:
        if error.code not in ("cancelled", "crashed"):
            self.noticed.emit(from_error(error))


def _key(path: str, place: MouthPlace | None) -> tuple[str, MouthPlace | None, int]:
    """What a card is known by: a file that was written anew is another clip."""
    try:
        return path, place, Path(path).stat().st_mtime_ns
    except OSError:
        return path, place, 0
