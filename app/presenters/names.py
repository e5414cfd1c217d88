"""Names proposed for what is new."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

__all__ = ["free_name", "stem_of"]

LONGEST = 60
"""Of the 64 letters that a name may have: a number fits behind."""


def free_name(stem: str, taken: Collection[str]) -> str:
    """``stem``, else the first of stem-2, stem-3 ... that is not ``taken``."""
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    return name


def stem_of(path: str, otherwise: str) -> str:
    """What a file is called, in the letters of names; ``otherwise`` where nothing is left."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(path).stem).strip("-.")[:LONGEST] or otherwise
