"""The child that works on factors: it ends with whoever waits for it."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from engine.supervisor.factors import read_spectrum
from engine.supervisor.starter import STARTER


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "engine.lora.child" in " ".join(one.cmdline())]


def test_a_child_that_nobody_waits_for_ends():
    async def leave() -> None:
        asked = asyncio.create_task(read_spectrum(STARTER / "adapters" / "reverse"))
        while not children():
            await asyncio.sleep(0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert not children()

    asyncio.run(asyncio.wait_for(leave(), 60))
