"""Pieces of the Markdown that model cards are made of; whatever strangers wrote is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["one_line", "section", "table"]

LONGEST = 500
"""Characters of one cell."""


def section(title: str, lines: Sequence[str]) -> list[str]:
    """``lines`` under a heading; nothing at all when there are none."""
    return ["", f"## {title}", "", *lines] if lines else []


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A table, its cells escaped; nothing at all when it has no rows."""
    lines = [f"| {' | '.join(one_line(cell) for cell in row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines] if lines else []


def one_line(value: Any) -> str:
    """Text as Markdown shows it: one line, nothing in it means anything."""
    line = " ".join(str(value).split())
    line = line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#!~$])", r"\\\1", line)
