"""Ranks that stand out on an axis: where a hand in leaps comes to rest, and which have a number."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["nearest_stop", "next_stop", "spaced", "stops"]


def stops(low: int, highest: int) -> list[int]:
    """Powers of two and both ends: (1, 12) -> [1, 2, 4, 8, 12]."""
    powers = (1 << power for power in range(highest.bit_length()))
    return sorted({low, highest, *(power for power in powers if low <= power <= highest)})


def nearest_stop(rank: int, low: int, highest: int) -> int:
    """The stop that is fewest ranks away; of two the lower."""
    return min(stops(low, highest), key=lambda stop: abs(stop - rank))


def next_stop(rank: int, low: int, highest: int, direction: int) -> int:
    """The stop above (1) or below (-1); ``rank`` itself at the end."""
    beyond = [stop for stop in stops(low, highest) if (stop - rank) * direction > 0]
    if not beyond:
        return rank
    return min(beyond) if direction > 0 else max(beyond)


def spaced(low: int, highest: int, x_of: Callable[[float], float], gap: float) -> list[int]:
    """Both ends, and between them every rank, or every second, fourth ..., so that none is nearer to the next
    than ``gap`` pixels."""
    if low == highest:
        return [low]
    step = 1
    while step < highest - low and step * (x_of(highest) - x_of(low)) / (highest - low) < gap:
        step *= 2
    inner = (rank for rank in range(low + 1, highest) if rank % step == 0)
    free = (rank for rank in inner if min(x_of(rank) - x_of(low), x_of(highest) - x_of(rank)) >= gap)
    return [low, *free, highest]
