"""Work that takes long between two of its steps, done in a thread, so that everything else has its turns."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

__all__ = ["GLANCE", "Aside"]

GLANCE = 0.02
"""Seconds that a turn waits for what is being done in a thread."""

Said = TypeVar("Said")
Result = TypeVar("Result")


class Aside:
    """One thread. Pieces of work take turns in it, step by step, and no two steps are made at once."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)

    def steps(self, work: Generator[Said, None, Result]) -> Generator[Said | None, None, Result]:
        """``work``, whose steps are made in the thread; yields None again and again meanwhile.

        What is drawn from the process's random generators in it would change what others draw, so ``work``
        draws from generators of its own.
        """
        try:
            while True:
                step = self._thread.submit(_step, work)
                while not wait([step], GLANCE).done:
                    yield None
                over, found = step.result()
                if over:
                    return found  # type: ignore[no-any-return]
                yield found
        finally:
            # In the thread too: where this was given up, the last step may still be on its way.
            self._thread.submit(work.close)


def _step(work: Generator[Any, None, Any]) -> tuple[bool, Any]:
    try:
        return False, next(work)
    except StopIteration as end:
        return True, end.value
