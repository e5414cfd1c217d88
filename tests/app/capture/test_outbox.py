"""Reports on their way to a window that is slow, stuck or gone."""

import threading

import msgspec
import pytest

from app.capture.frames import ReportFrames
from app.capture.messages import Level, Preview, Report, Segment, Speaking
from app.capture.outbox import Outbox


class Reader:
    """Takes one write, then waits until it is let go."""

    def __init__(self) -> None:
        self.go, self.stuck = threading.Event(), threading.Event()
        self.frames, self.told = ReportFrames(), list[Report]()

    def write(self, data: bytes) -> None:
        self.stuck.set()
        assert self.go.wait(10)
        self.told += self.frames.feed(data)


def test_a_stuck_reader_gets_the_newest_gauges_and_everything_else_in_order() -> None:
    reader = Reader()
    outbox = Outbox(reader.write, lambda: pytest.fail("it reads"))
    outbox.tell(Speaking(speaking=True))
    assert reader.stuck.wait(10)
    for number in range(10_000):
        outbox.tell(Level(rms=-20.0, peak=-float(number)))
        outbox.tell(Preview(picture=bytes(30_000), width=480, height=360, time=float(number)))
    outbox.tell(Segment(path="a", start=0.0, end=1.0))
    outbox.tell(Level(rms=-20.0, peak=-1.0))
    outbox.tell(Level(rms=-20.0, peak=-2.0))
    assert len(outbox._lasting) + len(outbox._gauges) == 2
    reader.go.set()
    outbox.close(10)
    assert [type(report) for report in reader.told] == [Speaking, Segment, Level]
    assert reader.told[-1] == Level(rms=-20.0, peak=-2.0)
    assert msgspec.structs.asdict(reader.told[1])["path"] == "a"


def test_a_reader_that_is_gone_is_told_once() -> None:
    gone = threading.Semaphore(0)

    def write(data: bytes) -> None:
        raise BrokenPipeError

    outbox = Outbox(write, gone.release)
    outbox.tell(Speaking(speaking=True))
    assert gone.acquire(timeout=60)
    outbox.tell(Speaking(speaking=False))
    outbox.close(10)
    assert not gone.acquire(blocking=False)
