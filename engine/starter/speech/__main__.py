"""``python -m engine.starter.speech --out DIR``: make the speech starter model again, from nothing."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from engine.starter.speech.build import SpeechRecipe, build


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m engine.starter.speech", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder, new or of an interrupted run")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    build(arguments.out, SpeechRecipe())


if __name__ == "__main__":
    main()
