"""The library's adapters: which there are, whether they fit, how they come and leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import QObject

from app.client import Client
from app.presenters.downloads import Downloads
from app.presenters.keeping import Keeping, KeptState
from engine import messages
from engine.messages import AdapterCard, Fit, Inspection, LibraryKind, Verification

__all__ = ["Guest", "Library", "LibraryState"]


@dataclass(frozen=True)
class Guest:
    """What was dropped and looked at, a folder or a file, but is not in the library yet."""

    path: str
    name: str
    inspection: Inspection


@dataclass(frozen=True)
class LibraryState(KeptState):
    """``fits`` are verdicts for ``base``, {} until they are known; ``files`` are those of ``chosen``, with
    bytes; ``checked`` is what was found when files were verified."""

    cards: tuple[AdapterCard, ...] = ()
    base: str = ""
    fits: dict[str, Fit] = field(default_factory=dict)
    files: tuple[tuple[str, int], ...] = ()
    checked: dict[str, Verification] = field(default_factory=dict)
    guest: Guest | None = None

    @property
    def card(self) -> AdapterCard | None:
        return next((card for card in self.cards if card.name == self.chosen), None)


class Library(Keeping[LibraryState]):
    """The adapters. ``downloads`` bring newer revisions."""

    kind: LibraryKind = "adapters"

    def __init__(self, client: Client, downloads: Downloads, parent: QObject | None = None) -> None:
        super().__init__(client, LibraryState(), parent)
        self.downloads = downloads
        self.refresh()

    def refresh(self) -> None:
        self._client.ask(messages.ListAdapters(), self._list, self._complain)

    def use_base(self, base: str) -> None:
        """Judge every adapter by whether it plays on ``base``."""
        if base != self.state.base:
            self._set(base=base, fits={})
            self._judge()

    def choose(self, name: str) -> None:
        """Look at one adapter."""
        if name != self.state.chosen or self.state.guest is not None:
            self._set(chosen=name, guest=None)
            self._set(files=self._files())

    # --- what the person says ---

    def star(self, name: str, is_favourite: bool) -> None:
        self._describe(messages.DescribeAdapter(name=name, favourite=is_favourite))

    def tag(self, name: str, tags: Sequence[str]) -> None:
        self._describe(messages.DescribeAdapter(name=name, tags=list(tags)))

    def note(self, name: str, text: str) -> None:
        self._describe(messages.DescribeAdapter(name=name, note=text))

    def _describe(self, request: messages.DescribeAdapter) -> None:
        self._client.ask(request, self._described, self._complain)

    def _described(self, card: AdapterCard) -> None:
        self._set(cards=tuple(card if card.name == other.name else other for other in self.state.cards))

    # --- looking closer ---

    def verify(self, name: str | None = None) -> None:
        """Look at the files of one adapter, or of all: their hashes, their numbers, and whether they do
        anything."""
        self._ask("Checking files", messages.VerifyAdapters(name=name), self._verified)

    def check_revisions(self) -> None:
        """Ask the Hub whether it has anything newer of what came from it."""
        if not any(card.repo for card in self.state.cards):
            self.say("info", "No adapter here came from the Hub, so there is nothing newer to look for.")
            return
        self._ask("Asking the Hub for newer revisions", messages.CheckRevisions(), self._compared)

    def update(self, name: str) -> None:
        """Fetch the newer revision into the place of the one that is here."""
        card = next((card for card in self.state.cards if card.name == name), None)
        if card is None or not card.newer:
            return
        self.downloads.start(card.repo, name, "adapters", card.newer, replace=True)
        hint = "The one that is here plays until the other has come whole; then it lies in the trash."
        self.say("info", f"The newer revision of {name} is being downloaded.", hint)

    # --- coming and leaving ---

    def export(self, name: str, parent: str) -> None:
        """Write an adapter as an ordinary PEFT folder into the folder ``parent``."""
        request = messages.ExportAdapter(name=name, folder=str(Path(parent) / name))
        self._ask(f"Exporting {name}", request, self._exported)

    def inspect(self, path: str) -> None:
        """Look into a folder or a file before anything is taken from it."""
        request = messages.InspectAdapter(path=path)
        self._ask(f"Looking into {Path(path).name}", request, lambda found: self._met(path, found))

    def admit(self, name: str) -> None:
        """Import, and where that is needed convert, what was looked at, under ``name``."""
        guest = self.state.guest
        if guest is not None:
            heard: list[str] = []
            self._ask(
                f"Converting {name}" if guest.inspection.verdict == "convert" else f"Importing {name}",
                messages.ImportAdapter(path=guest.path, name=name),
                lambda card: self._arrived(card, heard),
                lambda said: heard.append(said.text),
            )

    def turn_away(self) -> None:
        """Forget what was looked at."""
        self._set(guest=None)

    # --- inside ---

    def _list(self, answer: messages.Adapters) -> None:
        cards = tuple(sorted(answer.adapters, key=lambda card: card.name.lower()))
        chosen = self.state.chosen if any(card.name == self.state.chosen for card in cards) else ""
        are_others = cards != self.state.cards
        self._set(cards=cards, known=True, chosen=chosen)
        self._set(files=self._files())
        if are_others:
            self._judge()

    def _judge(self) -> None:
        base = self.state.base
        if base and self.state.cards:
            self._client.ask(messages.JudgeAdapters(base=base), lambda fits: self._judged(base, fits))

    def _judged(self, base: str, answer: messages.Fits) -> None:
        if base == self.state.base:
            self._set(fits=answer.fits)

    def _verified(self, answer: messages.Verified) -> None:
        self._set(checked={**self.state.checked, **{check.name: check for check in answer.adapters}})
        self._end()
        bad = [check for check in answer.adapters if not check.ok]
        if bad:
            detail = "\n".join(f"{check.name}: {check.detail}" for check in bad)
            more = f" {len(bad) - 1:,} more of {len(answer.adapters):,} are not well." if len(bad) > 1 else ""
            hint = "Remove it and import it again from where it came."
            self.say("bad", f"{bad[0].name}: {bad[0].detail}{more}", hint, detail)
        elif len(answer.adapters) == 1:
            self.say("good", f"{answer.adapters[0].name} is what it was when it came in.")
        else:
            self.say("good", f"All {len(answer.adapters)} adapters are what they were when they came in.")

    def _compared(self, answer: messages.Adapters) -> None:
        found = {card.name: card for card in answer.adapters}
        self._set(cards=tuple(found.get(card.name, card) for card in self.state.cards))
        self._end()
        newer = [card.name for card in answer.adapters if card.newer]
        if newer:
            words = "has a newer revision" if len(newer) == 1 else "have newer revisions"
            self.say("info", f"{', '.join(newer[:3])}{' and others' if len(newer) > 3 else ''} {words}.")
        else:
            self.say("good", "Everything that came from the Hub is the newest there is.")

    def _exported(self, answer: messages.Done) -> None:
        self._end()
        self.say("good", f"Exported to {answer.path}.")

    def _met(self, path: str, inspection: Inspection) -> None:
        there = Path(path)
        name = there.stem if there.suffix else there.name
        self._set(guest=Guest(path=path, name=name, inspection=inspection), busy="")

    def _arrived(self, card: AdapterCard, heard: Sequence[str]) -> None:
        cards = tuple(other for other in self.state.cards if other.name != card.name)
        self._set(
            cards=tuple(sorted((*cards, card), key=lambda card: card.name.lower())),
            chosen=card.name,
            guest=None,
            busy="",
        )
        self._set(files=self._files())
        self._judge()
        how = f", converted from {card.converted}" if card.converted else ""
        self.say("good", f"{card.name} is in the library{how}.", " ".join(heard))

    def _files(self) -> tuple[tuple[str, int], ...]:
        card = self.state.card
        if card is None or card.missing:
            return ()
        try:
            paths = sorted(Path(card.path).iterdir())
            return tuple((path.name, path.stat().st_size) for path in paths if path.is_file())
        except OSError:
            return ()  # went away since it was listed; the next list says "missing"
