"""Finding the mouth in a video, and cutting it out as the lip encoder was trained to see it.

A ladder: a face found by a Haar cascade every fifth picture and followed by optical flow between; a box drawn
by hand, followed the same way; else no mouth, and that is said. Never a crop of something else. Torch-free.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy
from numpy.typing import NDArray

from engine.speech.shape import FPS, SIDE

__all__ = ["Place", "Tracker", "cut", "settle", "track"]

Picture = NDArray[numpy.uint8]
EVERY = 5
"""Pictures from one search for a face to the next."""
SEARCHED = 320
"""Width at which faces are searched."""
MOUTH_X, MOUTH_Y, MOUTH_SIDE = 0.49, 0.80, 0.62
"""Where the mouth is in the cascade's box of a face, and how wide its picture is, in shares of the box."""
POINTS = 24
RETURNED = 1.0
"""Pixels by which a point may miss its place when it is followed there and back."""
LONGEST_GAP = FPS // 2
"""Pictures without a mouth that are bridged, half a second."""
STEADY = 5
"""Pictures over which a place is averaged, because the cascade's boxes jump."""


@dataclass(frozen=True)
class Place:
    """A square in a picture: its middle and its side, in pixels."""

    x: float
    y: float
    side: float


class Tracker:
    """Follows one mouth through the pictures of a camera or a file, one at a time.

    ``by_hand`` is where a person says that the mouth is in the first picture; no face is searched then.
    """

    def __init__(self, by_hand: Place | None = None) -> None:
        folder = Path(cv2.__file__).parent / "data"
        self._cascade = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt2.xml"))
        self._by_hand = by_hand
        self._place: Place | None = None
        self._before: Picture | None = None
        self._count = 0

    def see(self, grey: Picture) -> Place | None:
        """Where the mouth is in this picture [H, W]; None: not to be found."""
        moved = self._follow(grey)
        found = None
        if self._by_hand is not None:
            found = self._by_hand if self._count == 0 else None
        elif self._count % EVERY == 0 or moved is None:
            found = self._search(grey)
            if found is None and self._count % EVERY == 0:
                moved = None  # what flows on is no mouth any more
        self._place = found or moved
        self._before = grey
        self._count += 1
        return self._place

    def _search(self, grey: Picture) -> Place | None:
        """The mouth of the face that is nearest to the last one; of the first faces, the largest."""
        scale = grey.shape[1] / SEARCHED
        small = cv2.resize(grey, (SEARCHED, round(grey.shape[0] / scale)), interpolation=cv2.INTER_AREA)
        faces = self._cascade.detectMultiScale(cv2.equalizeHist(small), 1.1, 4, minSize=(40, 40))
        places = [
            Place((x + MOUTH_X * w) * scale, (y + MOUTH_Y * w) * scale, MOUTH_SIDE * w * scale)
            for x, y, w in ((float(x), float(y), float(w)) for x, y, w, _ in faces)
        ]
        if not places:
            return None
        last = self._place
        if last is None:
            return max(places, key=lambda place: place.side)
        return min(places, key=lambda place: (place.x - last.x) ** 2 + (place.y - last.y) ** 2)

    def _follow(self, grey: Picture) -> Place | None:
        """The last place, moved as most of what was in it moved."""
        place, before = self._place, self._before
        if place is None or before is None or before.shape != grey.shape:
            return None
        mask = numpy.zeros_like(before)
        half = round(place.side / 2)
        x, y = round(place.x), round(place.y)
        mask[max(0, y - half) : max(0, y + half), max(0, x - half) : max(0, x + half)] = 255
        points = cv2.goodFeaturesToTrack(before, POINTS, 0.01, 4, mask=mask)
        if points is None:
            return None
        moved, there, _ = cv2.calcOpticalFlowPyrLK(before, grey, points, nextPts=None)
        back, again, _ = cv2.calcOpticalFlowPyrLK(grey, before, moved, nextPts=None)
        apart = numpy.linalg.norm((back - points).reshape(-1, 2), axis=1)
        kept = (there.ravel() == 1) & (again.ravel() == 1) & (apart < RETURNED)
        if kept.sum() < POINTS // 4:
            return None
        dx, dy = numpy.median((moved - points)[kept].reshape(-1, 2), axis=0)
        new = replace(place, x=place.x + float(dx), y=place.y + float(dy))
        inside = 0 <= new.x < grey.shape[1] and 0 <= new.y < grey.shape[0]
        return new if inside else None


def track(pictures: Iterable[Picture], by_hand: Place | None = None) -> list[Place] | None:
    """The mouth in each of ``pictures`` [H, W] grey at 25 a second; None where there is none to be had."""
    tracker = Tracker(by_hand)
    return settle([tracker.see(picture) for picture in pictures])


def settle(places: Sequence[Place | None]) -> list[Place] | None:
    """``places`` with gaps of up to half a second bridged in straight lines, and made steady.

    None when a gap is longer, because nobody knows what would be cut out there.
    """
    known = [number for number, place in enumerate(places) if place is not None]
    if not known:
        return None
    edges = [-1, *known, len(places)]
    if max(after - before - 1 for before, after in itertools.pairwise(edges)) > LONGEST_GAP:
        return None
    rows = numpy.array([(p.x, p.y, p.side) for p in places if p is not None])
    whole = [numpy.interp(range(len(places)), known, column) for column in rows.T]
    reach = STEADY // 2
    kernel = numpy.ones(2 * reach + 1) / (2 * reach + 1)
    smooth = [numpy.convolve(numpy.pad(column, reach, "edge"), kernel, "valid") for column in whole]
    return [Place(*map(float, row)) for row in zip(*smooth, strict=True)]


def cut(grey: Picture, place: Place) -> Picture:
    """The square at ``place`` as a picture [96, 96]; what lies beyond the edge repeats the edge."""
    scale = SIDE / place.side
    matrix: Any = numpy.array(
        [[scale, 0, (SIDE - 1) / 2 - scale * place.x], [0, scale, (SIDE - 1) / 2 - scale * place.y]]
    )
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    out: Picture = cv2.warpAffine(grey, matrix, (SIDE, SIDE), flags=way, borderMode=cv2.BORDER_REPLICATE)
    return out
