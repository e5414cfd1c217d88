"""Several workers run the tests (``pytest -n 2``): who goes with whom, and who has the machine to itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["group", "in_line", "turn"]

ZOO = Path(__file__).parent / "engine" / "lora" / "zoo"
"""Its last file sums up what the others have compared."""


def group(item: pytest.Item) -> str:
    """What one worker runs, as fixtures are shared there: a file, or the zoo."""
    return "zoo" if ZOO in item.path.parents else str(item.path)


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


def in_line(pid: int) -> float:
    """Seconds for which a process has waited for a processor that others had; 0 where no system tells."""
    schedule = Path(f"/proc/{pid}/schedstat")
    return int(schedule.read_text().split()[1]) / 1e9 if schedule.exists() else 0.0
