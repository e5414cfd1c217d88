"""Finding faces in one picture: OpenCV's cascades from its wheel, or YuNet where a person has added it.

Haar cascades (Viola and Jones 2001) give a box, and the eyes in it say how far the head is tilted. YuNet
(Wu and others 2023) gives eyes, nose and mouth, which are laid on those of AV-HuBERT's training pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy
from numpy.typing import NDArray

from engine.formats.errors import AdapterError, DataError
from engine.formats.plain import open_plain
from engine.speech.media import Picture
from engine.speech.shape import SIDE

__all__ = ["Cascades", "Finder", "Place", "YuNet", "laid_on"]

WIDTH = 320
"""Of the picture in which faces are searched."""
MOUTH_X, MOUTH_Y, MOUTH_SIDE = 0.49, 0.80, 0.62
"""Where the mouth is in the cascade's box of a face, and how wide its picture is, in shares of the box."""
LEVEL = math.radians(3)
"""Tilts up to this are as likely the cascade's own unsteadiness, and are taken off all others."""
STEEPEST = math.radians(30)
"""Eyes that lie more askew than this in the picture that was searched are something else."""
EMPTY = 4.0
"""Grey levels by which a picture must vary to show anything: a covered lens does not."""
TRIES = ((WIDTH, 0.0), (2 * WIDTH, 0.0), (WIDTH, math.radians(25)), (WIDTH, math.radians(-25)))
"""Widths and tilts at which a face is searched, in turn while there is none."""
REFERENCE = ((102.07, 94.27), (156.36, 93.58), (129.00, 135.90), (129.31, 157.82))
"""Left and right eye of the picture, nose and mouth in AV-HuBERT's aligned pictures, of which 96 pixels are
cut around the mouth."""
LARGEST_FILE = 4 << 20
SURE = 0.7
"""YuNet's score from which something is a face."""


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
        width, tilt = TRIES[attempt % len(TRIES)]
        scale = grey.shape[1] / min(width, grey.shape[1])
        small = _shrunk(grey, scale)
        if small.std() < EMPTY:
            return []
        small = cv2.equalizeHist(small)
        turned = angle + tilt
        middle = ((small.shape[1] - 1) / 2, (small.shape[0] - 1) / 2)
        if turned:
            matrix = cv2.getRotationMatrix2D(middle, math.degrees(turned), 1.0)
            small = cv2.warpAffine(small, matrix, small.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        places = []
        for box in self._faces.detectMultiScale(small, 1.1, 4, minSize=(40, 40)):
            x, y, w = (float(value) for value in box[:3])
            askew = self._askew(small, x, y, w)
            if askew is None and turned:
                continue  # a turned picture has faces where there are none
            # The mouth is below the box's middle, along the head's own axis.
            offset = _turned((MOUTH_X - 0.5) * w, (MOUTH_Y - 0.5) * w, askew or 0.0)
            point = _turned(x + w / 2 + offset[0] - middle[0], y + w / 2 + offset[1] - middle[1], turned)
            places.append(
                Place(
                    (point[0] + middle[0]) * scale,
                    (point[1] + middle[1]) * scale,
                    MOUTH_SIDE * w * scale,
                    turned + (askew or 0.0),
                )
            )
        return places

    def _askew(self, picture: Picture, x: float, y: float, w: float) -> float | None:
        """By how many radians the eyes in the box of a face lie askew; None where two are not to be seen."""
        left, top = round(x), round(y)
        part = picture[top : top + round(0.6 * w), left : left + round(w)]
        least, most = round(0.12 * w), round(0.4 * w)
        eyes = self._eyes.detectMultiScale(part, 1.1, 3, minSize=(least, least), maxSize=(most, most))
        middles = [(float(ex + ew / 2), float(ey + eh / 2)) for ex, ey, ew, eh in eyes]
        lefts = [eye for eye in middles if eye[0] < 0.5 * w]
        rights = [eye for eye in middles if eye[0] >= 0.5 * w]
        if len(lefts) != 1 or len(rights) != 1:
            return None
        (lx, ly), (rx, ry) = lefts[0], rights[0]
        angle = math.atan2(ry - ly, rx - lx)
        if abs(angle) > STEEPEST or rx - lx < 0.25 * w:
            return None
        return math.copysign(max(0.0, abs(angle) - LEVEL), angle)


class YuNet:
    """Faces at any tilt, by the network in the ONNX file at ``path``.

    DataError when the file is none that OpenCV takes for YuNet.
    """

    def __init__(self, path: Path) -> None:
        hint = f"Remove {path.name}, or download face_detection_yunet_2023mar.onnx again."
        try:
            with open_plain(path) as file:
                content = file.read(LARGEST_FILE + 1)
        except (AdapterError, OSError) as error:
            raise DataError(f"{path.name} cannot be read.", hint, str(error)) from error
        if len(content) > LARGEST_FILE:
            raise DataError(f"{path.name} is too large for YuNet, which has 231 kB.", hint)
        try:
            # From memory, so that what was read is what is used.
            self._net = cv2.FaceDetectorYN.create(
                "onnx",
                numpy.frombuffer(content, numpy.uint8),
                numpy.zeros(0, numpy.uint8),
                (WIDTH, WIDTH),
                SURE,
            )
            self.find(numpy.zeros((WIDTH, WIDTH), numpy.uint8))
        except cv2.error as error:
            raise DataError(f"{path.name} is not YuNet.", hint, str(error)) from error

    def find(self, grey: Picture, angle: float = 0.0, attempt: int = 0) -> list[Place]:
        scale = grey.shape[1] / min(WIDTH, grey.shape[1])
        small = _shrunk(grey, scale)
        self._net.setInputSize(small.shape[::-1])
        _, rows = self._net.detect(cv2.cvtColor(small, cv2.COLOR_GRAY2BGR))
        found = [] if rows is None else [row[4:14].reshape(5, 2).astype(float) for row in rows]
        return [laid_on(points * scale) for points in found]


def laid_on(points: NDArray[numpy.float64]) -> Place:
    """Where the mouth is to be cut out to be seen as AV-HuBERT was trained to: as the similarity has it that
    brings a face's ``points`` [5, 2] closest to the reference (Umeyama 1991). They are the left and right eye
    as the picture shows them, the nose, and the left and right corner of the mouth."""
    mouth = points[3:].mean(0)
    ours = numpy.array([*points[:3], mouth]) @ (1, 1j)
    theirs = numpy.array(REFERENCE) @ (1, 1j)
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    similarity = complex((theirs.conj() * ours).sum() / (abs(theirs) ** 2).sum())
    return Place(
        float(mouth[0]), float(mouth[1]), SIDE * abs(similarity), math.atan2(similarity.imag, similarity.real)
    )


def _shrunk(grey: Picture, scale: float) -> Picture:
    size = (round(grey.shape[1] / scale), round(grey.shape[0] / scale))
    return numpy.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), numpy.uint8)


def _turned(x: float, y: float, angle: float) -> tuple[float, float]:
    """Clockwise as a picture shows it, whose y grows downwards."""
    return x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
