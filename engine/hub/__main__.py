"""python -m engine.hub: the process that downloads for the supervisor that started it."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import time

from engine.wire import Wire, die_with_parent


def main() -> None:
    """Start, tell the supervisor, and work until killed."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(prog="engine.hub", description=__doc__)
    parser.add_argument("--socket", required=True, help="zmq endpoint of the supervisor")
    parser.add_argument("--token", required=True, help="what this process is known by")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="ends when this process does")
    options = parser.parse_args()
    # The client and its HTTP layer are quiet: addresses may be signed, and are nobody's business.
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.WARNING)
    die_with_parent(options.parent)

    from engine.hub.process import Downloader

    with contextlib.closing(Wire(options.socket, options.token)) as wire:
        Downloader(wire, options.token, began).serve()


if __name__ == "__main__":
    main()
