"""The command line: every action of the studio, for people and, with ``--json``, for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (``engine.commands.program``)."""
    try:
        from engine.commands.program import run

        return run(arguments)
    except KeyboardInterrupt:  # while the program itself was still being read
        words = sys.argv if arguments is None else arguments
        if "--json" in words:
            print(
                '{"error":{"code":"cancelled","message":"Cancelled.","hint":"Run it again when you like."}}'
            )
        return 130
