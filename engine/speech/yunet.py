"""YuNet (Wu and others 2023), where a person has added its file: eyes, nose and mouth of faces at any tilt.

Its 231 kB (face_detection_yunet_2023mar.onnx, MIT) belong into the studio's folder as speech/yunet.onnx, or
where ADAPTER_STUDIO_YUNET says. A stranger's network is first opened in a jail, once in a process's life.
"""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path

import cv2
import numpy
import platformdirs
from numpy.typing import NDArray

from engine.formats import jail
from engine.formats.errors import DataError, StudioError
from engine.formats.plain import open_plain
from engine.speech.faces import WIDTH, Cascades, Finder, Place, shrunk
from engine.speech.media import Picture
from engine.speech.shape import SIDE

__all__ = ["YuNet", "added_yunet", "best_finder", "in_jail", "laid_on"]

REFERENCE = ((102.07, 94.27), (156.36, 93.58), (129.00, 135.90), (129.31, 157.82))
"""Left and right eye of the picture, nose and mouth in AV-HuBERT's aligned pictures, of which 96 pixels are
cut around the mouth."""
LARGEST = 4 << 20
SURE = 0.7
"""The score from which something is a face."""
SECONDS, MEMORY = 20.0, 512 << 20
_HINT = "Remove it, or put face_detection_yunet_2023mar.onnx in its place."


class YuNet:
    """The network in ``content``, an ONNX file. cv2.error when it is none that OpenCV takes for YuNet."""

    def __init__(self, content: bytes) -> None:
        model, nothing = numpy.frombuffer(content, numpy.uint8), numpy.zeros(0, numpy.uint8)
        self._net = cv2.FaceDetectorYN.create("onnx", model, nothing, (WIDTH, WIDTH), SURE)

    def find(self, grey: Picture, angle: float = 0.0, attempt: int = 0) -> list[Place]:
        """The mouths of all faces in a picture [H, W], whatever their tilt."""
        scale = grey.shape[1] / min(WIDTH, grey.shape[1])
        small = shrunk(grey, scale)
        self._net.setInputSize(small.shape[::-1])
        _, rows = self._net.detect(cv2.cvtColor(small, cv2.COLOR_GRAY2BGR))
        points = [] if rows is None else [row[4:14].reshape(5, 2).astype(float) for row in rows]
        return [laid_on(five * scale) for five in points]


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


def best_finder() -> tuple[Finder, str]:
    """YuNet where it was added, else the cascades; and a sentence where what was added cannot be used."""
    path = added_yunet()
    if path is None:
        return Cascades(), ""
    try:
        state = path.stat()
        return YuNet(_checked(path, state.st_mtime_ns, state.st_size)), ""
    except (StudioError, OSError, cv2.error) as error:
        why = error.message if isinstance(error, StudioError) else f"{path.name} is not YuNet."
        return Cascades(), f"Faces are searched without YuNet: {why} {_HINT}"


def added_yunet() -> Path | None:
    """Where a person has put YuNet; None: nowhere."""
    named = os.environ.get("ADAPTER_STUDIO_YUNET")
    if named:
        return Path(named).expanduser()
    home = os.environ.get("ADAPTER_STUDIO_HOME")
    folder = Path(home) if home else platformdirs.user_data_path("adapter-studio", appauthor=False)
    path = folder / "speech" / "yunet.onnx"
    return path if path.exists() else None


@functools.lru_cache(maxsize=2)
def _checked(path: Path, changed: int, size: int) -> bytes:
    """The file's bytes, once they were used without harm. StudioError when they cannot be."""
    with open_plain(path) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise DataError(f"{path.name} is too large for YuNet, which has 231 kB.", _HINT)
    jail.run("engine.speech.yunet", content, seconds=SECONDS, memory=MEMORY)
    return content


def in_jail(work: bytes) -> bytes:
    """The jail's part: the network is opened, and asked about an empty picture."""
    try:
        YuNet(work).find(numpy.zeros((240, WIDTH), numpy.uint8))
    except cv2.error as error:
        raise DataError("the file is not YuNet.", _HINT, str(error)) from error
    return b""
