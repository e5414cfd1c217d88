"""What a model card says of an adapter: its first paragraph and its licence."""

from __future__ import annotations

import re
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from engine.hub.text import clean

__all__ = ["README", "read_readme"]

README = "README.md"
LIMIT = 64 << 10
"""Bytes of a card that are read."""

_FRONT = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)
_NO_WORDS = ("#", "<", "|", "`", "!", "---")


def read_readme(path: Path) -> tuple[str, str]:
    """The first paragraph and the licence of a model card (several: with commas between), "" for none."""
    if not path.is_file():
        return "", ""
    with path.open("rb") as file:
        text = file.read(LIMIT).decode(errors="replace")
    front = _FRONT.match(text)
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text[front.end() :] if front else text)]
    words = next((part for part in paragraphs if part and not part.startswith(_NO_WORDS)), "")
    return clean(" ".join(words.split())[:300], 300), _license(front[1]) if front else ""


def _license(front: str) -> str:
    try:
        # Its mappings, lists and strings alone: nothing is made of tags, and no keys are merged.
        said = yaml.load(front, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return ""  # a head that the Hub would not take either
    named = said.get("license") if isinstance(said, dict) else None
    listed = named if isinstance(named, list) else [named]
    return ", ".join(word for one in listed[:10] if isinstance(one, str) and (word := clean(one.strip(), 80)))
