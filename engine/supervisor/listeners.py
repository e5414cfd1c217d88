"""Those who listen: every event in order, once each, now or when they can take it; gauges if they can."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from importlib.metadata import version

from engine.formats.errors import StudioError
from engine.messages import PROTOCOL, Downward, Event, EventBody, Gauge, GaugeBody, Welcome
from engine.supervisor.store import Store

__all__ = ["Listeners"]

log = logging.getLogger(__name__)

FRESH_EVENTS = 1000
"""Events kept in memory; who is further behind is told from the store."""


class Listeners:
    """``send`` says whether a message could be handed over; ``run`` names this engine's life."""

    def __init__(self, store: Store, send: Callable[[bytes, Downward], bool], run: str) -> None:
        self._store = store
        self._send = send
        self._run = run
        self._last = self._boot = store.last_event()
        self._events: deque[Event] = deque(maxlen=FRESH_EVENTS)
        self._unsaved: list[Event] = []
        self._told: dict[bytes, int] = {}
        self._unheard = True

    def add(self, identity: bytes, since: int) -> None:
        """Greet a new listener, then tell what came after ``since`` (-1: nothing of the past)."""
        # The first to listen hears what was found at the start, although nobody was there then.
        if since < 0:
            since = self._boot if self._unheard else self._last
        self._unheard = False
        since = min(since, self._last)
        self._told[identity] = since
        self._send(
            identity,
            Welcome(
                protocol=PROTOCOL,
                pid=os.getpid(),
                version=version("adapter-studio"),
                run=self._run,
                last=since,
            ),
        )
        self._tell(identity)

    def forget(self, identity: bytes) -> None:
        self._told.pop(identity, None)

    def announce(self, body: EventBody) -> None:
        """Tell every listener, now or when it can listen again; durable as soon as the disk allows."""
        self._last += 1
        event = Event(number=self._last, body=body)
        self._events.append(event)
        self._unsaved.append(event)
        self.catch_up()

    def catch_up(self) -> None:
        """Record what could not be recorded, and tell what could not be told."""
        self.save()
        for identity in list(self._told):
            self._tell(identity)

    def save(self) -> None:
        if not self._unsaved:
            return
        try:
            self._store.add_events(self._unsaved)
        except StudioError as error:
            log.error("events not recorded yet: %s", error)
        else:
            self._unsaved = []

    def show(self, body: GaugeBody) -> None:
        """A gauge for everyone who can take it now."""
        for identity in list(self._told):
            self._send(identity, Gauge(body=body))

    def _tell(self, identity: bytes) -> None:
        """Send a listener the events it has not had, in order, until its queue is full."""
        told = self._told[identity]
        if told >= self._last:
            return
        fresh = bool(self._events) and self._events[0].number <= told + 1
        events = list(self._events) if fresh else self._store.events(told) + self._unsaved
        for event in events:
            if event.number > told:
                if not self._send(identity, event):
                    return
                self._told[identity] = told = event.number
