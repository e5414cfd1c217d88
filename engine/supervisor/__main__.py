"""Start the engine: ``python -m engine.supervisor --home DIR [--detach] ...``.

Prints one line of JSON on stdout: the announcement when clients may connect, or ``{"error": ...}`` and exit
status 1 when it could not start. Everything else goes to ``logs/engine.log`` in the home.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import logging.handlers
import os
import signal
import sys

import msgspec

from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error
from engine.supervisor.home import Announcement, Home, find_home
from engine.supervisor.quiet import QuietFormatter
from engine.supervisor.server import Engine


def main() -> int:
    parser = argparse.ArgumentParser(prog="engine.supervisor", description="The engine of Adapter Studio.")
    parser.add_argument("--home", help="the studio's folder")
    parser.add_argument("--detach", action="store_true", help="outlive the terminal and every client")
    parser.add_argument("--threads", type=_positive, help="of each runtime (or ADAPTER_STUDIO_THREADS; 1)")
    parser.add_argument("--parent", type=int, help="a process during whose life no client is needed")
    options = parser.parse_args()
    home = find_home(options.home)
    if options.detach:
        with contextlib.suppress(PermissionError):  # already the leader of its own session
            os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        asyncio.run(_serve(home, options))
    except StudioError as error:
        return _refuse(error)
    except OSError as error:
        return _refuse(explain_os_error(error, "starting the engine"))
    return 0


def _refuse(error: StudioError) -> int:
    print(msgspec.json.encode({"error": error.as_message()}).decode(), flush=True)
    print(error, file=sys.stderr)
    return 1


async def _serve(home: Home, options: argparse.Namespace) -> None:
    home.prepare()
    handler = logging.handlers.RotatingFileHandler(
        home.logs / "engine.log", maxBytes=1_000_000, backupCount=5, encoding="utf-8"
    )
    handler.setFormatter(QuietFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    threads = options.threads or _positive(os.environ.get("ADAPTER_STUDIO_THREADS", "1"))
    engine = Engine(home, detached=options.detach, parent=options.parent, threads=threads)
    try:
        await engine.run(_say)
    except BaseException:
        logging.exception("the engine ends by a fault of its own")
        raise


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise StudioError("usage", f"There cannot be {text} threads.", "Give a whole number from 1 on.")
    return int(text)


def _say(announcement: Announcement) -> None:
    # Whoever started the engine may have stopped listening.
    with contextlib.suppress(BrokenPipeError):
        print(msgspec.json.encode(announcement).decode(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
