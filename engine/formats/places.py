"""A module's path in an adapter and in a base: the same words behind, perhaps others in front."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

__all__ = ["Finder"]


class Finder:
    """A place by its path, or by the longest ending shared with exactly one place. Only words in front may
    differ, never a layer number."""

    def __init__(self, places: Iterable[str]) -> None:
        self._places = set(places)
        self._endings: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for path in self._places:
            for ending in _endings(path):
                self._endings[ending].append(path)

    def __call__(self, path: str) -> str | None:
        if path in self._places:
            return path
        for ending in _endings(path):
            found = self._endings.get(ending, [])
            if found:
                return found[0] if len(found) == 1 else None
        return None


def _endings(path: str) -> list[tuple[str, ...]]:
    """The endings of a path, longest first, as long as no layer number is cut off in front."""
    parts = tuple(path.split("."))
    number = next((i for i, part in enumerate(parts) if part.isdecimal()), len(parts) - 1)
    return [parts[cut:] for cut in range(number + 1)]
