"""The runtime's end of the wire: introduced before its heart beats, and nothing sent that is too large."""

import pytest
import zmq

from engine import wire as wire_room
from engine.messages import (
    Failure,
    Generated,
    Heartbeat,
    Progress,
    Result,
    RuntimeReady,
    Token,
    decode_upward,
)
from engine.wire import Wire


@pytest.fixture
def ends(tmp_path, monkeypatch):
    """A wire, and a function that gives the next message at its other end (None: there was none)."""
    monkeypatch.setattr(wire_room, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(wire_room, "LARGEST_MESSAGE", 1000)
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.bind(f"ipc://{tmp_path / 'socket'}")
    wire = Wire(f"ipc://{tmp_path / 'socket'}", "token")

    def heard(seconds):
        return decode_upward(router.recv_multipart()[1]) if router.poll(seconds * 1000) else None

    yield wire, heard
    wire.close()
    router.close()
    context.term()


def test_it_is_silent_until_it_has_introduced_itself(ends):
    wire, heard = ends
    assert heard(0.3) is None
    ready = RuntimeReady(base="tiny", device="cpu", pid=1, token="token", load_seconds=0.0)
    wire.send(ready)
    assert heard(10) == ready
    assert isinstance(heard(10), Heartbeat)


@pytest.mark.parametrize("envelope", [Result, Progress])
def test_an_answer_that_is_too_large_becomes_a_failure_with_a_next_step(ends, envelope):
    wire, heard = ends
    body = Generated(text="a" * 2000, tokens=1, tokens_per_second=1.0, first_token_seconds=1.0)
    wire.send(envelope(id="one", body=body))
    failure = heard(10)
    assert isinstance(failure, Failure) and failure.id == "one" and "shorter" in failure.error.hint
    small = Progress(id="two", body=Token(index=0, text="a"))
    wire.send(small)
    assert heard(10) == small
