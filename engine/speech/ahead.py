"""Reading files in a thread, one step ahead of whoever works on what was read."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

__all__ = ["read_ahead"]

GLANCE = 0.02
"""Seconds that one turn waits."""
_T = TypeVar("_T")


def read_ahead(parts: Iterator[_T]) -> Iterator[_T | None]:
    """``parts``, each made in a thread while the one before it is worked on; None while waiting for one, so
    that others may work. What goes wrong in the thread goes wrong here."""
    with ThreadPoolExecutor(1, "reading") as reader:
        reading = reader.submit(next, parts, None)
        while True:
            while not wait([reading], GLANCE).done:
                yield None
            part = reading.result()
            if part is None:
                return
            reading = reader.submit(next, parts, None)
            yield part
