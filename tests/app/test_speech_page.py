"""The record side of the speech page: booth, shelf, player, and the page that holds them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from app.capture.messages import (
    CloseDevices,
    Level,
    Light,
    LookForDevices,
    OpenDevices,
    Play,
    Played,
    Position,
    Preview,
    Recorded,
    Recording,
    Seek,
    SetPlace,
    Show,
    StartRecording,
    Still,
    StopPlaying,
    StopRecording,
    Trouble,
)
from app.models.clips import Role
from app.presenters import capture as capture_module
from app.presenters.talk import Talk
from engine.messages import ClipCard, Error, ExampleClip, ListSpeech, LookAtClip, MouthPlace, SpeechModels
from tests.app.scripted_capture import CAMERA, ScriptedProcess
from tests.app.test_names import check_names
from tests.pictures import picture

EXAMPLES = ("Bin blue at A two now", "Set white with P six soon", "Lay green by M nine again")
PEAKS = [0.1, 0.9, 0.4, 0.2] * 20


@pytest.fixture
def process(monkeypatch) -> ScriptedProcess:
    process = ScriptedProcess()
    monkeypatch.setattr(capture_module, "CaptureProcess", lambda parent: process)
    return process


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "home" / "clips"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def page(shell, client, process, folder, tmp_path, qtbot):
    examples = []
    for number, title in enumerate(EXAMPLES):
        (tmp_path / f"{number}.mkv").write_bytes(b"x")
        clip = ExampleClip(path=str(tmp_path / f"{number}.mkv"), title=title, text=title.lower())
        examples.append(clip)
    client.script |= {
        ListSpeech: SpeechModels(models=[], examples=examples, clips=str(folder)),
        LookAtClip: lambda request: card(request.clip, request.place),
    }
    page = shell.go("speech")
    process.plug()
    qtbot.waitUntil(lambda: bool(page.clips.state.clips))
    return page


def card(path: str, place: MouthPlace | None = None) -> ClipCard:
    return ClipCard(
        path=path,
        seconds=4.0,
        sound=True,
        pictures=True,
        face_found=True,
        frames=100,
        peaks=PEAKS,
        strip=picture(96 * 20, 96),
        side=96,
        every=0.2,
        place=place,
        speech=[(0.5, 1.5), (2.0, 3.0)],
        notes=["The camera stood still once."],
    )


def open_example(page, qtbot, number: int = 0) -> None:
    page.clips.choose(page.clips.state.clips[number].path)
    qtbot.waitUntil(lambda: page.clips.state.card is not None)


def opened(process, *, recording: bool = False) -> None:
    process.opened()
    if recording:
        process.light = Light(camera=True, microphone=True, recording=True)
        process.report(Recording, path="x", seconds=67.0, frames=9, gaps=0, bytes=9)


# the page


def test_a_first_visit_opens_no_device_and_offers_an_example(page, process, qtbot):
    assert process.of(LookForDevices) and process.of(OpenDevices) == []
    assert page.desk.empty.isVisible() and page.desk.empty.button.text() == "Open an example"
    assert page.booth.light.words == "Camera, microphone off" and not page.booth.light.is_lit
    page.desk.empty.button.click()
    assert page.clips.state.item.title == EXAMPLES[0]
    qtbot.waitUntil(lambda: page.desk.player.isVisible())
    assert QApplication.focusWidget() is page.shelf.list


def test_leaving_the_page_shuts_everything_and_coming_back_only_looks(page, shell, process):
    opened(process)
    shell.go("mixer")
    assert process.ends == 1 and not page.booth.light.is_lit
    looks = len(process.of(LookForDevices))
    shell.go("speech")
    assert len(process.of(LookForDevices)) == looks + 1 and process.of(OpenDevices) == []


def test_dropped_files_go_onto_the_shelf(page, tmp_path):
    files = [tmp_path / "a.mp4", tmp_path / "b.wav"]
    for file in files:
        file.write_bytes(b"x")
    carried = QMimeData()
    carried.setUrls([QUrl.fromLocalFile(str(file)) for file in files])
    enter = QDragEnterEvent(page.rect().center(), Qt.DropAction.CopyAction, carried, *NO_HANDS)
    enter.ignore()
    page.dragEnterEvent(enter)
    assert enter.isAccepted()
    page.dropEvent(QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, carried, *NO_HANDS))
    assert [clip.title for clip in page.clips.state.clips[:2]] == ["a.mp4", "b.wav"]
    assert page.clips.state.item.title == "a.mp4"
    words = QMimeData()
    words.setText("no file")
    enter = QDragEnterEvent(page.rect().center(), Qt.DropAction.CopyAction, words, *NO_HANDS)
    enter.ignore()
    page.dragEnterEvent(enter)
    assert not enter.isAccepted()


NO_HANDS = (Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)


def test_everything_that_can_be_touched_is_called_something(page, process, qtbot):
    open_example(page, qtbot)
    process.report(
        Recorded, path="x", seconds=1.0, frames=1, gaps=0, peak_dbfs=-9.0, offset_ms=40.0, measured=True
    )
    assert page.booth.devices._use.isVisible()
    check_names(page)


def test_the_keyboard_goes_through_the_parts_in_reading_order(page, shell, qtbot):
    open_example(page, qtbot)
    page.booth.record.setFocus()
    seen = []
    for _ in range(12):
        seen.append(QApplication.focusWidget().objectName())
        shell.step_region(1)
    assert seen[:2] == ["speech.record", "speech.shelf"]
    assert "speech.position" in seen and seen.index("speech.position") > 1


def test_undo_brings_back_what_was_taken_off(page, shell, tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"x")
    page.clips.add(str(file))
    page.shelf.remove_chosen()
    assert "a.mp4" not in [clip.title for clip in page.clips.state.clips]
    page.undo()
    assert page.clips.state.item.title == "a.mp4"


# recording


def test_the_light_is_lit_while_anything_is_open_and_red_while_recording(page, process):
    light = page.booth.light
    process.opened("", "mic0")
    assert light.is_lit and light.words == "Microphone on" and not light.is_pulsing
    opened(process, recording=True)
    assert light.words == "Recording 1:07" and light.is_pulsing
    process.opened("", "")
    assert not light.is_lit and not light.is_pulsing


def test_nothing_moves_where_motion_is_reduced(page, process, dressed):
    from widgets.theme import theme

    opened(process, recording=True)
    theme.reduce_motion(True)
    assert page.booth.light.is_lit and not page.booth.light.is_pulsing


def test_the_button_records_and_stops(page, process, qtbot):
    button = page.booth.record
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert process.of(OpenDevices) == [OpenDevices(camera="cam0", microphone="mic0")]
    opened(process, recording=True)
    assert len(process.of(StartRecording)) == 1
    assert (button.text(), button.accessibleName()) == ("Stop", "Stop recording")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert len(process.of(StopRecording)) == 1


def test_the_space_bar_records_wherever_nobody_writes(page, process, qtbot):
    for part in (page.shelf.list, page.booth.camera, page.booth.record):
        part.setFocus()
        qtbot.keyClick(part, Qt.Key.Key_Space)
        assert page.capture.records, part.objectName()
        page.capture.stop()
    assert process.of(StartRecording) == []


def test_what_was_recorded_lies_on_the_shelf_chosen(page, process, folder, qtbot):
    opened(process)
    page.capture.record()
    path = Path(process.of(StartRecording)[-1].path)
    path.write_bytes(b"clip")
    process.report(Recorded, path=str(path), seconds=3.0, frames=75, gaps=0, peak_dbfs=-9.0)
    assert page.clips.state.item.title == path.stem and path.parent == folder
    assert page.shelf.list.currentIndex().data(Role.PATH) == str(path)


def test_a_tap_lets_it_run_and_a_hold_ends_it(qapp):
    class Deck:
        records, deeds = False, ""

        def record(self):
            self.records, self.deeds = True, self.deeds + "r"

        def stop(self):
            self.records, self.deeds = False, self.deeds + "s"

    now, deck = [0.0], Deck()
    talk = Talk(deck, lambda: now[0])
    talk.press()
    now[0] = 0.2
    talk.release()
    assert deck.deeds == "r", "a tap"
    now[0] = 5.0
    talk.press()
    now[0] = 9.0
    talk.release()
    assert deck.deeds == "rs", "the second press ends it, its release does nothing"
    talk.press()
    now[0] = 12.0
    talk.release()
    assert deck.deeds == "rsrs", "a hold"


def test_the_switch_turns_devices_on_and_off(page, process):
    page.booth.switch.click()
    assert process.of(OpenDevices)
    process.opened()
    assert page.booth.switch.text() == "Turn off"
    page.booth.switch.click()
    assert process.of(CloseDevices)


def test_preview_mouth_level_and_warnings_are_shown_and_go_with_the_devices(page, process):
    booth = page.booth
    opened(process)
    place = MouthPlace(x=0.5, y=0.4, side=0.2)
    process.report(
        Preview,
        picture=picture(480, 360),
        width=480,
        height=360,
        time=1.0,
        place=place,
        mouth=picture(96, 96),
        warning="Turn towards the camera.",
    )
    process.report(Level, rms=-22.0, peak=-3.0, clipped=True, warning="Too loud.")
    assert booth.camera.has_picture and booth.camera.square == (0.5, 0.4, 0.2) and booth.mouth.has_mouth
    assert booth.meter.value() == -22 and booth.meter.is_clipped
    assert booth._warning.text() == "Turn towards the camera. Too loud."
    process.opened("", "")
    assert not booth.camera.has_picture and not booth.mouth.has_mouth and booth._warning.text() == ""
    process.report(Preview, picture=picture(480, 360), width=480, height=360, time=1.0)
    assert not booth.camera.has_picture, "a late picture of a camera that is shut is not shown"


def test_a_mouth_box_by_hand_reaches_the_process(page, process, qtbot):
    opened(process)
    process.report(Preview, picture=picture(480, 360), width=480, height=360, time=1.0)
    camera = page.booth.camera
    camera.setFocus()
    qtbot.keyClick(camera, Qt.Key.Key_Plus)
    assert process.of(SetPlace)[-1].place.side == pytest.approx(0.27)
    qtbot.keyClick(camera, Qt.Key.Key_Delete)
    assert process.of(SetPlace)[-1].place is None


def test_troubles_are_told_beside_the_meter_and_the_rest_goes_on(page, process, qtbot):
    process.plug(cameras=(), problem="PortAudio is missing.")
    assert "PortAudio is missing." in page.booth._warning.text()
    assert "No camera is plugged in" in page.booth.camera.accessibleDescription()
    open_example(page, qtbot)
    assert page.desk.player.isVisible()
    process.plug(cameras=(CAMERA,))
    process.report(
        Trouble, about="camera", error=Error(code="refused", message="Not allowed.", hint="Allow it.")
    )
    assert page.booth._warning.text() == "Not allowed. Allow it."


def test_a_crash_is_a_sentence_and_the_switch_starts_it_again(page, process):
    opened(process)
    process.die()
    assert page.booth._warning.text() == "Camera and microphone stopped working. Turn them on again."
    assert page.booth.switch.text() == "Start again" and not page.booth.light.is_lit
    page.booth.switch.click()
    process.plug()
    assert process.of(OpenDevices)


def test_devices_are_chosen_and_a_shut_camera_stays_shut(page, process):
    box = page.booth.devices.camera
    assert [box.itemText(row) for row in range(box.count())] == [
        "Built-in camera",
        "A video file...",
        "No camera",
    ]
    box.setCurrentIndex(2)
    box.activated.emit(2)
    assert page.capture.state.camera == "" and process.of(OpenDevices) == []


def test_the_measured_offset_can_be_taken_over(page, process):
    devices = page.booth.devices
    devices.offset.setValue(20)
    assert page.capture.state.offset == 20 and devices._milliseconds.text() == "+20 ms"
    process.report(
        Recorded, path="x", seconds=1.0, frames=1, gaps=0, peak_dbfs=-9.0, offset_ms=-42.0, measured=True
    )
    assert devices._use.text() == "The clap says -42 ms: use it"
    devices._use.click()
    assert page.capture.state.offset == -22 and not devices._use.isVisible()


# playing


def test_a_clip_is_shown_played_paused_and_wound(page, process, qtbot):
    open_example(page, qtbot)
    player, path = page.desk.player, page.clips.state.current
    assert player.wave.seconds == 4.0 and player.strip.count == 20
    assert player._notes.text() == "The camera stood still once."
    player.button.click()
    qtbot.waitUntil(lambda: bool(process.of(Play)))
    assert process.of(Play)[-1] == Play(path=path, sound="", start=0.0, end=None)
    process.report(Position, path=path, seconds=1.25)
    assert player.wave.value() == 1250 and player._time.text() == "1.2 of 4.0 s"
    qtbot.keyClick(player.wave, Qt.Key.Key_PageDown)
    assert process.of(Seek)[-1].seconds == pytest.approx(3.25)
    process.report(Position, path=path, seconds=3.25, silent=True)
    assert player._notes.text().startswith("There is no loudspeaker")
    player.button.click()
    assert process.of(StopPlaying) and not page.playback.state.playing
    process.report(Position, path=path, seconds=3.4)
    assert page.playback.state.seconds == pytest.approx(3.25), "a late report moves nothing"
    player.wave.sought.emit(0.5)
    assert page.playback.state.seconds == 0.5 and len(process.of(Seek)) == 1


def test_at_its_end_a_clip_begins_anew(page, process, qtbot):
    open_example(page, qtbot)
    path = page.clips.state.current
    page.playback.play()
    qtbot.waitUntil(lambda: bool(process.of(Play)))
    process.report(Position, path=path, seconds=3.99)
    process.report(Played, path=path, seconds=4.0)
    assert not page.playback.state.playing and page.playback.state.seconds == 4.0
    page.playback.toggle()
    qtbot.waitUntil(lambda: len(process.of(Play)) == 2)
    assert process.of(Play)[-1].start == 0.0


def test_another_clip_stops_the_one_that_plays(page, process, qtbot):
    open_example(page, qtbot)
    page.playback.play()
    qtbot.waitUntil(lambda: bool(process.of(Play)))
    open_example(page, qtbot, 1)
    assert process.of(StopPlaying) and page.playback.state.seconds == 0.0
    process.report(Position, path=process.of(Play)[-1].path, seconds=2.0)
    assert not page.playback.state.playing


def test_a_clip_without_a_face_says_so_in_the_place_of_the_mouths(page, client, tmp_path, qtbot):
    client.script[LookAtClip] = lambda request: ClipCard(
        path=request.clip, seconds=1.0, sound=True, pictures=False, face_found=False
    )
    file = tmp_path / "a.wav"
    file.write_bytes(b"x")
    page.clips.add(str(file))
    qtbot.waitUntil(lambda: page.clips.state.card is not None)
    assert "no pictures" in page.desk.player.strip.accessibleDescription()


def test_a_file_that_is_no_clip_says_so_on_shelf_and_player(page, client, tmp_path, qtbot):
    client.script[LookAtClip] = Error(code="data", message="notes.txt is no video.", hint="Choose another.")
    file = tmp_path / "notes.txt"
    file.write_bytes(b"x")
    page.clips.add(str(file))
    qtbot.waitUntil(lambda: page.clips.state.item.problem != "")
    assert page.shelf.list.currentIndex().data(Role.FACTS) == "Cannot be used"
    assert page.desk.player.strip.accessibleDescription() == "notes.txt is no video. Choose another."
    assert not page.desk.player.button.isEnabled()


def test_the_chosen_clip_is_seen_while_the_camera_is_shut(page, process, qtbot):
    assert process.of(Show) == []
    open_example(page, qtbot)
    path = page.clips.state.current
    assert process.of(Show) == [Show(path=path, seconds=0.0)]
    page.playback.seek(1.0)
    page.playback.seek(2.0)
    assert len(process.of(Show)) == 1, "one at a time"
    process.report(Still, path=path, seconds=0.0, picture=picture(480, 360))
    assert page.booth.camera.has_picture and not page.booth.camera.mirrored
    assert process.of(Show)[1:] == [Show(path=path, seconds=2.0)], "the newest, not all that were wanted"
    process.report(Still, path=path, seconds=2.0, picture=picture(480, 360))
    assert len(process.of(Show)) == 2, "and then there is nothing more to ask"
    assert page.booth.mouth.has_mouth, "and its mouth of that moment"
    page.clips.choose(page.clips.state.clips[1].path)
    assert not page.booth.camera.has_picture, "nothing of the last clip stays"
    qtbot.waitUntil(lambda: page.clips.state.card is not None)


def test_a_mouth_is_marked_in_a_clip_by_hand(page, process, client, qtbot):
    open_example(page, qtbot)
    path = page.clips.state.current
    process.report(Still, path=path, seconds=0.0, picture=picture(480, 360))
    page.playback.seek(2.0)
    process.report(Still, path=path, seconds=2.0, picture=picture(480, 360))
    qtbot.keyClick(page.booth.camera, Qt.Key.Key_Plus)
    assert page.clips.state.place.side == pytest.approx(0.27) and process.of(SetPlace) == []
    assert page.playback.state.seconds == 0.0, "marked in the first picture, which is shown for it"
    qtbot.waitUntil(lambda: client.requests(LookAtClip)[-1].place is not None)
    opened(process)
    process.report(Preview, picture=picture(480, 360), width=480, height=360, time=1.0)
    qtbot.keyClick(page.booth.camera, Qt.Key.Key_Plus)
    assert len(process.of(SetPlace)) == 1, "the camera's, once it is open"


def test_a_page_that_is_left_asks_for_no_pictures(page, shell, process, qtbot):
    open_example(page, qtbot)
    shell.go("mixer")
    page.clips.choose(page.clips.state.clips[1].path)
    qtbot.waitUntil(lambda: page.clips.state.card is not None)
    assert len(process.of(Show)) == 1
    shell.go("speech")
    assert process.of(Show)[-1].path == page.clips.state.clips[1].path


# the shelf


def test_arrows_choose_and_delete_takes_off(page, tmp_path, qtbot):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"x")
    page.clips.add(str(file))
    qtbot.keyClick(page.shelf.list, Qt.Key.Key_Down)
    assert page.clips.state.item.title == EXAMPLES[0]
    qtbot.keyClick(page.shelf.list, Qt.Key.Key_Up)
    qtbot.keyClick(page.shelf.list, Qt.Key.Key_Delete)
    assert [clip.title for clip in page.clips.state.clips] == list(EXAMPLES)
    assert page.shelf.list.currentIndex().data() == EXAMPLES[0]


def test_a_row_says_what_it_is(page):
    index = page.shelf.model.index(0)
    assert index.data(Qt.ItemDataRole.AccessibleTextRole) == f"{EXAMPLES[0]}, Example"
    assert index.data(Qt.ItemDataRole.ToolTipRole) == f"“{EXAMPLES[0].lower()}”"
