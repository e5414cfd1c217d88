"""The red light and the meter: what they say, in colour and in words."""

from __future__ import annotations

import pytest

from widgets.record_button import RecordButton
from widgets.record_light import RecordLight
from widgets.sound_meter import SoundMeter
from widgets.theme import theme


@pytest.fixture
def light(qtbot, qapp):
    theme.start(qapp)
    light = RecordLight("light")
    qtbot.addWidget(light)
    light.resize(200, 24)
    yield light
    theme.reduce_motion(False)


@pytest.mark.parametrize(
    ("devices", "time", "words"),
    [
        ((), None, "Camera, microphone off"),
        (("camera",), None, "Camera on"),
        (("camera", "microphone"), None, "Camera, microphone on"),
        (("camera",), "0:07", "Recording 0:07"),
    ],
)
def test_it_says_in_words_what_it_shows(light, devices, time, words):
    light.show_light(devices, time)
    assert (light.words, light.accessibleName()) == (words, words)
    assert light.is_lit == bool(devices)


def test_red_means_that_something_is_open(qtbot, scheme, colours):
    light = RecordLight("light")
    qtbot.addWidget(light)
    light.resize(60, 24)
    assert theme.tokens.bad not in colours(light)
    light.show_light(("camera",), None)
    is_open = colours(light)[theme.tokens.bad]
    theme.reduce_motion(True)
    light.show_light(("camera",), "0:01")
    assert colours(light)[theme.tokens.bad] > is_open > 0
    theme.reduce_motion(False)


def test_it_pulses_only_while_recording_and_never_where_motion_is_reduced(light):
    light.show_light(("camera",), None)
    assert not light.is_pulsing
    light.show_light(("camera",), "0:01")
    assert light.is_pulsing
    theme.reduce_motion(True)
    assert not light.is_pulsing and light.is_lit
    theme.reduce_motion(False)
    assert light.is_pulsing
    light.show_light((), None)
    assert not light.is_pulsing


def test_the_meter_shows_loudness_and_keeps_a_clip_in_sight(qtbot):
    meter = SoundMeter("meter")
    qtbot.addWidget(meter)
    assert (meter.value(), meter.accessibleDescription()) == (-60, "off")
    meter.show_level(-20.0, -6.0)
    assert (meter.value(), meter.accessibleDescription()) == (-20, "-20 dB")
    meter.show_level(-3.0, 0.0, clipped=True)
    meter.show_level(-40.0, -30.0)
    assert meter.is_clipped and meter.accessibleDescription() == "-40 dB, too loud"
    meter.show_level(None)
    assert not meter.is_clipped and meter.accessibleDescription() == "off"
    meter.show_level(-200.0, -200.0)
    assert meter.value() == -60


def test_louder_is_longer(qtbot, scheme, colours):
    meter = SoundMeter("meter")
    qtbot.addWidget(meter)
    meter.resize(120, 28)
    lit = []
    for level in (-50.0, -30.0, -13.0):
        meter.show_level(level, level)
        lit.append(colours(meter).get(theme.tokens.good, 0))
    assert lit[0] < lit[1] < lit[2]


def test_the_button_offers_what_comes_next(qtbot):
    button = RecordButton("record")
    qtbot.addWidget(button)
    assert (button.text(), button.accessibleName()) == ("Record", "Record")
    button.show_recording(True)
    assert (button.text(), button.accessibleName()) == ("Stop", "Stop recording")
