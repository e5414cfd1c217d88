"""Calls that block, each in a thread of its own: none holds up the engine's loop, nor its end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from engine.formats.errors import StudioError
from engine.hub.session import Patience, patient

__all__ = ["in_thread"]

T = TypeVar("T")


async def in_thread(work: Callable[[], T], seconds: float) -> T:
    """What ``work()`` returns. After ``seconds`` StudioError("limited"); then, and when the call is
    cancelled, the thread ends at the next request that it would send, and nobody hears of it."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()
    patience = Patience(until=time.monotonic() + seconds)

    def settle(how: Callable[[Any], None], with_what: object) -> None:
        if not answer.done():
            how(with_what)

    def run() -> None:
        how: Callable[[Any], None] = answer.set_result
        outcome: object
        try:
            with patient(patience):
                outcome = work()
        except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
            how, outcome = answer.set_exception, error
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            loop.call_soon_threadsafe(settle, how, outcome)

    # Not of asyncio's pool: that is waited for at the end, for as long as a silent server likes.
    threading.Thread(target=run, name="hub", daemon=True).start()
    try:
        return await asyncio.wait_for(answer, seconds)
    except TimeoutError as error:
        raise StudioError("limited", "The Hub takes too long to answer.", "Try again in a while.") from error
    finally:
        patience.cancelled.set()
