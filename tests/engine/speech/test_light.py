"""The preview says what stands in the way of reading lips, and nothing where nothing does."""

from __future__ import annotations

import math
import time

import cv2
import numpy
import pytest

from engine.speech.light import warning
from engine.speech.mouth import Place, Tracker
from tests.engine.speech.drawn import head

FACE = head(320, 240, 90)[0]


def seen(picture):
    return warning(picture, Tracker().see(picture))


def behind_light():
    y, x = numpy.mgrid[:480, :640]
    face = ((x - 320) / 95) ** 2 + ((y - 230) / 125) ** 2 < 1
    return numpy.where(face, FACE * 0.35, 240).astype(numpy.uint8)


@pytest.mark.parametrize("radius", [45, 60, 90, 130])
def test_a_face_in_good_light_needs_no_words(radius):
    assert seen(head(320, 240, radius)[0]) == ""


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        ((FACE * 0.2).astype(numpy.uint8), "dark"),
        (behind_light(), "from behind"),
        (numpy.minimum(FACE + 90.0, 255).astype(numpy.uint8), "too bright"),
        (cv2.GaussianBlur(FACE, (0, 0), 4), "blurred"),
        (head(330, 420, 90)[0], "edge"),
        (head(320, 240, 25)[0], "small"),
        (numpy.full((480, 640), 7, numpy.uint8), "covered"),
        (numpy.tile(numpy.linspace(0, 60, 640).astype(numpy.uint8), (480, 1)), "dark, and no face"),
        (numpy.tile(numpy.linspace(90, 200, 640).astype(numpy.uint8), (480, 1)), "look straight into"),
    ],
)
def test_what_is_in_the_way_is_said(picture, words):
    place = Place(320, 254, 30) if words == "small" else Tracker().see(picture)
    assert words in warning(picture, place)


def test_a_tilted_head_is_told():
    assert "tilted" in warning(FACE, Place(320, 294, 110, math.radians(40)))


@pytest.mark.alone
def test_it_costs_less_than_a_millisecond():
    cv2.setNumThreads(1)
    place = Place(320, 294, 110)
    costs = []
    for _ in range(20):
        began = time.process_time()
        warning(FACE, place)
        costs.append(time.process_time() - began)
    assert sorted(costs)[2] < 1e-3, costs
