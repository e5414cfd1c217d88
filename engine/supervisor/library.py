"""The library as a whole: what people do with the things on its shelves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from engine.formats.errors import StudioError
from engine.formats.mix_file import EXPERTS, read_mix
from engine.formats.studio_file import check_rank, check_ranks
from engine.hub.client import Hub
from engine.messages import (
    AdapterCard,
    DiskUse,
    Download,
    Job,
    MixCard,
    Provenance,
    RankOrder,
    TrainSpeech,
    Uses,
    Verification,
)
from engine.supervisor import disk, provenance, uses
from engine.supervisor.adapter_folders import copy_adapter
from engine.supervisor.entry import Entry
from engine.supervisor.factors import write_cut, write_cuts
from engine.supervisor.folders import check_target, copy_mix, move
from engine.supervisor.names import check_name
from engine.supervisor.shelf import WHAT, Kind
from engine.supervisor.soundness import verify_entry
from engine.supervisor.speech_cards import Sense, part_of
from engine.supervisor.stock import Stock
from engine.supervisor.threads import in_thread
from engine.supervisor.trash import Trash

__all__ = ["Library", "cuts_of"]

SECONDS = 60.0
"""For the questions about newer revisions together."""

LONGEST_NOTE = 10_000
LONGEST_TAG = 60
MOST_TAGS = 50


class Library(Stock, Trash):
    """The shelf, with all that changes it: one change at a time."""

    # --- looking closer ---

    async def verify(self, name: str | None) -> list[Verification]:
        """Compare adapters' files with the hashes taken when they came in, and look at their numbers. Of one
        that is ``name``d also whether another has the same weights."""
        if name is not None:
            self.adapter(name)
        verdicts = []
        for entry in self._store.entries("adapters"):
            if entry.removed or name not in (None, entry.card.name):
                continue
            verdict, sound = await asyncio.to_thread(verify_entry, entry)
            if name is not None and sound is not None:
                twin = await self._twin(sound.file, replace(entry, weights=sound.numbers.digest))
                verdict = replace(verdict, detail=f"{verdict.detail} {twin.sentence if twin else ''}".strip())
            verdicts.append(verdict)
        return verdicts

    def uses(self, kind: Kind, name: str, jobs: Sequence[Job]) -> Uses:
        """What depends on something of the library, ``jobs`` among it."""
        entry = self._known(kind, name)
        ours = self._is_ours(kind, entry)
        return uses.find(entry, ours, self.adapters(), self._store.entries("mixes"), jobs)

    def provenance(self, kind: Kind, name: str) -> Provenance:
        """Where something comes from, as far as that was ever known."""
        return provenance.tell(kind, self._known(kind, name))

    async def disk_use(self) -> DiskUse:
        """What the studio takes on the disk, item by item."""
        shelves = {kind: self._store.entries(kind) for kind in WHAT}
        return await asyncio.to_thread(disk.measure, self._home, shelves)

    async def check_revisions(self, hub: Hub, names: Sequence[str]) -> list[AdapterCard]:
        """Ask the Hub whether adapters that came from it, all or ``names``, have a newer revision there."""
        for name in names:
            self.adapter(name)
        cards = [card for card in self.adapters() if card.repo and (not names or card.name in names)]
        repos = sorted({card.repo for card in cards})
        newest = await in_thread(lambda: _ask(hub, repos), SECONDS)
        for card in cards:
            found = newest.get(card.repo, card.newer or card.commit)
            self._describe(card.name, newer="" if found == card.commit else found)
        return [self.adapter(card.name) for card in cards]

    # --- speech ---

    def speech_parts(self, spec: TrainSpeech) -> dict[str, str]:
        """The folders behind the names in ``spec``, as in StartJob. StudioError for one that is missing."""
        named: dict[Sense, str] = {"ear": spec.ear, "eye": spec.eye, "llm": spec.llm}
        paths: dict[str, str] = {
            sense: self.speech_part(sense, part) for sense, part in named.items() if part
        }
        if spec.model:
            paths[f"speech:{spec.model}"] = self.speech.find(spec.model).path
        return paths | {"clips": str(self.data(spec.data).parent)}

    def speech_part(self, sense: Sense, named: str) -> str:
        """The folder of this part of the speech model ``named`` so, of a base, or at this path.

        StudioError if there is none.
        """
        found = self.speech.folder_or_none(named)
        if found is None and any(card.name == self.base_name(named) for card in self.bases()):
            found = Path(self.base(named).path)
        found = found or Path(named).expanduser().absolute()
        if not found.is_dir():
            raise StudioError(
                "missing",
                f"“{named}” is neither a speech model, nor a base, nor a folder.",
                "`adapter-studio speech models` and `bases list` show what there is.",
            )
        return str(part_of(sense, found))

    async def adopt_whisper(self, spec: Download) -> Path:
        """Take notice of a Whisper that a download has brought into the cache. Returns where it lies."""
        await self.refresh_cache()
        return self.speech.folder(spec.out)

    def _known(self, kind: Kind, name: str) -> Entry:
        entry = self._entry(kind, name)
        if entry is None or entry.removed:
            raise StudioError(
                "missing", f"There is no {WHAT[kind]} called {name}.", "Look at the list of what is there."
            )
        return entry

    # --- what the person says ---

    def describe(
        self, name: str, favourite: bool | None, tags: Sequence[str] | None, note: str | None
    ) -> AdapterCard:
        """Change what the person has to say about an adapter; None leaves it as it is."""
        said: dict[str, Any] = {}
        if favourite is not None:
            said["favourite"] = favourite
        if tags is not None:
            said["tags"] = _check_tags(tags)
        if note is not None:
            if len(note) > LONGEST_NOTE:
                raise StudioError("usage", f"A note has {LONGEST_NOTE:,} letters at most.", "Shorten it.")
            said["note"] = note
        self._describe(name, **said)
        return next(card for card in self.adapters() if card.name == name)

    def _describe(self, name: str, **said: Any) -> None:
        entry = self._known("adapters", name)
        card = replace(entry.card, **said)
        if card != entry.card:
            self._keep("adapters", replace(entry, card=card))

    async def rename(self, kind: Kind, name: str, to: str) -> None:
        """Call something otherwise; its folder goes with it. Mixes and jobs that name it find it still: a
        base by its former name, an adapter in the copies that they have."""
        async with self._moving:
            entry = self._known(kind, name)
            if to == name:
                return
            again = kind == "bases" and to in entry.former
            if to.casefold() != name.casefold() and not again:
                self.check_free(kind, to)
            check_name(to)
            path, ours = Path(entry.card.path), self._is_ours(kind, entry)
            target = self._room(kind) / to if ours else path
            if ours and path.exists():
                await asyncio.to_thread(move, path, target, f"renaming {name}")
            card = replace(entry.card, name=to, path=str(target))
            former = [other for other in dict.fromkeys([*entry.former, name]) if other != to]
            self._keep(kind, replace(entry, card=card, former=former), instead_of=name)
            if kind == "bases":
                (self._home.bases / f"{name}.json").unlink(missing_ok=True)

    # --- taking it elsewhere ---

    async def export_adapter(
        self, name: str, folder: str, rank: int | None, order: RankOrder | None = None
    ) -> str:
        """Write an adapter as an ordinary PEFT folder, all of it or what it plays at ``rank``."""
        card = self.adapter(name)
        target = Path(folder).expanduser().absolute()
        check_target(target, self._home.root)
        if rank is None:
            await asyncio.to_thread(copy_adapter, Path(card.path), target)
        else:
            check_rank(name, rank, card.low, card.rank)
            own = order_of(card.kind)
            await write_cut(Path(card.path), target, rank, own if order is None else order)
        return str(target)

    async def copy_mix(
        self,
        name: str,
        folder: str,
        scores: dict[str, Any],
        ranks: Mapping[str, int] = MappingProxyType({}),
    ) -> str:
        """Write a mix as a folder that any studio can play, with a README that shows its ``scores``; experts
        in ``ranks`` are cut to that rank."""
        card = self.mix(name)
        source, target = Path(card.path), Path(folder).expanduser().absolute()
        check_target(target, self._home.root)
        cut, changes = cuts_of(card, ranks), {"name": name} | ({"scores": scores} if scores else {})
        if cut:
            changes["trained"] = read_mix(source).trained | {"cut to rank": cut}
        with TemporaryDirectory(prefix="cut-", dir=self._home.tmp) as room:
            other = {expert: Path(room, expert) for expert in cut}
            orders = {expert: order_of(card.kinds[expert]) for expert in cut}
            await write_cuts(
                [(source / EXPERTS / each, other[each], cut[each], orders[each]) for each in cut]
            )
            await asyncio.to_thread(copy_mix, source, target, changes, other)
        return str(target)


def order_of(kind: str) -> RankOrder:
    """In which order an adapter of a kind is cut where nobody says: its own, else that of energy."""
    return "" if kind in ("svd", "dylora") else "energy"


def cuts_of(mix: MixCard, ranks: Mapping[str, int]) -> dict[str, int]:
    """Those of ``ranks`` that cut an expert of ``mix``. StudioError("usage") for one that cannot be."""
    check_ranks(ranks, mix.ranks)
    return {name: rank for name, rank in ranks.items() if rank < mix.ranks[name][1]}


def _ask(hub: Hub, repos: Sequence[str]) -> dict[str, str]:
    """{repository: its newest commit}; one that is gone or closed now has no newer one to offer."""
    newest = {}
    for repo in repos:
        try:
            newest[repo] = hub.newest(repo)
        except StudioError as error:
            if error.code not in ("missing", "gated", "sign-in"):
                raise
    return newest


def _check_tags(tags: Sequence[str]) -> list[str]:
    """Tags as they are kept: each once, without blanks around it, in the order in which they were given."""
    kept = list(dict.fromkeys(" ".join(tag.split()) for tag in tags))
    if len(kept) > MOST_TAGS or not all(0 < len(tag) <= LONGEST_TAG and tag.isprintable() for tag in kept):
        raise StudioError(
            "usage",
            f"An adapter has at most {MOST_TAGS} tags of up to {LONGEST_TAG} letters.",
            "Use fewer or shorter ones.",
        )
    return kept
