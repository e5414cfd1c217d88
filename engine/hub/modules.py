"""Which modules a base of the Hub has, by its config and the headers of its weights alone."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from engine.formats.base_config import check_config, parse_object
from engine.formats.base_shapes import BaseShapes, shapes_of
from engine.formats.cut_header import header_end, parse_cut
from engine.formats.errors import StudioError
from engine.formats.safetensors_file import TensorInfo
from engine.hub.look import Beginning, Look

__all__ = ["ModulesPeek", "peek_modules", "read_modules"]

BUDGET = 256_000
"""Bytes that are read of a base, once for each of its commits: enough for the largest that are shared out
over a dozen files."""

FIRST = 16 << 10
INDEX, WHOLE = "model.safetensors.index.json", "model.safetensors"
_PART = re.compile(rb"model-00001-of-(\d{5})\.safetensors")


class ModulesPeek(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a base at ``commit``: its config, and of each of its files with weights the beginning
    up to the end of its table, and its size in bytes. ``read`` counts the bytes that it took."""

    repo: str
    commit: str
    config: bytes
    tables: list[tuple[bytes, int]]
    read: int = 0


def peek_modules(repo: str, revision: str, token: str | None) -> ModulesPeek:
    """Look into a base, with a request or two for each of its files. StudioError when the Hub does not let
    us, or "base" where a few bytes do not tell."""
    look = Look(repo, revision, token, BUDGET)
    try:
        config, _ = _whole(look, "config.json", lambda found: found.size)
        tables = [_whole(look, name, lambda found: header_end(found.data)) for name in _weights(look)]
    except StudioError as error:
        if error.code == "missing" and look.commit:  # a file: the Hub knows the repository
            raise _unseen(repo) from error
        raise
    return ModulesPeek(repo=repo, commit=look.commit, config=config, tables=tables, read=look.read)


def read_modules(peek: ModulesPeek) -> BaseShapes:
    """The shapes of the base. AdapterError for a damaged table, StudioError for one that cannot be played."""
    config = parse_object(peek.config, f"config.json of {peek.repo}")
    check_config(config, peek.repo)
    table: dict[str, TensorInfo] = {}
    for beginning, size in peek.tables:
        table |= parse_cut(beginning, size)[0]
    return shapes_of(config, table, (peek.repo,))


def _whole(look: Look, name: str, need: Callable[[Beginning], int]) -> tuple[bytes, int]:
    """All the bytes of ``name`` that are needed, and how many it has."""
    if not look.left:
        raise _unseen(look.repo)
    found = look.beginning(name, min(FIRST, look.left), need)
    if len(found.data) < need(found):
        raise _unseen(look.repo)
    return found.data[: need(found)], found.size


def _weights(look: Look) -> list[str]:
    """The files with weights: one, or as many as the first lines of the index say."""
    try:
        index = look.beginning(INDEX, 4096, lambda found: 8)
    except StudioError as error:
        if error.code != "missing":
            raise
        return [WHOLE]
    named = _PART.search(index.data)
    if not named:
        raise _unseen(look.repo)
    return [f"model-{number:05}-of-{named[1].decode()}.safetensors" for number in range(1, int(named[1]) + 1)]


def _unseen(repo: str) -> StudioError:
    return StudioError(
        "base",
        f"What modules {repo} has cannot be told by a few bytes of it, so no shape could be compared.",
        "Fetch that base first.",
    )
