"""Commands and reports as bytes on a pipe: four bytes of length, most significant first, then msgpack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from app.capture.messages import Command, Report

__all__ = ["LARGEST_FRAME", "CommandFrames", "Frames", "ReportFrames", "frame"]

LARGEST_FRAME = 4 << 20
"""Bytes of one message; a preview has some tens of thousands."""
_LENGTH = 4
_encoder = msgspec.msgpack.Encoder()
_T = TypeVar("_T")


def frame(message: Command | Report) -> bytes:
    """A message with its length in front."""
    body = _encoder.encode(message)
    return len(body).to_bytes(_LENGTH, "big") + body


class Frames(Generic[_T]):
    """Puts messages together from bytes as they come."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[_T]) -> None:
        self._decoder = decoder
        self._waiting = bytearray()

    def feed(self, data: bytes) -> Iterator[_T]:
        """The messages that are complete with ``data``. msgspec.DecodeError when it is none, or too long;
        the stream cannot be read on after that."""
        self._waiting += data
        while len(self._waiting) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._waiting[:_LENGTH], "big")
            if end > LARGEST_FRAME:
                raise msgspec.DecodeError(f"A message of {end} bytes is longer than any can be.")
            if len(self._waiting) < end:
                return
            body = bytes(self._waiting[_LENGTH:end])
            del self._waiting[:end]
            yield self._decoder.decode(body)


def CommandFrames() -> Frames[Command]:
    """What the capture process reads."""
    return Frames(msgspec.msgpack.Decoder(Command))


def ReportFrames() -> Frames[Report]:
    """What the window reads."""
    return Frames(msgspec.msgpack.Decoder(Report))
