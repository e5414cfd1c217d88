"""A drawn mouth: what its lips do for each sound, how they glide from one to the next, and how it looks.

Several sounds look alike (p, b and m are one shape), lips lag behind the voice and hardly move in some faces:
that, and a camera's noise, is why lips alone are not enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy
from numpy.typing import NDArray

from engine.speech.shape import FPS, SIDE
from engine.starter.speech.voice import Timed

__all__ = ["Face", "Lips", "draw_mouth", "lips_over_time", "shapes"]

Picture = NDArray[numpy.uint8]
Lips = NDArray[numpy.float64]
"""Opening, width, teeth and tongue, each about 0 (closed, narrow, hidden) to 1."""
REST = (0.06, 0.5, 0.0, 0.0)
SHAPES: dict[str, tuple[float, float, float, float]] = {
    "closed": (0.0, 0.48, 0.0, 0.0),
    "bitten": (0.12, 0.52, 0.9, 0.0),
    "tongue": (0.25, 0.52, 0.5, 0.9),
    "ridge": (0.22, 0.58, 0.6, 0.3),
    "pouted": (0.28, 0.25, 0.6, 0.0),
    "back": (0.3, 0.5, 0.2, 0.1),
    "round": (0.2, 0.12, 0.0, 0.0),
    "spread": (0.25, 0.95, 0.6, 0.1),
    "middle": (0.55, 0.68, 0.4, 0.2),
    "neutral": (0.38, 0.5, 0.2, 0.1),
    "wide": (0.95, 0.6, 0.3, 0.3),
    "oval": (0.65, 0.28, 0.1, 0.1),
}
LOOKS = {
    "closed": "p b m", "bitten": "f v", "tongue": "T D", "ridge": "t d n s z l t# t[",
    "pouted": "S Z tS dZ r r-",
    "back": "k g N h j ;", "round": "w w# u u: U o@ o: O@", "spread": "i i: I I2 i@", "middle": "e E eI e@",
    "neutral": "@ 3 3: V V2 @2 a# @L", "wide": "a aa A A: A@ aI aI2 aU", "oval": "0 O O: oU Q",
}  # fmt: skip
_LOOK = {name: look for look, names in LOOKS.items() for name in names.split()}
GLIDES = {"eI": "spread", "aI": "spread", "aI2": "spread", "aU": "round", "oU": "round", "i@": "neutral"}
"""What a diphthong ends with."""
STEPS = 200
"""Of the lips' movement, a second; then every eighth is a picture."""


@dataclass(frozen=True)
class Face:
    """How a mouth looks and moves. Greys are 0 to 255, sizes in pixels, ``reach`` the share of a movement
    that is made, ``inertia`` the seconds over which it is spread, ``lag`` those by which it comes after the
    voice."""

    skin: float
    lip: float
    inside: float
    width: float
    height: float
    thickness: float
    slope: float
    light: float
    stubble: float
    x: float
    y: float
    tilt: float
    reach: float
    inertia: float
    lag: float
    grain: float
    blur: float

    @staticmethod
    def draw(rng: numpy.random.Generator) -> Face:
        """One of many faces."""
        skin = rng.uniform(110, 210)
        zoom = rng.uniform(0.88, 1.15)
        return Face(
            skin=skin,
            lip=skin - rng.uniform(12, 55),
            inside=rng.uniform(15, 50),
            width=rng.uniform(20, 27) * zoom,
            height=rng.uniform(11, 17) * zoom,
            thickness=rng.uniform(3, 7) * zoom,
            slope=rng.uniform(-0.35, 0.35),
            light=rng.uniform(-0.25, 0.25),
            stubble=rng.uniform(0, 9),
            x=rng.uniform(-5, 5),
            y=rng.uniform(-6, 6),
            tilt=rng.uniform(-8, 8),
            reach=rng.uniform(0.32, 0.8),
            inertia=rng.uniform(0.025, 0.045),
            lag=rng.uniform(-0.03, 0.04),
            grain=rng.uniform(4, 13),
            blur=rng.uniform(0.8, 2.2),
        )


