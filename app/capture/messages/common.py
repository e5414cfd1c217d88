"""What commands and reports of the capture process have in common: devices, and what is open of them."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["CAPTURE_PROTOCOL", "FILE_CAMERA", "LARGEST_OFFSET", "Device", "Light", "Message", "Part"]

CAPTURE_PROTOCOL = 1
LARGEST_OFFSET = 300.0
"""Milliseconds by which sound can be moved against the pictures."""
FILE_CAMERA = "file:"
"""A camera's id that begins so is a video file, shown in real time, again and again."""

Part = Literal["camera", "microphone", "loudspeaker", "recording", "captions"]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Known by its class's name; the one who reads it gets that class."""


class Light(msgspec.Struct, frozen=True, kw_only=True):
    """What is open at this moment."""

    camera: bool = False
    microphone: bool = False
    recording: bool = False


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """``id`` is what the commands take; it stays the same while the device is plugged in, and over restarts
    as far as the system's own names do. ``default``: the one that the system prefers."""

    id: str
    name: str
    default: bool = False
