"""Where a rank comes to rest when a hand goes in leaps: at powers of two, and at both ends."""

from __future__ import annotations

__all__ = ["nearest_stop", "next_stop", "stops"]


def stops(low: int, highest: int) -> list[int]:
    """(1, 12) -> [1, 2, 4, 8, 12]."""
    powers = (1 << power for power in range(highest.bit_length()))
    return sorted({low, highest, *(power for power in powers if low <= power <= highest)})


def nearest_stop(rank: int, low: int, highest: int) -> int:
    return min(stops(low, highest), key=lambda stop: abs(stop - rank))


def next_stop(rank: int, low: int, highest: int, direction: int) -> int:
    """The stop above (1) or below (-1); ``rank`` itself at the end."""
    beyond = [stop for stop in stops(low, highest) if (stop - rank) * direction > 0]
    if not beyond:
        return rank
    return min(beyond) if direction > 0 else max(beyond)
