"""python -P -m app.capture: serves the window on stdin and stdout, or records one clip (`record`)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Do what the arguments say and return the exit code."""
    parser = argparse.ArgumentParser(prog="app.capture", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    clip = commands.add_parser("record", help="record one clip and say in a JSON line what became of it")
    clip.add_argument("--seconds", type=float, required=True)
    clip.add_argument("--out", type=Path, required=True, help="a .mkv file that does not exist yet")
    clip.add_argument("--camera", default="", help="id, name or number; file:PATH for a video file; none")
    clip.add_argument("--microphone", default="", help="id, name or number; none")
    options = parser.parse_args()
    if options.command == "record":
        from app.capture.record import record

        return record(options.seconds, options.out, options.camera, options.microphone)
    from app.capture.service import serve

    serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
