"""One start of a download: from its order over the plan and its files to something that can be taken in."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from engine.formats.errors import StudioError, unexpected
from engine.formats.files import explain_os_error, write_file
from engine.hub.fetch import insist
from engine.hub.kept import PLAN, at_work, take_over
from engine.hub.places import Place, place_of
from engine.hub.plan import Plan, check_space, make_plan
from engine.hub.progress import Progress
from engine.hub.source import Source
from engine.messages import Download, Error, JobEnded, JobStep, StartJob

__all__ = ["DownloadRun"]

Word = Literal["pause", "cancel", "keep"]

CHECKED = "checked.json"
"""{file: SHA-256} of those that are whole, so that they are not read again when the job goes on."""


class _StoppedError(Exception):
    """The person has asked for it. ``word`` is what they said."""

    def __init__(self, word: Word) -> None:
        super().__init__(word)
        self.word = word


class DownloadRun:
    """``run`` does the whole work in a thread of its own and never raises.

    The plan lies in the job's folder, pinned when the download first began. What ``fetch`` asks and says on
    the way (its Control) is asked and said here. Whatever ends it, what has come stays: for itself, or for
    another download of the same files, whose order names this job's folder.
    """

    def __init__(self, order: StartJob, send: Callable[[JobStep], None]) -> None:
        assert isinstance(order.spec, Download)
        self.id, self.epoch = order.id, order.epoch
        self._order, self._spec = order, order.spec
        self._folder = Path(order.folder)
        self._file = ""
        self._progress = Progress(order, send)
        self._word: Word | None = None
        self._posted = threading.Event()
        self._checked: dict[str, str] = {}

    def post(self, word: Word) -> None:
        """A word from the person: it is followed within a fraction of a second."""
        self._word = word
        self._posted.set()

    def run(self) -> JobEnded:
        """The whole work. Returns how it ended, for the supervisor."""
        try:
            with at_work(self._folder):
                output, result = self._bring()
            return self._ended("done", str(output), result)
        except _StoppedError as stopped:
            return self._ended("paused" if stopped.word == "pause" else "cancelled")
        except StudioError as error:
            return self._ended("failed", error=error.as_message())
        except OSError as error:
            return self._ended(
                "failed", error=explain_os_error(error, f"fetching {self._spec.repo}").as_message()
            )
        except Exception as error:  # noqa: BLE001 - whatever happens to a job is in its report
            return self._ended("failed", error=unexpected(error).as_message())

    # --- Control ---

    def check(self) -> None:
        if self._word is not None:
            raise _StoppedError(self._word)
        self._progress.tell()

    def wait(self, seconds: float, doing: str) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._progress.say(f"{doing}: {left:.0f} s" if left >= 1.5 else doing)
            self._posted.wait(min(left, 1.0))
            self.check()

    def at(self, done: int) -> None:
        self._progress.at(self._file, done)

    def received(self, count: int) -> None:
        self._progress.received += count

    def say(self, doing: str) -> None:
        self._progress.say(doing)

    def note(self, sentence: str) -> None:
        self._progress.notes.append(sentence)

    # --- the work ---

    def _bring(self) -> tuple[Path, dict[str, Any]]:
        """Fetch and check everything. Returns where it lies then, and the job's result."""
        self.say("Asking the Hub")
        plan = self._plan()
        take_over(plan, self._folder, [Path(other) for other in self._order.paths.values()])
        place = place_of(plan, self._folder)
        self._progress.expect({file.name: (file.size, place.there(file)) for file in plan.files})
        check_space(place.folder, plan.size - self._progress.done + place.extra)
        hashes = self._fetch_all(plan, place)
        self.say("Checking what has come")
        output = place.finish(self._spec.revision)
        received = self._progress.received
        return output, {
            "name": self._spec.out,
            "revision": plan.commit,
            "bytes": received,
            "resumed_from": max(0, plan.size - received),
            "sha256": hashes,
            "notes": self._progress.notes,
        }

    def _plan(self) -> Plan:
        """What was pinned when this download began, else what the Hub says now."""
        file, spec, token = self._folder / PLAN, self._spec, self._order.token
        with contextlib.suppress(FileNotFoundError):
            return msgspec.json.decode(file.read_bytes(), type=Plan)
        plan = insist(lambda: make_plan(spec.repo, spec.revision, spec.room, token), self, spec.repo)
        write_file(file, msgspec.json.encode(plan), doing="noting what to fetch")
        return plan

    def _fetch_all(self, plan: Plan, place: Place) -> dict[str, str]:
        """{file: SHA-256} of all files, each whole in its place."""
        note, hashes = self._folder / CHECKED, dict[str, str]()
        with contextlib.suppress(FileNotFoundError):
            hashes = msgspec.json.decode(note.read_bytes(), type=dict[str, str])
        with contextlib.closing(Source(plan, self._order.token)) as source:
            for file in plan.files:
                self._file = file.name
                if file.name not in hashes or place.there(file) != file.size:
                    hashes[file.name] = place.bring(file, source, self)
                    write_file(note, msgspec.json.encode(hashes), doing=f"noting that {file.name} is whole")
                self.at(file.size)
        return hashes

    def _ended(
        self,
        outcome: Literal["done", "paused", "cancelled", "failed"],
        output: str = "",
        result: dict[str, Any] | None = None,
        error: Error | None = None,
    ) -> JobEnded:
        self._progress.tell(now=True)
        return JobEnded(
            id=self.id,
            epoch=self.epoch,
            outcome=outcome,
            step=self._progress.done,
            output=output,
            result=result or {},
            error=error,
        )
