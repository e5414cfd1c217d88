"""The command line: every action of the studio, for people and, with ``--json``, for programs."""

from engine.commands.main import main

__all__ = ["main"]
