"""Whether adapters and bases fit: those of the Hub by a few kilobytes of each, those of the library by their
files."""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace as with_fields

from engine import messages
from engine.formats.adapter_folder import read_folder
from engine.formats.architectures import ARCHITECTURES
from engine.formats.base_config import check_config, parse_object
from engine.formats.base_shapes import BaseShapes, base_shapes
from engine.formats.errors import AdapterError, StudioError
from engine.formats.fit import is_called, judge, judge_error
from engine.formats.footprint import footprint, read_sizes
from engine.hub.address import is_repo, parse_address
from engine.hub.modules import ModulesPeek, peek_modules, read_modules
from engine.hub.peek import BasePeek, Peek, newest, peek_adapter, peek_base
from engine.hub.text import clean
from engine.hub.verdict import adapter_verdict, wished_base
from engine.messages import AdapterCard, BaseCard, Body, Fit, HubVerdict
from engine.supervisor.live import Say
from engine.supervisor.machine import Machine, memory_fit, this_machine
from engine.supervisor.shelf import Shelf
from engine.supervisor.store import Store
from engine.supervisor.threads import in_thread

__all__ = ["Judging"]

AT_ONCE = 8
LARGEST = 1000
"""Repositories that may be judged by one request."""

SECONDS = 30.0
"""For one repository, the pauses that the Hub may ask for included."""

