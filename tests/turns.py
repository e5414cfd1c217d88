"""Several workers run the tests (``pytest -n 2``): who goes with whom, and who has the machine to itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from xdist.scheduler import LoadScopeScheduling

__all__ = ["FilesInTurn", "turn"]

ZOO = "tests/engine/lora/zoo/"
"""Its last file sums up what the others have compared."""


class FilesInTurn(LoadScopeScheduling):
    """File after file in the order of their names, as fixtures are shared in a file; the zoo is one."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return ZOO if nodeid.startswith(ZOO) else nodeid.split("::", 1)[0]


@contextmanager
def turn(item: pytest.Item) -> Iterator[None]:
    """Run with what other workers run, or, marked ``alone``, without."""
    if not hasattr(item.config, "workerinput"):
        yield
        return
    import fcntl

    folder = item.config.cache.mkdir("turns")
    with (folder / "door").open("a") as door, (folder / "room").open("a") as room:
        fcntl.flock(door, fcntl.LOCK_EX)  # whoever waits for an empty room lets nobody else in
        fcntl.flock(room, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
