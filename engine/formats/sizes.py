"""Numbers of bytes as people read them."""

from __future__ import annotations

__all__ = ["as_size"]


def as_size(count: float) -> str:
    """``count`` bytes in decimal units, three digits of them: "512 bytes", "4.20 MB", "13.5 GB"."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 999.5 or unit == "TB":
            break
    return f"{count:.{2 if count < 9.995 else 1 if count < 99.95 else 0}f} {unit}"
