"""Following one mouth through pictures, and cutting it out as the lip encoder was trained to see it.

A ladder: a face that is searched every fifth picture and followed by optical flow between; a box drawn by
hand, followed the same way; else no mouth, and that is said. Never a crop of something else. Torch-free.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, replace
from typing import Any

import cv2
import numpy

from engine.speech.faces import Finder, Place
from engine.speech.media import Picture
from engine.speech.shape import FPS, SIDE
from engine.speech.yunet import best_finder

__all__ = ["Place", "Tracker", "cut", "settled"]

EVERY, SOUGHT = 5, 3
"""Pictures from one search for a face to the next, while one is followed, and while there is none."""
FLOWED = 320
"""Width of the picture in which movement is measured."""
POINTS = 24
RETURNED = 0.5
"""Pixels by which a point may miss its place when it is followed there and back."""
LONGEST_GAP = FPS // 2
"""Pictures without a mouth that are bridged, and for which one is followed that no search confirms: half a
second. After it another face may be taken."""
NEAR = 1.5
"""Sides of the mouth by which the same one may have moved from one search to the next."""
AGREED = 0.5
"""The share of a new search in how large and how tilted the mouth is taken to be."""
REACH = 2
"""Pictures to either side over which a place is averaged, because searches are unsteady."""


class Tracker:
    """Follows one mouth through the pictures of a camera or a file, one at a time.

    ``by_hand`` is where a person says that the mouth is in the first picture; no face is searched then.
    ``last`` is where it was just before the first picture. ``first`` and ``last`` say where it was seen,
    ``trouble`` in a sentence why faces are searched less well than they could be.
    """

    def __init__(
        self, by_hand: Place | None = None, last: Place | None = None, finder: Finder | None = None
    ) -> None:
        self._finder, self.trouble = (finder, "") if finder else best_finder()
        self._by_hand = by_hand
        self.first: Place | None = None
        self.last = last
        self._place: Place | None = None
        self._before: Picture | None = None
        self._count = self._unseen = self._unconfirmed = self._attempts = 0

    def see(self, grey: Picture) -> Place | None:
        """Where the mouth is in this picture [H, W]; None: not to be found."""
        small = _small(grey)
        place = self._followed(small, grey.shape[1] / small.shape[1])
        if self._by_hand is not None:
            place = place or self._place or self._by_hand
        elif self._count % (EVERY if place else SOUGHT) == 0 or (place is None and self._just_lost):
            place = self._searched(grey, place)
        self._place, self._before = place, small
        self._count += 1
        self._unseen = 0 if place else self._unseen + 1
        if place:
            self.first, self.last = self.first or place, place
        return place

    @property
    def _just_lost(self) -> bool:
        return self.last is not None and self._unseen < LONGEST_GAP

    def _searched(self, grey: Picture, moved: Place | None) -> Place | None:
        """The mouth of the same face as before; else, for a while, where it has ``moved``; after that of the
        face that is nearest to where it was, and at the very first of the largest."""
        same = moved or (self.last if self._just_lost else None)
        found = self._finder.find(grey, same.angle if same else 0.0, 0 if same else self._attempts)
        if same is not None:
            found = [place for place in found if _apart(place, same) < NEAR * same.side]
        if not found:
            self._attempts += same is None
            self._unconfirmed += EVERY
            return moved if self._unconfirmed <= LONGEST_GAP else None
        self._attempts = self._unconfirmed = 0
        before = same or self.last
        if before is None:
            return max(found, key=lambda place: place.side)
        best = min(found, key=lambda place: _apart(place, before))
        if same is None:
            return best
        side = same.side + AGREED * (best.side - same.side)
        return replace(best, side=side, angle=same.angle + AGREED * (best.angle - same.angle))

    def _followed(self, small: Picture, scale: float) -> Place | None:
        """The last place, moved as most of what was in it moved."""
        place, before = self._place, self._before
        if place is None or before is None or before.shape != small.shape:
            return None
        mask = numpy.zeros_like(before)
        half = round(place.side / 2 / scale)
        x, y = round(place.x / scale), round(place.y / scale)
        mask[max(0, y - half) : max(0, y + half), max(0, x - half) : max(0, x + half)] = 255
        points = cv2.goodFeaturesToTrack(before, POINTS, 0.01, 3, mask=mask)
        if points is None:
            return None
        moved, there, _ = cv2.calcOpticalFlowPyrLK(before, small, points, nextPts=None)
        back, again, _ = cv2.calcOpticalFlowPyrLK(small, before, moved, nextPts=None)
        apart = numpy.linalg.norm((back - points).reshape(-1, 2), axis=1)
        kept = (there.ravel() == 1) & (again.ravel() == 1) & (apart < RETURNED)
        if kept.sum() < POINTS // 4:
            return None
        dx, dy = numpy.median((moved - points)[kept].reshape(-1, 2), axis=0) * scale
        new = replace(place, x=place.x + float(dx), y=place.y + float(dy))
        inside = 0 <= new.x < small.shape[1] * scale and 0 <= new.y < small.shape[0] * scale
        return new if inside else None


def settled(shown: Iterable[Picture], tracker: Tracker) -> Iterator[tuple[Picture, Place | None]]:
    """Each of ``shown`` [H, W] with the place of its mouth, in their order and half a second late at most.

    Gaps of up to half a second are bridged in straight lines, and places made steady. In a longer gap it is
    None, because nobody knows what would be cut out there.
    """
    run = _Run()
    lost: list[Picture] = []
    for picture in shown:
        place = tracker.see(picture)
        if place is not None:
            run.add(lost, picture, place)
            lost = []
            yield from run.steady()
            continue
        lost.append(picture)
        if len(lost) > LONGEST_GAP or run.ended:
            yield from run.end()
            yield from ((one, None) for one in lost)
            lost = []
    if lost and tracker.last is not None and not run.empty:
        run.add(lost[:-1], lost[-1], tracker.last)
        lost = []
    yield from run.end()
    yield from ((one, None) for one in lost)


class _Run:
    """Pictures in a row with a place each, handed out once the places after theirs are known."""

    def __init__(self) -> None:
        self.ended = False
        self._pictures: deque[Picture] = deque()
        self._rows: list[Any] = []
        self._given = 0

    @property
    def empty(self) -> bool:
        return not self._rows

    def add(self, lost: Sequence[Picture], picture: Picture, place: Place) -> None:
        """``picture``, and the ``lost`` ones before it with places between the last one's and its own."""
        row = numpy.array(astuple(place))
        before = self._rows[-1] if self._rows else row
        for number, one in enumerate((*lost, picture), 1):
            self._rows.append(before + (row - before) * number / (len(lost) + 1))
            self._pictures.append(one)
        self.ended = False

    def steady(self) -> Iterator[tuple[Picture, Place]]:
        while self._given + REACH < len(self._rows):
            yield self._next()

    def end(self) -> Iterator[tuple[Picture, Place]]:
        while self._pictures:
            yield self._next()
        self._rows, self._given, self.ended = [], 0, True

    def _next(self) -> tuple[Picture, Place]:
        last = len(self._rows) - 1
        around = range(self._given - REACH, self._given + REACH + 1)
        row = numpy.mean([self._rows[min(max(number, 0), last)] for number in around], 0)
        self._given += 1
        return self._pictures.popleft(), Place(*map(float, row))


def cut(grey: Picture, place: Place) -> Picture:
    """The square at ``place`` as a picture [96, 96], upright; what lies beyond the edge repeats the edge."""
    scale = SIDE / place.side
    along, across = scale * math.cos(place.angle), scale * math.sin(place.angle)
    middle = (SIDE - 1) / 2
    matrix: Any = numpy.array(
        [
            [along, across, middle - along * place.x - across * place.y],
            [-across, along, middle + across * place.x - along * place.y],
        ]
    )
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    out: Picture = cv2.warpAffine(grey, matrix, (SIDE, SIDE), flags=way, borderMode=cv2.BORDER_REPLICATE)
    return out


def _small(grey: Picture) -> Picture:
    width = min(FLOWED, grey.shape[1])
    size = (width, round(grey.shape[0] * width / grey.shape[1]))
    return numpy.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), numpy.uint8)


def _apart(one: Place, other: Place) -> float:
    return math.hypot(one.x - other.x, one.y - other.y)
