"""What every command shares: the home, the engine, and how answers and progress are shown."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.client import Client, start_engine
from engine.formats.errors import StudioError
from engine.hub.address import configured_hub
from engine.messages import (
    Body,
    EngineStatus,
    EventBody,
    GaugeBody,
    ListMixes,
    MixCard,
    Notice,
    Said,
    Scoring,
    Status,
)
from engine.supervisor.home import Home, find_home

__all__ = ["Session", "mix_card", "plain", "session", "shown", "table"]

TRIES = 3
NO_HUB = "no Hub (HF_HUB_OFFLINE)"

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_NUMBER = re.compile(r"-?[\d,]*\.?\d*(?: (?:bytes|kB|MB|GB|TB))?")


@dataclass
class Session:
    """One run of the command line. Results go to stdout, everything else to stderr."""

    json: bool = False
    home: Home = field(default_factory=find_home)
    _progress: bool = False

    @contextlib.contextmanager
    def engine(self, on_gauge: Callable[[GaugeBody], None] = lambda body: None) -> Iterator[Client]:
        """A client of the home's engine, which is started for this command if it does not run."""
        with self._connect(on_gauge) as client:
            yield client

    @contextlib.contextmanager
    def hub_engine(self) -> Iterator[Client]:
        """The same to ask the Hub. StudioError where the engine, which keeps the environment that it was
        started in, would ask another one than this command's environment names."""
        with self.engine() as client:
            status: EngineStatus = client.call(Status())
            mine = configured_hub()
            if status.hub != mine:
                raise StudioError(
                    "usage" if mine else "offline",
                    f"The engine that runs here asks {status.hub or NO_HUB}; this command is to ask "
                    f"{mine or NO_HUB}.",
                    "End it with `adapter-studio engine stop`: the next command starts it anew.",
                )
            yield client

    def _connect(self, on_gauge: Callable[[GaugeBody], None]) -> Client:
        for again in range(TRIES):
            running = start_engine(self.home)
            try:
                return Client(running, on_event=self._hear, on_gauge=on_gauge)
            except StudioError as error:
                # It may have been on its way out when we found it.
                if error.code != "crashed" or again == TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _hear(self, body: EventBody) -> None:
        # A job's failure is told by the command that waits for the job.
        if isinstance(body, Notice) and not (body.job and body.level == "error"):
            self.note(f"{body.message} {body.hint}".strip())

    def put(self, values: Mapping[str, Any]) -> None:
        """One JSON object on a line of its own."""
        print(msgspec.json.encode(values).decode(), flush=True)

    def result(self, values: Mapping[str, Any], text: str) -> None:
        """The outcome of a command: an object for programs, or text for people."""
        self.end_progress()
        if self.json:
            self.put(values)
        elif text:
            print(shown(text), flush=True)

    def note(self, sentence: str) -> None:
        """A sentence beside the result."""
        self.end_progress()
        print(shown(sentence), file=sys.stderr, flush=True)

    def progress(self, text: str) -> None:
        """The state of long work: one line that renews itself on a terminal, nothing elsewhere."""
        if sys.stderr.isatty():
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{shown(text)[:width]}", end="", file=sys.stderr, flush=True)
            self._progress = True

    def end_progress(self) -> None:
        if self._progress:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._progress = False

    def show_progress(self, body: Body) -> None:
        """Progress of a call in words."""
        match body:
            case Said(text=text):
                self.progress(text)
            case Scoring(done=done, total=total, value=value):
                self.progress(f"Scoring: {done} of {total} rows, {value:.3f} so far")


session = Session()


def mix_card(name: str) -> MixCard:
    """The mix of this name. StudioError("missing") when the library has none."""
    with session.engine() as engine:
        cards: list[MixCard] = engine.call(ListMixes()).mixes
    for card in cards:
        if card.name == name:
            return card
    raise StudioError("missing", f"There is no mix called {name}.", "`mix list` shows what there is.")


def plain(answer: msgspec.Struct) -> dict[str, Any]:
    """An answer of the engine as JSON says it: without its tag on the wire."""
    values: dict[str, Any] = msgspec.to_builtins(answer)
    values.pop("type", None)
    return values


def shown(text: str) -> str:
    """``text`` as a terminal may show it: control characters, which could steer it, and marks that turn the
    reading direction are written out."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns under a head; numbers to the right. On a terminal every row is one line."""
    if not rows:
        return ""
    rows = [[" ".join(shown(cell).splitlines()) for cell in row] for row in rows]
    if sys.stdout.isatty():
        rows = _fitted(rows, shutil.get_terminal_size().columns)
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    right = [all(_is_number(row[i]) for row in rows) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([line(head), *map(line, rows)])


def _fitted(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """The last column shortened between words, so that every row is one line."""
    before = sum(max(len(row[i]) for row in rows) + 2 for i in range(len(rows[0]) - 1))
    left = max(20, width - before - 1)
    return [[*row[:-1], textwrap.shorten(row[-1], left, placeholder=" …")] for row in rows]


def _is_number(text: str) -> bool:
    return text == "-" or _NUMBER.fullmatch(text) is not None
