"""Envelopes, and how they become frames: one msgpack-encoded struct each, decoded strictly."""

from __future__ import annotations

import msgspec

from engine.messages.answers import Body
from engine.messages.common import PROTOCOL, Error, Struct
from engine.messages.events import EventBody, GaugeBody
from engine.messages.requests import Request
from engine.messages.runtime import (
    Heartbeat,
    JobCheckpoint,
    JobEnded,
    JobStep,
    RuntimeReady,
    StartJob,
    SteerJob,
    Work,
)

__all__ = [
    "LARGEST_MESSAGE",
    "Call",
    "Cancel",
    "Downward",
    "Event",
    "Failure",
    "Gauge",
    "Progress",
    "Result",
    "Subscribe",
    "Upward",
    "Welcome",
    "decode_downward",
    "decode_upward",
    "encode",
]


class Call(Struct, frozen=True):
    id: str
    body: Request | Work | StartJob | SteerJob


class Cancel(Struct, frozen=True):
    """Give up a Call. It is still answered: Failure(code="cancelled"), or what was already on its way."""

    id: str


class Subscribe(Struct, frozen=True):
    """Send me every Event after ``since`` (-1: only new ones) and the gauges. Answered by Welcome."""

    since: int = -1
    protocol: int = PROTOCOL


class Welcome(Struct, frozen=True):
    """The supervisor's greeting: ``last`` is the newest event's number, ``run`` names this engine's life."""

    protocol: int
    pid: int
    version: str
    run: str
    last: int


class Progress(Struct, frozen=True):
    id: str
    body: Body


class Result(Struct, frozen=True):
    id: str
    body: Body


class Failure(Struct, frozen=True):
    id: str
    error: Error


class Event(Struct, frozen=True):
    number: int
    body: EventBody


class Gauge(Struct, frozen=True):
    body: GaugeBody


Upward = (
    Call
    | Cancel
    | Subscribe
    | Progress
    | Result
    | Failure
    | RuntimeReady
    | Heartbeat
    | JobStep
    | JobCheckpoint
    | JobEnded
)
Downward = Welcome | Progress | Result | Failure | Event | Gauge | Call | Cancel

LARGEST_MESSAGE = 64 << 20
"""Bytes of one frame; whoever sends more is cut off. The gates of a text of a few thousand tokens fit."""

_encoder = msgspec.msgpack.Encoder()
_upward = msgspec.msgpack.Decoder(Upward)
_downward = msgspec.msgpack.Decoder(Downward)


def encode(message: Upward | Downward) -> bytes:
    """A message as one zmq frame."""
    return _encoder.encode(message)


def decode_upward(frame: bytes) -> Upward:
    """What a client or runtime sent to the supervisor. msgspec.DecodeError if it is no such message."""
    message: Upward = _upward.decode(frame)
    return message


def decode_downward(frame: bytes) -> Downward:
    """What the supervisor sent to a client or runtime. msgspec.DecodeError if it is no such message."""
    message: Downward = _downward.decode(frame)
    return message
