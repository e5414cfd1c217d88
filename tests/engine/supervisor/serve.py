"""An engine whose runtimes are fake_runtime.py: ``python serve.py HOME``, and its LINGER if not detached."""

import asyncio
import logging
import sys
from pathlib import Path

from engine.supervisor import server
from engine.supervisor.home import Home
from engine.supervisor.server import Engine


async def main():
    home = Home(Path(sys.argv[1]))
    home.prepare()
    logging.basicConfig(filename=home.logs / "engine.log", level=logging.INFO)
    fake = Path(__file__).with_name("fake_runtime.py")
    detached = len(sys.argv) < 3
    if not detached:
        server.LINGER = float(sys.argv[2])
    engine = Engine(home, detached=detached, runtime_command=(sys.executable, str(fake)))
    await engine.run(lambda announcement: print("ready", flush=True))


asyncio.run(main())
