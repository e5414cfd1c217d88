"""Live captions: every stretch of speech in order, who listens, how far behind, and their window."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.capture.messages import Light, OpenDevices, Segment, Speaking, StartCaptions, StopCaptions, Trouble
from app.pages.speech.captions import LETTERS, CaptionsWindow
from app.presenters.captions import Captions
from app.presenters.capture import Capture
from engine.messages import Done, Error, Heard, LibraryChanged, Transcribe, WarmUpSpeech
from tests.app.scripted_capture import ScriptedProcess
from tests.app.scripted_speech import DEMO, WHISPER, Booth, transcript, words
from tests.app.test_names import check_names


class Hall:
    """Captions over a scripted engine and a scripted capture process; ``now`` is the clock."""

    def __init__(self, tmp_path: Path) -> None:
        self.booth = Booth(tmp_path)
        self.process = ScriptedProcess()
        settings = QSettings(str(tmp_path / "capture.ini"), QSettings.Format.IniFormat)
        self.capture = Capture(settings, process=self.process)
        self.capture.keep_in(str(tmp_path))
        self.now = 100.0
        client, models = self.booth.client, self.booth.models
        self.captions = Captions(client, self.capture, models, clock=lambda: self.now)
        self.folder = tmp_path
        self.process.plug()

    def start(self) -> None:
        self.captions.start()
        self.process.opened()

    def say(self, number: int) -> Path:
        """Somebody has spoken and paused."""
        path = self.folder / f"stretch-{number}.mkv"
        path.write_bytes(b"clip")
        self.process.report(Segment, path=str(path), start=float(number), end=number + 0.8)
        return path

    def answer(self, text: str, **changes: object) -> Transcribe:
        call = self.booth.client.asked(Transcribe)[0]
        self.booth.client.answer(call, transcript(call.body, text, **changes))
        return call.body


@pytest.fixture
def hall(dressed: QApplication, tmp_path: Path) -> Hall:
    return Hall(tmp_path)


def test_what_is_said_is_written_and_its_clip_deleted(hall: Hall) -> None:
    heard: list[str] = []
    hall.captions.announced.connect(heard.append)
    hall.start()
    assert hall.process.of(StartCaptions) and hall.captions.state.is_on
    hall.process.report(Speaking, speaking=True)
    assert hall.captions.state.speaking
    path = hall.say(1)
    hall.now += 0.9
    asked = hall.answer("place blue")
    assert (asked.model, asked.clip, asked.mode) == ("demo", str(path), "both")
    assert (hall.captions.state.lines, heard) == (("place blue",), ["place blue"])
    assert hall.captions.state.delay == pytest.approx(0.9)
    assert not path.exists()


def test_stretches_keep_their_order_and_none_is_left_out(hall: Hall) -> None:
    hall.start()
    for number in range(3):
        hall.say(number)
    assert len(hall.booth.client.asked(Transcribe)) == 1 and hall.captions.state.waiting == 3
    hall.now += 6
    assert hall.captions.late == 6.0
    for text in ("one", "two", "three"):
        hall.answer(text)
    assert hall.captions.state.lines == ("one", "two", "three") and hall.captions.late == 0.0


def test_silence_and_noise_leave_no_line(hall: Hall) -> None:
    hall.start()
    hall.say(1)
    hall.answer("", words=[], speech=False)
    assert hall.captions.state.lines == ()


def test_words_are_seen_as_they_come(hall: Hall) -> None:
    hall.start()
    hall.say(1)
    call = hall.booth.client.last(Transcribe)
    hall.booth.client.progress(call, Heard(words=words("place"), until=0.4, seconds=0.8))
    assert hall.captions.state.partial == "place"
    hall.answer("place blue")
    assert hall.captions.state.partial == ""


def test_what_an_engine_died_over_is_heard_by_the_next_one(hall: Hall) -> None:
    hall.start()
    path = hall.say(1)
    hall.booth.client.die()
    assert path.exists()
    hall.booth.client.come_back()
    hall.answer("place")
    assert hall.captions.state.lines == ("place",)


def test_a_stretch_that_fails_is_said_and_the_next_is_heard(hall: Hall) -> None:
    hall.start()
    hall.say(1)
    hall.say(2)
    hall.booth.client.fail(hall.booth.client.last(Transcribe), "input", "It is damaged.", "Go on.")
    assert hall.captions.state.trouble == "It is damaged. Go on."
    hall.answer("two")
    assert (hall.captions.state.lines, hall.captions.state.trouble) == (("two",), "")


def test_the_senses_are_those_that_are_open_and_that_the_model_has(hall: Hall) -> None:
    hall.captions.start()
    hall.process.opened(camera="")
    assert hall.captions.mode == "audio"
    hall.process.opened()
    assert hall.captions.mode == "both"
    hall.booth.client.tell(LibraryChanged(what="speech"))
    hall.booth.tell(DEMO, WHISPER)
    hall.booth.models.choose("whisper-base.en")
    assert hall.captions.mode == "audio"


def test_the_window_says_who_listens_and_closing_it_ends_that(hall: Hall, qtbot: QtBot) -> None:
    window = CaptionsWindow(hall.captions)
    qtbot.addWidget(window)
    assert window.windowFlags() & Qt.WindowType.WindowStaysOnTopHint
    window.present()
    hall.process.opened()
    assert window.turn.text() == "Stop"
    assert window._who.text() == "demo listens by ear and eye: synthetic voices, 51 words"
    hall.booth.client.answer_all(WarmUpSpeech, Done())
    assert window.view.accessibleDescription() == "Speak: what you say is written here when you pause."
    hall.say(1)
    hall.now += 1.2
    hall.answer("place blue at f")
    assert window.view.accessibleDescription() == "place blue at f"
    assert window._who.text().startswith("1.2 s after the pause")
    window.copy.click()
    assert QGuiApplication.clipboard().text() == "place blue at f"
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert hall.process.of(StopCaptions) and not window.isVisible()


def test_leaving_the_page_ends_captions_keeps_what_was_written_and_says_so(hall: Hall, qtbot: QtBot) -> None:
    told: list[str] = []
    hall.captions.noticed.connect(lambda notice: told.append(notice.message))
    window = CaptionsWindow(hall.captions)
    qtbot.addWidget(window)
    window.present()
    hall.process.opened()
    hall.say(1)
    hall.answer("place blue")
    hall.say(2)
    hall.captions.leave()
    hall.capture.leave()
    hall.answer("at f two")
    assert told == ["Live captions ended, since the Speech page was left."] and hall.process.ends == 1
    assert window.isVisible() and window.view.accessibleDescription() == "at f two"
    assert hall.captions.state.lines == ("place blue", "at f two")
    assert window._who.text().startswith("The microphone is shut while the Speech page is not shown.")
    assert not window.turn.isEnabled(), "nothing opens while the page is not shown"
    hall.captions.come_back()
    assert window.turn.isEnabled() and window._who.text() == "Captions are off; what was written is kept."
    hall.captions.leave()
    assert len(told) == 1, "captions that were off end nothing"


def test_without_a_microphone_the_window_says_why_and_no_banner_does(hall: Hall, qtbot: QtBot) -> None:
    told: list[object] = []
    hall.capture.noticed.connect(told.append)
    hall.captions.noticed.connect(told.append)
    window = CaptionsWindow(hall.captions)
    qtbot.addWidget(window)
    hall.process.plug(microphones=())
    window.present()
    words = "No microphone is plugged in. Plug one in to go on."
    assert window.view.accessibleDescription() == words and window._who.text() == ""
    assert not window.turn.isEnabled() and not hall.process.of(OpenDevices) and not told
    hall.process.plug()
    assert window.turn.isEnabled()
    assert window.view.accessibleDescription() == "Captions are off. Press Start and speak."
    hall.capture.choose_microphone("")
    assert window.view.accessibleDescription() == "No microphone is chosen. Choose one on the Speech page."


def test_a_microphone_that_does_not_open_or_goes_ends_captions_with_its_reason(hall: Hall) -> None:
    hall.captions.start()
    error = Error(code="busy", message="The microphone is in use.", hint="Close the other program.")
    hall.process.report(Trouble, about="microphone", error=error)
    hall.process.opened(microphone="")
    assert not hall.captions.state.is_on and not hall.process.of(StartCaptions)
    assert hall.captions.problem == "The microphone is in use. Close the other program."
    assert not hall.captions.why_not, "trying again is worth it"
    hall.start()
    assert hall.captions.state.is_on and not hall.captions.problem
    hall.process.light = Light(camera=True)
    hall.process.report(Trouble, about="microphone", error=error)
    assert not hall.captions.state.is_on and hall.captions.problem.startswith("The microphone is in use.")


def test_the_model_is_opened_before_somebody_speaks(hall: Hall, qtbot: QtBot) -> None:
    client = hall.booth.client
    window = CaptionsWindow(hall.captions)
    qtbot.addWidget(window)
    window.present()
    hall.process.opened()
    assert [call.body for call in client.asked(WarmUpSpeech)] == [WarmUpSpeech(model="demo")]
    words = "demo is being opened. What you say is written as soon as it is."
    assert window.view.accessibleDescription() == words
    client.answer(client.last(WarmUpSpeech), Done())
    assert window.view.accessibleDescription() == "Speak: what you say is written here when you pause."
    client.die()
    client.come_back()
    client.fail(client.last(WarmUpSpeech), "memory", "It is too large.", "Choose a smaller one.")
    assert hall.captions.problem == "It is too large. Choose a smaller one."
    hall.captions.stop()
    hall.captions.start()
    assert client.last(WarmUpSpeech).body == WarmUpSpeech(model="demo") and not hall.captions.problem


def test_letters_grow_and_shrink_by_keys_within_bounds(hall: Hall, qtbot: QtBot) -> None:
    window = CaptionsWindow(hall.captions)
    qtbot.addWidget(window)
    window.show()
    for _ in LETTERS:
        qtbot.keyClick(window, Qt.Key.Key_Plus, Qt.KeyboardModifier.ControlModifier)
    assert window._letters == LETTERS[-1] and not window.larger.isEnabled()
    for _ in LETTERS:
        qtbot.keyClick(window, Qt.Key.Key_Minus, Qt.KeyboardModifier.ControlModifier)
    assert window._letters == LETTERS[0] and not window.smaller.isEnabled()


def test_its_frame_can_go(hall: Hall, qtbot: QtBot) -> None:
    window = CaptionsWindow(hall.captions)
    qtbot.addWidget(window)
    window.show()
    window.frame.click()
    assert window.windowFlags() & Qt.WindowType.FramelessWindowHint and window.isVisible()
    window.frame.click()
    assert not window.windowFlags() & Qt.WindowType.FramelessWindowHint
    check_names(window, least=6)


def test_lines_stand_above_one_another_the_newest_last(hall: Hall, qtbot: QtBot) -> None:
    window = CaptionsWindow(hall.captions)
    qtbot.addWidget(window)
    window.show()
    blank = window.view.grab().toImage()
    window.view.show_lines(["an older line " * 20, "the newest"], "being written", "")
    assert window.view.grab().toImage() != blank
    assert window.view.accessibleDescription() == "the newest being written"
