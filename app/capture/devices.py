"""Which cameras, microphones and loudspeakers there are, asked cheaply enough to be asked every second."""

from __future__ import annotations

import sys
from pathlib import Path

from app.capture.messages import Device

__all__ = ["cameras", "chosen", "sound_cards"]

_VIDEO = Path("/sys/class/video4linux")
_CARDS = (Path("/proc/asound/cards"), Path("/proc/asound/pcm"))
ELSEWHERE = 4
"""Camera numbers that are offered where the system has no list of them."""


def cameras(folder: Path = _VIDEO) -> list[Device]:
    """Cameras in the order of their numbers. Of a camera's several nodes only the first gives pictures.
    Where there is no list (not Linux) the first few numbers, which may or may not be there."""
    if sys.platform != "linux":
        return [Device(id=str(n), name=f"Camera {n + 1}", default=n == 0) for n in range(ELSEWHERE)]
    found = []
    for node in sorted(folder.glob("video*"), key=lambda node: (len(node.name), node.name)):
        try:
            if int((node / "index").read_text()) == 0:
                found.append((f"/dev/{node.name}", (node / "name").read_text().strip() or node.name))
        except (OSError, ValueError):  # unplugged while we look
            continue
    return [Device(id=id, name=name, default=number == 0) for number, (id, name) in enumerate(found)]


def sound_cards() -> tuple[str, ...]:
    """Something that changes when a sound card comes or goes; () where the system has no such list."""
    try:
        return tuple(path.read_text() for path in _CARDS)
    except OSError:
        return ()


def chosen(devices: list[Device], wanted: str) -> Device | None:
    """The device that a person means: by id, by name, by a part of its name, or by its number in the list.
    "" is the system's own choice, else the first."""
    if not wanted:
        return next((device for device in devices if device.default), devices[0] if devices else None)
    if wanted.isdecimal() and int(wanted) < len(devices):
        return devices[int(wanted)]
    exact = (device for device in devices if wanted in (device.id, device.name))
    alike = (device for device in devices if wanted.casefold() in device.name.casefold())
    return next(exact, None) or next(alike, None)