FRESH = 300.0
"""Seconds for which the Hub is not asked again whether a repository has changed."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_AWAY = ("offline", "limited")
_Found = TypeVar("_Found", Peek, BasePeek, ModulesPeek)


@dataclass
class _Asking:
    """One request: the base that was ``chosen``, by its ``shapes`` or ``unknown``, why these cannot be told,
    and its repository where it is ``absent`` from the library; or of bases the machine; and why the Hub could
    not be asked, once it could not."""

    machine: Machine | None
    token: str | None
    chosen: bool = False
    shapes: BaseShapes | None = None
    unknown: str = ""
    absent: str = ""
    away: StudioError | None = None


class Judging:
    """Answers the requests of ``requests.JUDGING``. What was read of a commit is kept and never read again;
    the Hub is asked in the name of ``token()``."""

    def __init__(self, library: Shelf, store: Store, token: Callable[[], str | None]) -> None:
        self._library = library
        self._store = store
        self._token = token
        self._fresh: dict[tuple[str, str], float] = {}
        self._shapes: dict[BaseCard, BaseShapes] = {}
        self._fits: dict[tuple[str, str, BaseCard], Fit] = {}

    async def perform(self, body: Any, say: Say) -> Body:
        """The answer, each verdict as progress when it is known. StudioError when it cannot be given."""
        match body:
            case messages.JudgeHub(repos=repos):
                if len(repos) > LARGEST:
                    raise StudioError("usage", f"At most {LARGEST} are judged at once.", "Ask for fewer.")
                return messages.HubVerdicts(verdicts=await self._judge_all(body, say))
            case messages.JudgeAdapters(base=base):
                card = self._library.base(base)
                adapters = self._library.adapters()
                return messages.Fits(fits=await asyncio.to_thread(self._judge_library, adapters, card))
        raise StudioError("protocol", f"A client may not ask for {type(body).__name__}.")

    def fit(self, adapter: AdapterCard, base: BaseCard) -> Fit:
        """Whether an adapter of the library plays on a base of it; reads their files."""
        return self._judge_card(adapter, base, self._shapes_of(base))

    # --- the Hub ---

    async def _judge_all(self, body: messages.JudgeHub, say: Say) -> list[HubVerdict]:
        ask = _Asking(
            machine=await asyncio.to_thread(this_machine) if body.room == "bases" else None,
            token=await in_thread(self._token, SECONDS),
        )
        if body.base and body.room == "adapters":
            await self._choose(body.base, ask)
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(text: str) -> HubVerdict:
            async with turns:
                try:
                    verdict = await self._judge(text, ask)
                except StudioError as error:
                    if error.code in _AWAY:
                        ask.away = error
                    fit = Fit(verdict="amber", reason=str(error))
                    verdict = HubVerdict(repo=_repo_of(text), fit=fit)
            say(verdict)
            return verdict

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(repo)) for repo in body.repos]
        return [task.result() for task in tasks]

    async def _judge(self, text: str, ask: _Asking) -> HubVerdict:
        here = next((card for card in self._library.bases() if card.name == text), None)
        if ask.machine is not None and here is not None:
            return _judge_base(await asyncio.to_thread(_peek_here, here), ask.machine)
        address, repo = parse_address(text), _repo_of(text)
        revision = address.revision if address else "main"
        if not is_repo(repo):
            raise StudioError("usage", "That is not the name of a repository.", "One looks like user/model.")
        if ask.machine is not None:
            seen = await self._look("bases", repo, revision, peek_base, BasePeek, ask)
            return _judge_base(seen, ask.machine)
        peek = await self._look("adapters", repo, revision, peek_adapter, Peek, ask)
        shapes = ask.shapes
        if not ask.chosen and (card := self._meant(wished_base(peek))):
            shapes = await asyncio.to_thread(self._shapes_of, card)
        verdict = await asyncio.to_thread(adapter_verdict, peek, shapes)
        if ask.unknown and verdict.fit.verdict == "amber" and peek.fit is None:
            return with_fields(verdict, fit=Fit(verdict="amber", reason=ask.unknown))
        if ask.absent and verdict.fit.verdict == "green":
            reason = f"{verdict.fit.reason} {ask.absent} is not in the library yet."
            return with_fields(verdict, fit=Fit(verdict="green", reason=reason))
        return verdict

    async def _choose(self, wish: str, ask: _Asking) -> None:
        """Find the base that a person names: here, else on the Hub. StudioError for what is no name."""
        ask.chosen = True
        card = self._find_base(wish)
        if card is not None:
            ask.shapes = await asyncio.to_thread(self._shapes_of, card)
            return
        address = parse_address(wish)
        if address is None:
            raise StudioError("usage", "That is not the name of a base.", "One looks like user/model.")
        try:
            where = address.repo, address.revision
            seen = await self._look("modules", *where, peek_modules, ModulesPeek, ask)
            ask.shapes, ask.absent = await asyncio.to_thread(read_modules, seen), address.repo
        except StudioError as error:
            ask.unknown = str(error)

    async def _look(
        self,
        room: str,
        repo: str,
        revision: str,
        peek: Callable[[str, str, str | None], _Found],
        kind: type[_Found],
        ask: _Asking,
    ) -> _Found:
        """What can be read of a repository: kept from the last time where its commit is still the same."""
        known = self._known(room, repo, revision if _COMMIT.fullmatch(revision) else "", kind)
        if known and (known.commit == revision or self._is_fresh(room, repo, revision)):
            return known
        try:
            if ask.away:  # whoever comes later does not knock in vain
                raise ask.away
            if known:
                commit = await in_thread(lambda: newest(repo, revision, ask.token, room), SECONDS)
                known = self._known(room, repo, commit, kind) if commit else None
        except StudioError as error:
            if known and error.code in _AWAY:
                return known  # the best that there is
            raise
        if known is None:
            known = await in_thread(lambda: peek(repo, revision, ask.token), SECONDS)
            kept = zlib.compress(msgspec.msgpack.encode(with_fields(known, read=0)))
            self._store.keep_peek(room, repo, known.commit, kept)
        if revision == "main":
            self._fresh[room, repo] = time.monotonic() + FRESH
        return known

    def _is_fresh(self, room: str, repo: str, revision: str) -> bool:
        return revision == "main" and self._fresh.get((room, repo), 0.0) > time.monotonic()

    def _known(self, room: str, repo: str, commit: str, kind: type[_Found]) -> _Found | None:
        kept = self._store.peek(room, repo, commit)
        return None if kept is None else msgspec.msgpack.decode(zlib.decompress(kept), type=kind)

    # --- bases of the library ---

    def _find_base(self, wish: str) -> BaseCard | None:
        """The base that a person names, None for a repository that is not here. StudioError for a name."""
        card = next((card for card in self._library.bases() if wish in (card.name, card.repo)), None)
        return self._library.base(wish) if card is None and "/" not in wish else card

    def _meant(self, wish: str) -> BaseCard | None:
        """The base that an adapter names, if it is here."""
        here = (card for card in self._library.bases() if not card.missing)
        return next((card for card in here if wish and is_called(wish, _names(card))), None)

    def _shapes_of(self, card: BaseCard) -> BaseShapes:
        if card not in self._shapes:
            self._shapes[card] = base_shapes(Path(card.path), _names(card))
        return self._shapes[card]

    # --- adapters of the library ---

    def _judge_library(self, adapters: list[AdapterCard], base: BaseCard) -> dict[str, Fit]:
        shapes = self._shapes_of(base)
        return {card.name: self._judge_card(card, base, shapes) for card in adapters}

    def _judge_card(self, card: AdapterCard, base: BaseCard, shapes: BaseShapes) -> Fit:
        if card.missing:
            return Fit(verdict="red", reason="Its files are not where they were.")
        key = (card.sha256, card.base, base)
        if key not in self._fits:
            try:
                file = read_folder(Path(card.path))
                # What it is made for is a matter of the library, where bases may have other names.
                self._fits[key] = judge(replace(file.config, base=card.base), file.contents, shapes)
            except AdapterError as error:
                return judge_error(error)
            except OSError as error:
                return Fit(verdict="red", reason=f"It cannot be read: {error.strerror or error}.")
        return self._fits[key]


def _repo_of(text: str) -> str:
    address = parse_address(text)
    return address.repo if address else clean(text, 200)


def _names(card: BaseCard) -> tuple[str, ...]:
    return tuple(name for name in (card.name, card.repo, card.path) if name)


def _peek_here(card: BaseCard) -> BasePeek:
    """What the files of a base of the library say."""
    config = Path(card.path, "config.json").read_bytes() if not card.missing else b""
    fit = Fit(verdict="red", reason="Its files are not where they were.") if card.missing else None
    return BasePeek(
        repo=card.name,
        commit=card.commit,
        config=config,
        parameters=card.parameters,
        size=card.bytes,
        fit=fit,
    )


def _judge_base(peek: BasePeek, machine: Machine) -> HubVerdict:
    """Whether a base of the Hub can be played, and whether this machine holds it."""
    about: dict[str, Any] = {
        "repo": peek.repo, "commit": peek.commit, "size": peek.size, "read": peek.read
    }  # fmt: skip
    if peek.fit:
        return HubVerdict(fit=peek.fit, **about)
    try:
        config = parse_object(peek.config, f"config.json of {peek.repo}")
        check_config(config, peek.repo)
        about["parameters"] = peek.parameters or read_sizes(config).parameters
        needs = footprint(config, about["parameters"], gpu=machine.gpu)
    except StudioError as error:
        return HubVerdict(fit=Fit(verdict="red", reason=error.message), **about)
    about["kind"] = ARCHITECTURES[str(config["model_type"])]
    return HubVerdict(fit=memory_fit(needs, machine), **about)
