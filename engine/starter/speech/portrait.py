"""A whole drawn face around a drawn mouth, as a camera would film it, so that face trackers find it."""

from __future__ import annotations

import cv2
import numpy
from numpy.typing import NDArray

from engine.speech.shape import SIDE
from engine.starter.speech.face import Face, Lips, Picture, draw_mouth

__all__ = ["HEIGHT", "WIDTH", "draw_portrait"]

WIDTH, HEIGHT = 320, 240
MOUTH = (160, 166)
"""Where the middle of the mouth's picture lies, in pixels."""
RADIUS = 100
"""Half the height of the head."""
SOFT = 0.3
"""The share of the mouth's picture at its edge over which it fades into the face."""


def draw_portrait(face: Face, lips: Lips, rng: numpy.random.Generator) -> Picture:
    """Grey pictures [frames, 240, 320] of a head that says what ``lips`` do."""
    head = _head(face)
    mouths = draw_mouth(face, lips, rng).astype(numpy.float32)
    fade = _fade()
    x, y = MOUTH[0] - SIDE // 2, MOUTH[1] - SIDE // 2
    pictures = numpy.empty((len(lips), HEIGHT, WIDTH), numpy.uint8)
    for number, mouth in enumerate(mouths):
        picture = head.copy()
        part = picture[y : y + SIDE, x : x + SIDE]
        part += fade * (mouth - part)
        pictures[number] = picture.clip(0, 255).astype(numpy.uint8)
    return pictures


def _fade() -> NDArray[numpy.float32]:
    """1 in the middle of the mouth's picture and 0 at its edge."""
    far = numpy.abs(numpy.linspace(-1, 1, SIDE))
    line = ((1 - far) / SOFT).clip(0, 1)
    return numpy.outer(line, line).astype(numpy.float32)


def _head(face: Face) -> NDArray[numpy.float32]:
    """The head without its mouth, with a wall behind it."""
    wall = numpy.linspace(0.45, 0.7, WIDTH) * 220
    picture = numpy.tile(wall.astype(numpy.float32), (HEIGHT, 1))
    x, y = MOUTH[0], MOUTH[1] - 0.52 * RADIUS

    def oval(
        dx: float, dy: float, w: float, h: float, grey: float, line: float = -1, half: bool = False
    ) -> None:
        middle = (round((x + dx * RADIUS) * 16), round((y + dy * RADIUS) * 16))
        size = (max(8, round(w * RADIUS * 16)), max(8, round(h * RADIUS * 16)))
        arc = (180, 360) if half else (0, 360)
        thick = -1 if line < 0 else max(1, round(line * RADIUS))
        cv2.ellipse(picture, middle, size, 0, *arc, grey, thick, cv2.LINE_AA, 4)

    skin = face.skin
    oval(0, -0.15, 0.86, 1.25, 45)
    oval(0, 0, 0.75, 1.0, skin)
    for side in (-0.32, 0.32):
        oval(side, -0.18, 0.24, 0.16, skin * 0.84)
        oval(side, -0.2, 0.17, 0.08, min(255.0, skin + 55))
        oval(side, -0.2, 0.07, 0.07, 25)
        oval(side, -0.36, 0.2, 0.05, 45, 0.06, half=True)
    oval(0, 0.2, 0.13, 0.05, skin * 0.68, 0.04)
    blurred: NDArray[numpy.float32] = cv2.GaussianBlur(picture, (0, 0), 1.0)
    return blurred
