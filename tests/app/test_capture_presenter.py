"""Camera and microphone as the page has them: over a scripted process, and over real pipes to a peer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings

from app.capture.messages import (
    CloseDevices,
    Level,
    Light,
    LookForDevices,
    OpenDevices,
    Recorded,
    Recording,
    Segment,
    SetOffset,
    SetPlace,
    StartCaptions,
    StartRecording,
    StopCaptions,
    StopRecording,
    Trouble,
)
from app.presenters.capture import Capture
from app.presenters.capture_process import CaptureProcess
from engine.messages import Error, MouthPlace
from tests.app.scripted_capture import CAMERA, OTHER_CAMERA, ScriptedProcess

PEER = Path(__file__).with_name("capture_peer.py")


@pytest.fixture
def settings(tmp_path) -> QSettings:
    return QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)


@pytest.fixture
def process(qapp) -> ScriptedProcess:
    return ScriptedProcess()


@pytest.fixture
def capture(process, settings, tmp_path) -> Capture:
    return watched(Capture(settings, process=process), tmp_path)


def watched(capture: Capture, folder: Path) -> Capture:
    capture.keep_in(str(folder / "clips"))
    (folder / "clips").mkdir(exist_ok=True)
    capture.notices, capture.made = [], []
    capture.noticed.connect(capture.notices.append)
    capture.recorded.connect(capture.made.append)
    return capture


def test_nothing_is_opened_unless_somebody_wants_it(capture, process):
    capture.look()
    process.plug()
    assert (capture.state.camera, capture.state.microphone) == ("cam0", "mic0"), "chosen by itself"
    assert process.of(OpenDevices) == [] and not capture.state.open


def test_devices_open_and_shut_and_the_light_is_what_the_process_says(capture, process):
    process.plug()
    capture.open()
    assert process.of(OpenDevices) == [OpenDevices(camera="cam0", microphone="mic0")]
    assert capture.state.opening and not capture.state.open, "asked for is not open yet"
    process.opened()
    assert capture.state.open and not capture.state.opening
    capture.close()
    assert process.of(CloseDevices) and capture.state.open, "the light is on until they are shut in truth"
    process.opened("", "")
    assert not capture.state.open


def test_devices_wanted_before_they_are_known_are_opened_then(capture, process):
    capture.open()
    assert process.of(LookForDevices) and process.of(OpenDevices) == []
    process.plug()
    assert process.of(OpenDevices) == [OpenDevices(camera="cam0", microphone="mic0")]


def test_a_recording_opens_the_devices_first(capture, process):
    process.plug()
    capture.record()
    assert process.of(StartRecording) == []
    process.opened()
    (start,) = process.of(StartRecording)
    assert Path(start.path).parent.name == "clips" and start.path.endswith(".mkv")
    process.light = Light(camera=True, microphone=True, recording=True)
    process.report(Recording, path=start.path, seconds=2.25, frames=56, gaps=1, bytes=9)
    assert (capture.state.recording, capture.state.seconds, capture.state.gaps) == (True, 2.25, 1)
    capture.record()
    assert len(process.of(StartRecording)) == 1, "one at a time"
    capture.stop()
    assert len(process.of(StopRecording)) == 1
    process.light = Light(camera=True, microphone=True)
    process.report(Recorded, path=start.path, seconds=3.0, frames=75, gaps=0, peak_dbfs=-9.0)
    assert (capture.made, capture.state.recording, capture.state.open) == ([start.path], False, True)


def test_a_recording_waits_for_a_camera_that_takes_its_time(capture, process):
    process.plug()
    capture.open()
    process.light = Light(camera=True, microphone=True)
    process.report(Level, rms=-40.0, peak=-30.0)
    capture.record()
    assert capture.state.open and process.of(StartRecording) == [], "the light is on, the camera not ready"
    process.opened()
    assert len(process.of(StartRecording)) == 1


def test_a_key_let_go_before_the_devices_opened_records_nothing(capture, process):
    process.plug()
    capture.record()
    capture.stop()
    process.opened()
    assert process.of(StartRecording) == [] and process.of(StopRecording) == []


def test_two_recordings_within_a_second_are_two_files(capture, process):
    process.plug()
    process.opened()
    for _ in range(2):
        capture.record()
        path = process.of(StartRecording)[-1].path
        Path(path).write_bytes(b"x")
        process.report(Recorded, path=path, seconds=0.2, frames=5, gaps=0, peak_dbfs=-9.0)
    assert len(set(capture.made)) == 2


def test_another_camera_is_opened_at_once_if_one_is_open(capture, process, settings, tmp_path):
    process.plug(cameras=(CAMERA, OTHER_CAMERA))
    capture.choose_camera("cam1")
    assert process.of(OpenDevices) == [], "shut devices stay shut"
    capture.open()
    process.opened("cam1")
    capture.choose_microphone("")
    assert process.of(OpenDevices)[-1] == OpenDevices(camera="cam1", microphone="")
    capture.choose_camera("")
    assert len(process.of(CloseDevices)) == 1, "none at all is shut"
    again = watched(Capture(settings, process=process), tmp_path)
    process.plug(cameras=(CAMERA, OTHER_CAMERA))
    assert (again.state.camera, again.state.microphone) == ("", ""), "none stays none"


def test_a_preferred_camera_that_is_not_plugged_in_is_waited_for(capture, process):
    process.plug(cameras=(CAMERA, OTHER_CAMERA))
    capture.choose_camera("cam1")
    process.plug(cameras=(CAMERA,))
    assert capture.state.camera == "cam0"
    process.plug(cameras=(CAMERA, OTHER_CAMERA))
    assert capture.state.camera == "cam1"


def test_a_video_file_can_stand_for_the_camera(capture, process, tmp_path):
    process.plug()
    file = tmp_path / "me.mp4"
    file.write_bytes(b"x")
    capture.choose_camera(f"file:{file}")
    process.plug()
    assert [camera.name for camera in capture.state.cameras] == ["Built-in camera", "me.mp4"]
    assert capture.state.camera == f"file:{file}"
    file.unlink()
    process.plug()
    assert (capture.state.camera, len(capture.state.cameras)) == ("cam0", 1)


def test_without_any_device_there_is_a_sentence(capture, process):
    process.plug(cameras=(), problem="PortAudio is missing.")
    assert capture.state.trouble("microphone").message == "PortAudio is missing."
    capture.record()
    assert capture.notices[-1].message == "There is neither a camera nor a microphone to open."
    assert not capture.state.opening and process.of(OpenDevices) == []
    process.plug()
    assert capture.state.trouble("microphone") is None, "and it is taken back"


def test_what_cannot_be_opened_says_so_until_it_is_tried_again(capture, process):
    process.plug()
    capture.open()
    refused = Error(code="refused", message="The camera may not be used.", hint="Allow it.")
    process.report(Trouble, about="camera", error=refused)
    process.opened("", "mic0")
    assert capture.state.trouble("camera") == refused and capture.state.open
    capture.open()
    assert capture.state.troubles == ()


def test_a_full_disk_ends_the_recording_with_a_sentence(capture, process):
    process.plug()
    process.opened()
    capture.record()
    full = Error(code="disk", message="The disk is full.", hint="Free some space.")
    process.report(Trouble, about="recording", error=full)
    assert capture.notices[-1].message == "The disk is full."
    capture.record()
    assert len(process.of(StartRecording)) == 2, "it can be tried again"


def test_the_offset_is_kept_bounded_and_told(capture, process, settings, tmp_path):
    capture.set_offset(900)
    assert capture.state.offset == 300 and process.of(SetOffset)[-1].milliseconds == 300
    again = Capture(settings, process=process)
    assert again.state.offset == 300
    process.plug()
    again.open()
    assert process.of(SetOffset)[-1].milliseconds == 300, "a process that starts later hears of it too"


def test_a_clap_in_the_recording_tells_what_the_offset_should_be(capture, process):
    process.report(Recorded, path="a.mkv", seconds=1.0, frames=9, gaps=0, peak_dbfs=-9.0)
    assert capture.state.measured is None
    process.report(
        Recorded,
        path="a.mkv",
        seconds=1.0,
        frames=9,
        gaps=0,
        peak_dbfs=-9.0,
        offset_ms=42.0,
        measured=True,
        notes=["The camera stood still."],
    )
    assert capture.state.measured == 42.0
    assert capture.notices[-1].message == "The camera stood still."


def test_a_mouth_by_hand_is_told_and_belongs_to_one_camera(capture, process):
    process.plug(cameras=(CAMERA, OTHER_CAMERA))
    place = MouthPlace(x=0.5, y=0.4, side=0.2)
    capture.set_place(place)
    assert (capture.state.place, process.of(SetPlace)[-1].place) == (place, place)
    process.opened()
    assert [told.place for told in process.of(SetPlace)] == [place, place], "and to a camera opened later"
    capture.choose_camera("cam1")
    assert (capture.state.place, process.of(SetPlace)[-1].place) == (None, None)


def test_live_captions_open_the_devices_and_pass_on_what_was_said(capture, process):
    process.plug()
    heard = []
    capture.segment.connect(lambda *segment: heard.append(segment))
    capture.listen(live=True)
    process.opened()
    (start,) = process.of(StartCaptions)
    assert Path(start.folder).parent.name == "tmp"
    process.report(Segment, path="s.mkv", start=1.0, end=2.5)
    assert heard == [("s.mkv", 1.0, 2.5)]
    capture.listen(live=False)
    assert len(process.of(StopCaptions)) == 1 and not capture.state.live


def test_levels_are_passed_on_and_change_no_state(capture, process):
    levels, changes = [], []
    capture.levelled.connect(levels.append)
    capture.changed.connect(lambda: changes.append(1))
    process.report(Level, rms=-30.0, peak=-12.0, clipped=True)
    assert (levels[0].peak, changes) == (-12.0, [])


def test_leaving_the_page_shuts_everything(capture, process):
    process.plug()
    process.opened()
    capture.listen(live=True)
    capture.leave()
    assert process.ends == 1 and not capture.state.open and not capture.state.live


def test_a_process_that_dies_takes_nothing_with_it(capture, process, tmp_path):
    process.plug()
    process.opened()
    capture.record()
    path = process.of(StartRecording)[-1].path
    Path(path).write_bytes(b"half")
    process.die()
    assert not capture.state.open and capture.state.trouble("process").detail == "core"
    assert capture.made == [path] and "cut off" in capture.notices[-1].message
    capture.open()
    assert capture.state.troubles == () and process.of(LookForDevices), "it can be started again"


def test_a_loudspeaker_that_is_missing_is_told_at_the_player_and_by_no_banner(capture, process):
    told = []
    capture.announced.connect(told.append)
    for code in ("missing", "data"):
        process.report(
            Trouble, about="loudspeaker", error=Error(code=code, message=f"It is {code}.", hint="")
        )
    assert told == ["It is missing."] and [notice.message for notice in capture.notices] == ["It is data."]


# over real pipes


@pytest.fixture
def over_pipes(qapp, settings, tmp_path, qtbot):
    begun = []

    def begin(mood: str) -> Capture:
        process = CaptureProcess((sys.executable, str(PEER), mood))
        begun.append(process)
        return watched(Capture(settings, process=process), tmp_path)

    yield begin
    for process in begun:
        process.end()
        qtbot.waitUntil(lambda process=process: process.pid == 0)


def test_a_recording_over_pipes_is_kept_when_the_page_is_left(over_pipes, qtbot):
    capture = over_pipes("well")
    capture.record()
    qtbot.waitUntil(lambda: capture.state.recording)
    capture.leave()
    assert capture.state.open, "the light is on as long as anything is open"
    qtbot.waitUntil(lambda: bool(capture.made))
    qtbot.waitUntil(lambda: not capture.state.open)
    assert Path(capture.made[0]).read_bytes() == b"whole"
    capture.look()
    qtbot.waitUntil(lambda: capture.process.pid != 0 and capture.state.known)
    assert capture.state.troubles == (), "an end that was asked for is no trouble"


def test_a_crash_is_told_with_its_last_words_and_another_one_is_started(over_pipes, qtbot):
    capture = over_pipes("crash")
    capture.record()
    qtbot.waitUntil(lambda: capture.state.trouble("process") is not None)
    assert capture.state.trouble("process").detail.endswith("the camera bit me")
    assert len(capture.made) == 1 and not capture.state.open
    capture.open()
    qtbot.waitUntil(lambda: capture.state.open)


def test_an_interpreter_that_ends_without_its_window_lets_the_process_finish():
    script = (
        "from PySide6.QtCore import QCoreApplication\n"
        "from app.capture.messages import LookForDevices\n"
        "from app.presenters.capture_process import CaptureProcess\n"
        "app = QCoreApplication([])\n"
        f"process = CaptureProcess({(sys.executable, str(PEER), 'well')!r})\n"
        "process.send(LookForDevices())\n"
        "process._process.waitForStarted()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_process_that_does_not_go_is_ended_and_the_next_one_does_what_waited(over_pipes, qtbot):
    capture = over_pipes("deaf")
    capture.look()
    qtbot.waitUntil(lambda: capture.state.known)
    first = capture.process.pid
    capture.process._patience.setInterval(80)
    capture.leave()
    capture.open()
    qtbot.waitUntil(lambda: capture.state.open)
    assert capture.process.pid not in (0, first) and capture.state.troubles == ()


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("babble", "What the camera process said cannot be understood."),
        ("other", "The camera process is of another version than this window."),
    ],
)
def test_a_process_that_cannot_be_understood_is_ended(over_pipes, qtbot, mood, words):
    capture = over_pipes(mood)
    capture.look()
    qtbot.waitUntil(lambda: capture.state.trouble("process") is not None)
    assert capture.state.trouble("process").message == words


def test_a_process_that_is_not_there_says_so(settings, tmp_path, qapp, qtbot):
    capture = watched(Capture(settings, process=CaptureProcess((str(tmp_path / "none"),))), tmp_path)
    capture.look()
    qtbot.waitUntil(lambda: capture.state.trouble("process") is not None)
    assert capture.state.trouble("process").message == "The process for camera and microphone does not start."
