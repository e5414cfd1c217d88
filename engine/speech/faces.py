"""Finding the mouths of faces in one picture with the Haar cascades of OpenCV's wheel (Viola and Jones 2001).

They give a box; the eyes in it say how far the head is tilted. How large the mouth is they say less well than
the box does: of drawn faces of one size, eyes lie 5 % apart from one picture to the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy
from numpy.typing import NDArray

from engine.speech.media import Picture

__all__ = ["WIDTH", "Cascades", "Finder", "Place", "shrunk"]

WIDTH = 320
"""Of the picture in which faces are searched."""
MOUTH_X, MOUTH_Y, MOUTH_SIDE = 0.49, 0.80, 0.62
"""Where the mouth is in the cascade's box of a face, and how wide its picture is, in shares of the box."""
LEVEL = math.radians(3)
"""Tilts up to this are as likely the cascade's own unsteadiness, and are taken off all others."""
STEEPEST = math.radians(30)
"""Eyes that lie more askew than this in the picture that was searched are something else."""
APART = 0.25
"""The least share of the box's width by which eyes are apart."""
EMPTY = 4.0
"""Grey levels by which a picture must vary to show anything: a covered lens does not."""
TRIES = ((WIDTH, 0.0), (WIDTH, math.radians(25)), (WIDTH, math.radians(-25)), (2 * WIDTH, 0.0))
"""Widths and tilts at which a face is searched, in turn while there is none."""
EYES = 150
"""Width of the picture of a face in which its eyes are searched."""


@dataclass(frozen=True)
class Place:
    """A square in a picture: its middle and its side, in pixels, turned clockwise by ``angle`` radians."""

    x: float
    y: float
    side: float
    angle: float = 0.0


class Finder(Protocol):
    """Finds the mouths of all faces in a picture [H, W]. ``angle`` is how far the head that is looked for was
    tilted; ``attempt`` counts the pictures since there was one."""

    def find(self, grey: Picture, angle: float = 0.0, attempt: int = 0) -> list[Place]: ...


class Cascades:
    """Faces that look into the camera, tilted by up to 40 degrees or so."""

    def __init__(self) -> None:
        folder = Path(cv2.__file__).parent / "data"
        self._faces = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt2.xml"))
        self._eyes = cv2.CascadeClassifier(str(folder / "haarcascade_eye.xml"))

    def find(self, grey: Picture, angle: float = 0.0, attempt: int = 0) -> list[Place]:
        """The mouths of all faces in a picture [H, W], tilted by about ``angle`` or as ``attempt`` tries."""
        width, tilt = TRIES[attempt % len(TRIES)]
        scale = grey.shape[1] / min(width, grey.shape[1])
        small = shrunk(grey, scale)
        if small.std() < EMPTY:
            return []
        turned = angle + tilt
        middle = (numpy.array(small.shape[::-1]) - 1) / 2
        if turned:
            matrix = cv2.getRotationMatrix2D(middle.tolist(), math.degrees(turned), 1.0)
            small = cv2.warpAffine(small, matrix, small.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        places = []
        for box in self._faces.detectMultiScale(cv2.equalizeHist(small), 1.1, 4, minSize=(40, 40)):
            x, y, w = (float(value) for value in box[:3])
            face = (middle + _turned(x + w / 2 - middle[0], y + w / 2 - middle[1], turned)) * scale
            askew = self._askew(grey, face[0], face[1], w * scale, turned)
            if askew is None and turned:
                continue  # a turned picture has faces where there are none
            found = turned + (askew or 0.0)
            # The mouth is below the middle of the box, along the head's own axis.
            mouth = face + _turned((MOUTH_X - 0.5) * w * scale, (MOUTH_Y - 0.5) * w * scale, found)
            places.append(Place(float(mouth[0]), float(mouth[1]), MOUTH_SIDE * w * scale, found))
        return places

    def _askew(self, grey: Picture, x: float, y: float, w: float, turned: float) -> float | None:
        """By how many radians more than ``turned`` the eyes lie askew in the face ``w`` wide around (x, y);
        None where two are not to be seen."""
        zoom = EYES / w
        matrix = cv2.getRotationMatrix2D((x, y), math.degrees(turned), zoom)
        matrix[:, 2] += EYES / 2 - x, EYES / 2 - y
        size = (EYES, round(0.6 * EYES))
        upper = cv2.equalizeHist(cv2.warpAffine(grey, matrix, size, borderMode=cv2.BORDER_REPLICATE))
        least, most = round(0.12 * EYES), round(0.4 * EYES)
        eyes = self._eyes.detectMultiScale(upper, 1.1, 3, minSize=(least, least), maxSize=(most, most))
        middles = [(float(ex + ew / 2), float(ey + eh / 2)) for ex, ey, ew, eh in eyes]
        lefts = [eye for eye in middles if eye[0] < EYES / 2]
        rights = [eye for eye in middles if eye[0] >= EYES / 2]
        if len(lefts) != 1 or len(rights) != 1:
            return None
        (lx, ly), (rx, ry) = lefts[0], rights[0]
        angle = math.atan2(ry - ly, rx - lx)
        if abs(angle) > STEEPEST or rx - lx < APART * EYES:
            return None
        return math.copysign(max(0.0, abs(angle) - LEVEL), angle)


def shrunk(grey: Picture, scale: float) -> Picture:
    """``grey`` [H, W] that many times smaller."""
    size = (round(grey.shape[1] / scale), round(grey.shape[0] / scale))
    return numpy.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), numpy.uint8)


def _turned(x: float, y: float, angle: float) -> NDArray[numpy.float64]:
    """Clockwise as a picture shows it, whose y grows downwards."""
    cos, sin = math.cos(angle), math.sin(angle)
    return numpy.array((x * cos - y * sin, x * sin + y * cos))
