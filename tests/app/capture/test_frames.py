"""Messages on a pipe, whole or in pieces."""

import msgspec
import pytest

from app.capture.frames import CommandFrames, ReportFrames, frame
from app.capture.messages import CloseDevices, Light, OpenDevices, Play, Preview, Recorded, SetPlace
from engine.messages import MouthPlace


def test_messages_survive_any_cut() -> None:
    told = [
        OpenDevices(camera="file:a b.mkv", microphone="ALSA:pulse"),
        SetPlace(place=MouthPlace(x=0.5, y=0.6, side=0.2)),
        Play(path="x.mkv", start=1.5),
        CloseDevices(),
    ]
    data = b"".join(map(frame, told))
    for step in (1, 3, 7, len(data)):
        frames = CommandFrames()
        pieces = [data[at : at + step] for at in range(0, len(data), step)]
        assert [message for piece in pieces for message in frames.feed(piece)] == told


def test_reports_carry_their_light_and_their_pictures() -> None:
    told = [
        Preview(picture=bytes(40_000), width=480, height=360, time=1.0, light=Light(camera=True)),
        Recorded(path="x.mkv", seconds=1.0, frames=30, gaps=0, peak_dbfs=-12.0, notes=["So."]),
    ]
    assert list(ReportFrames().feed(b"".join(map(frame, told)))) == told


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xffgarbage", b"\x00\x00\x00\x02{}", frame(CloseDevices())])
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        list(ReportFrames().feed(data))
