"""Searches that live on between their pages, so that the next page begins where the last one ended."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import huggingface_hub as hf
from huggingface_hub import constants
from msgspec.structs import replace

from engine.hub.listing import BASE_TASKS, EXPAND, SORTS, order_of, read_repo
from engine.messages import HubPage, HubRepo, SearchHub

__all__ = ["Searches"]

KEPT = 8
SECONDS = 600.0
"""How many searches live on, and for how long after their last page."""

AT_ONCE = 100
"""Repositories in one answer of the Hub."""

LOOKED_AT = 1000
"""Repositories that are gone through for one page at most, where most of them are hidden."""

Headers = dict[str, str]


@dataclass
class _Live:
    repos: Iterator[HubRepo]
    at: int = 0
    used: float = 0.0


class Searches:
    """The searches of one process. A page is taken under a lock of its own search, never of all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: dict[tuple[SearchHub, str], _Live] = {}

    def page(self, request: SearchHub, headers: Headers) -> HubPage:
        """At most ``limit`` repositories after the first ``skip``, of which hidden ones count too."""
        key = replace(request, skip=0, limit=0), headers.get("authorization", "")
        live = self._taken(key, request.skip) or _Live(_repos(request, headers))
        shown: list[HubRepo] = []
        hidden, end = 0, False
        while len(shown) < request.limit and live.at < request.skip + LOOKED_AT:
            repo = next(live.repos, None)
            if repo is None:
                end = True
                break
            live.at += 1
            if live.at <= request.skip:
                continue
            if repo.hidden and not request.everything:
                hidden += 1
            else:
                shown.append(repo)
        if not end:
            self._keep(key, live)
        return HubPage(repos=shown, next=None if end else live.at, hidden=hidden)

    def _taken(self, key: tuple[SearchHub, str], skip: int) -> _Live | None:
        """The search that stands at ``skip``; for the time of a page it is nobody else's."""
        with self._lock:
            oldest = time.monotonic() - SECONDS
            self._live = {one: live for one, live in self._live.items() if live.used > oldest}
            live = self._live.get(key)
            if live is None or live.at != skip:
                return None
            return self._live.pop(key)

    def _keep(self, key: tuple[SearchHub, str], live: _Live) -> None:
        live.used = time.monotonic()
        with self._lock:
            self._live.pop(key, None)
            self._live[key] = live
            while len(self._live) > KEPT:
                self._live.pop(next(iter(self._live)))


def _repos(request: SearchHub, headers: Headers) -> Iterator[HubRepo]:
    """Everything that the search finds, each repository once, in the order that was asked for."""
    streams = [_models(query, headers) for query in _queries(request)]
    found = heapq.merge(*streams, key=lambda info: order_of(info, request.sort), reverse=True)
    seen: set[str] = set()
    for info in found:
        if info.id not in seen:
            seen.add(info.id)
            yield read_repo(info, request.room)


def _queries(request: SearchHub) -> list[dict[str, Any]]:
    """The queries whose answers together are what is looked for: the Hub knows no "or"."""
    common = {"sort": SORTS[request.sort], "limit": AT_ONCE, "expand": list(EXPAND)}
    if request.text.strip():
        common["search"] = request.text.strip()
    if request.gated is not None:
        common["gated"] = request.gated
    tags = [f"license:{request.license}"] if request.license else []
    if request.room == "bases":
        tasks = [request.task] if request.task else BASE_TASKS
        return [common | {"pipeline_tag": task, "filter": tags} for task in tasks]
    if request.task:
        common["pipeline_tag"] = request.task
    # Not everything of PEFT's says that it is a LoRA, and not every LoRA is PEFT's.
    kinds = [f"base_model:adapter:{request.base}"] if request.base else ["peft", "lora"]
    return [common | {"filter": [kind, *tags]} for kind in kinds]


def _models(query: dict[str, Any], headers: Headers) -> Iterator[hf.ModelInfo]:
    """One listing, page after page. The client's own cannot say how large a page is without ending after it,
    and would follow a link to wherever it points."""
    parameters: Any = query
    address, before = f"{constants.ENDPOINT}/api/models", None
    while parameters and parameters != before:  # a mirror that knows no pages repeats the first for ever
        answer = hf.get_session().get(address, params=parameters, headers=headers)
        hf.hf_raise_for_status(answer)
        for item in answer.json():
            item.setdefault("siblings", None)
            yield hf.ModelInfo(**item)  # type: ignore[no-untyped-call]
        link = answer.links.get("next", {}).get("url", "")
        before, parameters = parameters, urlsplit(link).query
