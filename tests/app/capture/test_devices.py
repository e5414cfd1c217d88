"""Which devices there are, and which one a person means."""

import sys
from pathlib import Path

import pytest

from app.capture.devices import cameras, chosen
from app.capture.messages import Device
from app.capture.portaudio import PortAudio
from engine.formats.errors import StudioError
from tests.app.capture.fake_sound import FakeSound

LIST = [Device(id="a", name="Built-in"), Device(id="b", name="USB camera", default=True)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists its cameras as files")
def test_cameras_are_the_first_nodes_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number, index, name in ((10, 0, "Capture card"), (2, 0, "Webcam"), (3, 1, "Webcam")):
        (tmp_path / f"video{number}").mkdir()
        (tmp_path / f"video{number}" / "index").write_text(f"{index}\n")
        (tmp_path / f"video{number}" / "name").write_text(f"{name}\n")
    (tmp_path / "video4").mkdir()  # gone while we look
    assert cameras(tmp_path) == [
        Device(id="/dev/video2", name="Webcam", default=True),
        Device(id="/dev/video10", name="Capture card"),
    ]
    assert cameras(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("wanted", "id"), [("", "b"), ("0", "a"), ("a", "a"), ("USB camera", "b"), ("usb", "b"), ("Built", "a")]
)
def test_a_device_is_meant_by_id_name_part_or_number(wanted: str, id: str) -> None:
    device = chosen(LIST, wanted)
    assert device is not None and device.id == id


def test_what_is_not_there_is_not_chosen() -> None:
    assert chosen(LIST, "headset") is None and chosen(LIST, "7") is None and chosen([], "") is None


def test_sound_devices_keep_their_ids_and_alike_ones_are_numbered(sound: FakeSound) -> None:
    sound.inputs = ["Headset", "Headset", "Desk"]
    portaudio = PortAudio()
    assert [device.id for device in portaudio.devices("input")] == [
        "ALSA:Headset",
        "ALSA:Headset #2",
        "ALSA:Desk",
    ]
    assert portaudio.index("ALSA:Headset #2", "input") == 1 and portaudio.index("", "input") == 0
    with pytest.raises(StudioError, match="“Gone” is not there any more"):
        portaudio.index("ALSA:Gone", "input")
    sound.inputs = []
    with pytest.raises(StudioError, match="There is no microphone"):
        portaudio.index("", "input")


def test_portaudio_looks_again_but_never_while_a_stream_is_open(sound: FakeSound) -> None:
    portaudio = PortAudio()
    portaudio.look_again()
    assert sound.looks == 1
    portaudio.streams = 1
    portaudio.look_again()
    assert sound.looks == 1


def test_a_missing_portaudio_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(StudioError, match="PortAudio is not installed") as caught:
        PortAudio().devices("input")
    assert caught.value.code == "missing" and "libportaudio2" in caught.value.hint
