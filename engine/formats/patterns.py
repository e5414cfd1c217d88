"""A stranger's module patterns, matched as PEFT matches them, within a second."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import regex  # type: ignore[import-untyped]  # its matching can be given a time limit, re's cannot

from engine.formats.errors import AdapterError

__all__ = ["resolve"]

SECONDS = 0.75
MAX_COPIES = 10_000
_T = TypeVar("_T")
_Match = Callable[[str], bool]


def resolve(patterns: Sequence[tuple[str, _T]], modules: Sequence[str], default: _T) -> dict[str, _T]:
    """For each module the value of the first key that matches ``(.*\\.)?(key)$``, as PEFT's get_pattern_key.

    All the keys together get ``SECONDS`` of this thread's time. AdapterError(code="refused") beyond it.
    """
    clock = _Clock()
    if sum(_copies(key) for key, _ in patterns) > MAX_COPIES:
        raise _too_slow("")
    tests = [(_matcher(key, clock), value) for key, value in patterns]
    found = {}
    for module in modules:
        clock.left()
        found[module] = next((value for matches, value in tests if matches(module)), default)
    return found


class _Clock:
    def __init__(self) -> None:
        self._end = time.thread_time() + SECONDS

    def left(self) -> float:
        """Seconds that are left, or AdapterError."""
        left = self._end - time.thread_time()
        if left <= 0:
            raise _too_slow("")
        return left


def _too_slow(key: str) -> AdapterError:
    return AdapterError(
        "Its rank or alpha pattern takes too long to match, as hostile patterns do.",
        "Check where it comes from.",
        key[:200],
        code="refused",
    )


def _copies(key: str) -> int:
    """How often the counted repeats of an expression ("(?:a{999}){999}") could repeat a part of it: the regex
    module writes them all out in memory, before its time limit begins."""
    return math.prod(max(1, int(count)) for count in re.findall(r"[{,](\d{1,9})", key)) if "{" in key else 0


def _matcher(key: str, clock: _Clock) -> _Match:
    clock.left()
    if re.fullmatch(r"[\w\-.]+", key):  # no operator but the dot: it cannot backtrack
        return _plain(key)
    try:
        re.compile(rf"(.*\.)?({key})$")  # what PEFT would refuse is refused
        whole = regex.compile(rf"(.*\.)?({key})$")
    except (re.error, regex.error, RecursionError, OverflowError, ValueError) as error:
        raise AdapterError(
            f"Its pattern {key[:80]!r} is not a regular expression.", "Export the adapter again.", str(error)
        ) from error

    def matches(module: str) -> bool:
        try:
            return bool(whole.match(module, timeout=clock.left()))
        except TimeoutError as error:
            raise _too_slow(key) from error

    return matches


def _plain(key: str) -> _Match:
    ending = re.compile(rf"{key}$")

    def matches(module: str) -> bool:
        start = len(module) - len(key)
        return start >= 0 and (start == 0 or module[start - 1] == ".") and bool(ending.match(module, start))

    return matches
