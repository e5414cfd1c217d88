"""Recordings as files: which there are, how one leaves for the home's trash, and how it comes back."""

from __future__ import annotations

import json
import time
from pathlib import Path

__all__ = ["bring_back", "new_recording", "put_away", "recordings", "seconds_of"]

SUFFIX = ".mkv"


def new_recording(folder: Path) -> Path:
    """A name after this moment, of a file that is not there yet."""
    stamp = time.strftime("Recording %Y-%m-%d %H.%M.%S")
    numbers = ("", *(f" ({number})" for number in range(2, 100)))
    return next(path for more in numbers if not (path := folder / f"{stamp}{more}{SUFFIX}").exists())


def recordings(folder: Path) -> list[Path]:
    """The recordings in ``folder``, the newest first."""
    try:
        found = [(path.stat().st_mtime, path) for path in folder.glob(f"*{SUFFIX}") if path.is_file()]
    except OSError:
        return []  # no folder before the first recording, or one vanished just now: listed again soon
    return [path for _, path in sorted(found, reverse=True)]


def seconds_of(recording: Path) -> float:
    """How long a recording is, as the file beside it says; 0 where nobody has written that down."""
    try:
        told = json.loads(recording.with_suffix(".json").read_text(encoding="utf-8"))
        return float(told["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def put_away(recording: Path) -> Path:
    """Move a recording and what lies beside it into the trash of its home. Returns the folder there.

    Raises OSError; then everything is where it was.
    """
    bin_ = recording.parent.parent / "trash" / f"clips-{recording.stem}-{time.time_ns()}"
    bin_.mkdir(mode=0o700, parents=True)
    _move(recording, bin_)
    return bin_


def bring_back(bin_: Path, recording: Path) -> None:
    """Undo ``put_away``. Raises OSError, FileExistsError where another one has its name by now."""
    if recording.exists():
        raise FileExistsError(f"another file is called {recording.name}")
    _move(bin_ / recording.name, recording.parent)
    bin_.rmdir()


def _move(recording: Path, folder: Path) -> None:
    beside = recording.with_suffix(".json")
    recording.rename(folder / recording.name)
    if beside.exists():
        try:
            beside.rename(folder / beside.name)
        except OSError:
            (folder / recording.name).rename(recording)
            raise
