"""Files that are needed for a moment: stretches of speech that are transcribed, noise that is heard once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

__all__ = ["delete"]


def delete(path: str) -> None:
    """Delete the file ``path``; "" is none."""
    if path:
        # One that cannot be deleted now lies in the home's tmp, which is emptied at the next start.
        with suppress(OSError):
            Path(path).unlink(missing_ok=True)
