"""Names of things in the library: each can be a folder's on every system."""

from __future__ import annotations

import re
from pathlib import Path

from engine.formats.errors import StudioError

__all__ = ["check_name", "name_from"]

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""What Windows keeps for devices, whatever follows behind a dot."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")


def check_name(name: str) -> str:
    """``name`` if it can be a folder's name on every system, else StudioError("usage")."""
    if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
        raise StudioError(
            "usage",
            f"“{name[:80]}” cannot be a name here.",
            "Use up to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit"
            " (but not CON, NUL and their like).",
        )
    return name


def name_from(name: str | None, path: Path) -> str:
    """``name`` where the person gave one, else the name of what lies at ``path``, made fit to be one."""
    if name:
        return check_name(name)
    own = path.stem if path.is_file() else path.name
    made = re.sub(r"[^A-Za-z0-9._-]+", "-", own).strip(".-_")[:64].rstrip(".-_")
    if not made:
        raise StudioError(
            "usage", f"“{own[:80]}” cannot be a name here.", "Give one of letters and digits with --name."
        )
    return check_name(made)