def shapes(phoneme: str) -> tuple[str, ...]:
    """The shapes of a sound as espeak-ng writes it, one or two; none for a pause or a mark."""
    look = _LOOK.get(phoneme)
    if look is None:
        return ()
    return (look, GLIDES[phoneme]) if phoneme in GLIDES else (look,)


def lips_over_time(phonemes: Sequence[Timed], frames: int, face: Face, rng: numpy.random.Generator) -> Lips:
    """[frames, 4] at 25 a second: the shape of each sound in turn, gliding, as far as the face moves."""
    steps = frames * STEPS // FPS
    path = numpy.tile(numpy.array(REST), (steps, 1))
    ends = [*(sound.start for sound in phonemes[1:]), steps / STEPS]
    for sound, end in zip(phonemes, ends, strict=True):
        parts = shapes(sound.name)
        edges = numpy.linspace(sound.start + face.lag, end + face.lag, len(parts) + 1) * STEPS
        for look, first, last in zip(parts, edges, edges[1:], strict=False):
            path[max(0, round(first)) : max(0, round(last))] = SHAPES[look]
    width = face.inertia * STEPS
    reach = int(4 * width)
    kernel = numpy.exp(-0.5 * (numpy.arange(-reach, reach + 1) / width) ** 2)
    kernel /= kernel.sum()
    padded = numpy.pad(path, ((reach, reach), (0, 0)), "edge")
    smooth = numpy.stack([numpy.convolve(column, kernel, "valid") for column in padded.T], 1)
    seen = smooth[STEPS // FPS // 2 :: STEPS // FPS][:frames]
    wander = rng.normal(0, 0.06, (len(seen), 4))
    moved: Lips = REST + (seen - REST) * face.reach + wander
    return moved.clip(0, 1.2)


def draw_mouth(face: Face, lips: Lips, rng: numpy.random.Generator) -> Picture:
    """Grey pictures [frames, 96, 96] of a mouth that is in the middle, more or less."""
    y, x = numpy.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    ground = face.skin * (1 + face.light * x + 0.1 * y) + rng.normal(0, 1, (SIDE, SIDE)) * face.stubble * (
        y > 0.2
    )
    sway = numpy.cumsum(rng.normal(0, 0.25, (len(lips), 2)), 0)
    sway -= sway.mean(0)
    pictures = numpy.empty((len(lips), SIDE, SIDE), numpy.uint8)
    noise = rng.normal(0, face.grain, (len(lips), SIDE, SIDE)).astype(numpy.float32)
    for number, (shape, (dx, dy)) in enumerate(zip(lips, sway, strict=True)):
        picture = ground.astype(numpy.float32)
        _mouth(picture, face, shape, SIDE / 2 + face.x + dx, SIDE / 2 + face.y + dy)
        picture = cv2.GaussianBlur(picture, (0, 0), face.blur) + noise[number]
        pictures[number] = picture.clip(0, 255).astype(numpy.uint8)
    return pictures


def _mouth(picture: NDArray[numpy.float32], face: Face, lips: Lips, x: float, y: float) -> None:
    opening, width, teeth, tongue = (float(value) for value in lips)
    half = face.width * (0.55 + 0.5 * width)
    gap = face.height * opening
    thick = face.thickness * (1.15 - 0.25 * width)

    def oval(dy: float, w: float, h: float, grey: float) -> None:
        middle = (round(x * 16), round((y + dy) * 16))
        size = (max(8, round(w * 16)), max(8, round(h * 16)))
        cv2.ellipse(picture, middle, size, face.tilt, 0, 360, grey, -1, cv2.LINE_AA, 4)

    oval(gap + thick * 1.8, half * 0.55, thick * 0.5, face.skin * 0.9)  # the shadow below
    oval(0, half, gap + thick, face.lip)
    oval(0, half * 0.82, gap + 0.6, face.inside)
    if gap > 1:
        grey = face.inside + (225 - face.inside) * min(1.0, teeth)
        oval(-0.55 * gap, half * 0.6, 0.35 * gap, grey)
        grey = face.inside + (face.lip - face.inside) * min(1.0, tongue)
        oval(0.5 * gap, half * 0.5, 0.4 * gap, grey)
