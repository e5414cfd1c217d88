"""The understanding side of the speech page by keys alone: asked, read, made noisy, kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from app.capture.messages import Recorded
from app.pages.speech import SpeechPage
from app.shell import Shell
from engine.messages import ListSpeech, LookAtClip, Transcribe
from tests.app.fake_client import FakeClient
from tests.app.scripted_capture import ScriptedProcess
from tests.app.scripted_speech import DEMO, TEXT, card, clip, models, transcript
from tests.app.test_names import check_names

CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def page(
    shell: Shell, client: FakeClient, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> SpeechPage:
    process = ScriptedProcess()
    monkeypatch.setattr("app.presenters.capture.CaptureProcess", lambda parent: process)
    paths = (clip(tmp_path, "one"), clip(tmp_path, "two"))
    client.script |= {
        ListSpeech: models(DEMO, examples=paths),
        LookAtClip: lambda asked: card(asked.clip),
        Transcribe: lambda asked: transcript(asked),
    }
    opened = shell.go("speech")
    qtbot.waitUntil(lambda: len(opened.clips.state.clips) == 2 and opened.models.card is not None)
    opened.clips.choose(paths[0])
    return opened


def done(page: SpeechPage) -> list[str]:
    return [column.mode for column in page.transcripts.state.columns if column.state == "done"]


def test_a_clip_is_asked_read_and_copied_by_keys(page: SpeechPage, qtbot: QtBot) -> None:
    qtbot.keyClick(page, Qt.Key.Key_2, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: done(page) == ["video"])
    qtbot.keyClick(page, Qt.Key.Key_Return, CONTROL)
    qtbot.waitUntil(lambda: done(page) == ["audio", "video", "both"])
    qtbot.keyClick(page, Qt.Key.Key_J, CONTROL)
    view = page.desk.columns.view
    assert view.hasFocus()
    qtbot.keyClick(view, Qt.Key.Key_Down)
    assert view.accessibleDescription() == "Ears, 0:00.4: blue"
    qtbot.keyClick(page, Qt.Key.Key_C, CONTROL | Qt.KeyboardModifier.ShiftModifier)
    assert QGuiApplication.clipboard().text() == TEXT


def test_a_recording_is_transcribed_by_itself_where_a_model_can(
    page: SpeechPage, client: FakeClient, tmp_path: Path, qtbot: QtBot
) -> None:
    def record(name: str) -> None:
        path = clip(tmp_path, name)
        page.capture.process.report(Recorded, path=path, seconds=2.0, frames=50, gaps=0, peak_dbfs=-9.0)
        assert page.clips.state.current == path

    client.script[ListSpeech] = models(DEMO, clips=str(tmp_path))
    client.welcome()
    qtbot.waitUntil(lambda: page.clips.state.folder == str(tmp_path))
    record("three")
    qtbot.waitUntil(lambda: done(page) == ["audio", "video", "both"])
    client.script[ListSpeech] = models(
        structs.replace(DEMO, problem="Its files are gone."), clips=str(tmp_path)
    )
    page.models.refresh()
    qtbot.waitUntil(lambda: page.models.card.problem != "")
    record("four")
    assert not page.transcripts.state.is_asking and done(page) == []


def test_noise_reference_and_curve_by_keys(page: SpeechPage, qtbot: QtBot) -> None:
    qtbot.keyClick(page, Qt.Key.Key_Up, CONTROL)
    assert page.transcripts.state.snr == 20.0
    qtbot.keyClick(page, Qt.Key.Key_Up, CONTROL)
    assert page.transcripts.state.snr == 15.0
    for _ in range(3):
        qtbot.keyClick(page, Qt.Key.Key_Down, CONTROL)
    assert page.transcripts.state.snr is None
    qtbot.keyClick(page, Qt.Key.Key_L, CONTROL)
    assert page.desk.columns.reference.hasFocus()
    qtbot.keyClick(page, Qt.Key.Key_M, CONTROL)
    qtbot.waitUntil(lambda: [len(points) for points in page.transcripts.points.values()] == [8, 1, 8])


def test_everything_on_the_page_is_called_something(page: SpeechPage) -> None:
    check_names(page.desk, least=15)
    check_names(page.bar, least=2)
