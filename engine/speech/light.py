"""What stands in the way of reading lips in a picture, in a sentence, while there is time to mend it.

A head that is turned far is one whose face is not found: the search sees faces from the front alone.
Torch-free, and cheap enough for every picture of a preview (0.3 ms).
"""

from __future__ import annotations

import math

import cv2

from engine.speech.faces import EMPTY, Place
from engine.speech.media import Picture
from engine.speech.mouth import cut

__all__ = ["warning"]

DARK, BRIGHT = 45.0, 215.0
"""Mean grey of a mouth below and above which its shades are gone."""
BACKLIT = 2.2
"""Times that the picture around a face may be brighter than a face that is rather dark."""
DIM = 90.0
SHARP = 12.0
"""The least variance of the second derivative (Pech-Pacheco 2000) of a mouth that is not blurred."""
SMALLEST = 32.0
"""Pixels of a mouth's picture below which there is little to be read."""
TILTED = math.radians(35)
WHOLE = 64
"""Width of the copy of the picture whose light is measured."""


def warning(grey: Picture, place: Place | None) -> str:
    """Why lips are hard to read in ``grey`` [H, W] with the mouth at ``place`` (None: no face was found), and
    what to do; "" when nothing is in the way. The gravest reason alone."""
    small = cv2.resize(grey, (WHOLE, WHOLE), interpolation=cv2.INTER_AREA)
    level, spread = float(small.mean()), float(small.std())
    if place is None:
        return _without_face(level, spread)
    height, width = grey.shape
    half = place.side / 2
    if place.side < SMALLEST:
        return "The face is small: come closer to the camera."
    if not (half <= place.x <= width - half and half <= place.y <= height - half):
        return "The mouth is at the edge of the picture: move into its middle."
    mouth = cut(grey, place)
    light = float(mouth.mean())
    if light < DARK:
        return "It is dark: put a light in front of you."
    if light < DIM and level > BACKLIT * light:
        return "The light comes from behind: turn towards it, or put one in front of you."
    if light > BRIGHT:
        return "It is too bright: the shades of the lips are lost."
    if abs(place.angle) > TILTED:
        return "The head is tilted: hold it straight."
    if float(cv2.Laplacian(mouth, cv2.CV_32F).var()) < SHARP:
        return "The picture is blurred: hold still, or clean the lens."
    return ""


def _without_face(level: float, spread: float) -> str:
    if spread < EMPTY:
        return "The picture is empty: is the lens covered?"
    if level < DARK:
        return "It is dark, and no face is found: put a light in front of you."
    return "No face is found: look straight into the camera, or draw a box around the mouth."
