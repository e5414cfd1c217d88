"""What the speech page is made of on its understanding side: what is shown, what hands and keys do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QFileDialog, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.pages.speech.columns import SpeechColumns
from app.pages.speech.export import ExportBar
from app.pages.speech.models import ModelBar
from app.pages.speech.noise import NoiseFader
from app.pages.speech.picture import NoisePicture
from app.pages.speech.rates import RatesBar
from engine.messages import (
    CancelJob,
    Download,
    Heard,
    Job,
    JobChanged,
    JobProgress,
    LibraryChanged,
    RemoveSpeech,
    RestoreSpeech,
    SubmitJob,
    Transcribe,
)
from engine.messages import Done as DoneBody
from tests.app.scripted_speech import DEMO, TEXT, WHISPER, Booth, clip, words
from tests.app.test_names import check_names


@pytest.fixture
def booth(dressed: QApplication, tmp_path: Path) -> Booth:
    return Booth(tmp_path)


def shown(qtbot: QtBot, widget: QWidget) -> QWidget:
    qtbot.addWidget(widget)
    widget.resize(900, 420)
    widget.show()
    return widget


def with_whisper(booth: Booth) -> None:
    booth.client.tell(LibraryChanged(what="speech"))
    booth.tell(DEMO, WHISPER)


# columns


def test_the_columns_show_words_verdicts_and_figures(booth: Booth, qtbot: QtBot) -> None:
    columns = SpeechColumns(booth.transcripts)
    shown(qtbot, columns)
    qtbot.mouseClick(columns.ask, Qt.MouseButton.LeftButton)
    assert not columns.ask.isEnabled() and columns.cancel.isVisible()
    booth.answer("place red at f two now")
    booth.answer_all()
    assert columns.view.column_text(0) == "place red at f two now"
    assert columns.heads["audio"]._figure.accessibleName() == "1 of 6 wrong"
    columns.view._go(1, 0)
    assert columns.view.words == "Ears, 0:00.4: red, wrong: blue"
    assert columns.ask.isEnabled() and not columns.cancel.isVisible()


def test_one_sense_alone_is_asked_by_its_own_button(booth: Booth, qtbot: QtBot) -> None:
    columns = SpeechColumns(booth.transcripts)
    shown(qtbot, columns)
    columns.heads["video"].ask.click()
    assert [each.mode for each in booth.asked] == ["video"]
    booth.client.progress(booth.client.last(Transcribe), Heard(words=words("place"), until=1.2, seconds=2.4))
    assert columns.heads["video"]._figure.accessibleName() == "0:01 of 0:02"
    columns.cancel.click()
    assert booth.asked == []


def test_a_word_that_is_clicked_is_sought(booth: Booth, qtbot: QtBot) -> None:
    columns = SpeechColumns(booth.transcripts)
    shown(qtbot, columns)
    booth.transcripts.transcribe("audio")
    booth.answer()
    with qtbot.waitSignal(columns.sought) as sought:
        qtbot.mouseClick(
            columns.view.viewport(),
            Qt.MouseButton.LeftButton,
            pos=columns.view.cell_rect(1, 0).center().toPoint(),
        )
    assert sought.args == [0.4]
    columns.show_position(0.9)
    assert columns.view._playing == 2


def test_what_is_typed_is_the_reference_once_it_is_finished(
    booth: Booth, qtbot: QtBot, tmp_path: Path
) -> None:
    booth.clips.add(clip(tmp_path, "own"))
    columns = SpeechColumns(booth.transcripts)
    shown(qtbot, columns)
    booth.transcripts.transcribe("audio")
    booth.answer()
    qtbot.keyClicks(columns.reference, "place red")
    assert booth.transcripts.state.reference == "" and booth.asked == []
    qtbot.keyClick(columns.reference, Qt.Key.Key_Return)
    assert [each.reference for each in booth.asked] == ["place red"]


def test_a_sense_that_a_model_lacks_says_so_in_its_column(booth: Booth, qtbot: QtBot) -> None:
    with_whisper(booth)
    booth.models.choose("whisper-base.en")
    columns = SpeechColumns(booth.transcripts)
    shown(qtbot, columns)
    assert "has no eyes" in columns.view.accessibleDescription()
    assert not columns.heads["video"].ask.isEnabled() and columns.heads["audio"].ask.isEnabled()


def test_the_queue_is_one_line_while_there_is_something_to_say(booth: Booth, qtbot: QtBot) -> None:
    columns = SpeechColumns(booth.transcripts)
    shown(qtbot, columns)
    assert not columns.queue.isVisible()
    columns.all.click()
    assert not columns.all.isEnabled()
    assert columns.queue._words.text() == "Clip 1 of 2: one" and columns.queue.progress.maximum() == 2000
    booth.answer_all()
    assert columns.queue.progress.isHidden() and columns.queue.end.text() == "Dismiss"
    columns.queue.end.click()
    assert not columns.queue.isVisible()


# noise, rates, picture


def test_the_fader_goes_from_off_to_loud(booth: Booth, qtbot: QtBot) -> None:
    fader = NoiseFader(booth.transcripts, booth.clips)
    shown(qtbot, fader)
    qtbot.keyClick(fader.slider, Qt.Key.Key_Right)
    assert booth.transcripts.state.snr == 20.0
    qtbot.keyClick(fader.slider, Qt.Key.Key_PageUp)
    assert booth.transcripts.state.snr == 15.0 and fader._value.text() == "15 dB"
    qtbot.keyClick(fader.slider, Qt.Key.Key_End)
    assert booth.transcripts.state.snr == -10.0
    qtbot.keyClick(fader.slider, Qt.Key.Key_Home)
    assert booth.transcripts.state.snr is None and fader._value.text() == "off"


def test_under_a_clip_without_sound_there_is_no_noise(booth: Booth, qtbot: QtBot) -> None:
    fader = NoiseFader(booth.transcripts, booth.clips)
    booth.transcripts.set_noise(0.0)
    booth.clips.choose(booth.paths[1])
    booth.look(sound=False)
    assert not fader.slider.isEnabled() and fader.slider.toolTip() == "This clip has no sound."
    noisy: list[str] = []
    booth.transcripts.sound(noisy.append)
    assert noisy == [""]
    booth.clips.choose(booth.paths[0])
    booth.look()
    assert fader.slider.isEnabled()


def test_rates_are_locked_to_what_was_trained_and_say_their_cost(booth: Booth, qtbot: QtBot) -> None:
    bar = RatesBar(booth.transcripts)
    shown(qtbot, bar)
    assert (bar.sound.maximum(), bar.lips.maximum(), bar.sound.words) == (1, 1, "2 to 1")
    assert bar._cost.text().startswith("37.5 tokens a second (sound 25, lips 12.5).")
    qtbot.keyClick(bar.sound, Qt.Key.Key_End)
    assert booth.transcripts.state.audio_rate == 4
    assert bar._cost.text().startswith("25 tokens a second")
    booth.transcripts._rested()
    booth.transcripts.transcribe("both")
    booth.answer()
    assert bar._cost.text().endswith("This clip: 90, in 0.25 of its length.")


def test_a_model_without_rates_shows_none(booth: Booth, qtbot: QtBot) -> None:
    with_whisper(booth)
    bar = RatesBar(booth.transcripts)
    shown(qtbot, bar)
    booth.models.choose("whisper-base.en")
    assert not bar.isVisible()


def test_the_picture_grows_and_says_what_it_needs(booth: Booth, qtbot: QtBot, tmp_path: Path) -> None:
    picture = NoisePicture(booth.transcripts)
    shown(qtbot, picture)
    booth.transcripts.transcribe("audio")
    booth.answer("place red at f two now")
    assert picture.plot.words == "Clean: Ears 17 % of the words wrong"
    assert picture._of.text() == "Of this clip's 6 words alone"
    picture.measure.click()
    assert picture.measure.text() == "Cancel" and picture.progress.maximum() == 16
    picture.measure.click()
    assert not booth.transcripts.curve.is_open
    booth.clips.add(clip(tmp_path, "own"))
    assert not picture.measure.isEnabled()
    assert "Type what is said" in picture.plot.accessibleDescription()


# keeping


def saving_as(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))


def test_words_are_copied_and_written_as_every_kind(
    booth: Booth, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bar = ExportBar(booth.transcripts)
    shown(qtbot, bar)
    assert not bar.copy.isEnabled() and not bar.save.isEnabled()
    booth.transcripts.transcribe("audio", "both")
    booth.answer_all(srt="1\n00:00:00,000 --> 00:00:02,400\nplace\n", vtt="WEBVTT\n")
    assert bar.whose.currentText() == "Both"
    bar.copy.click()
    assert QGuiApplication.clipboard().text() == TEXT
    for kind in ("txt", "srt", "vtt", "json"):
        saving_as(monkeypatch, tmp_path / f"out.{kind}")
        bar.save_as(kind)
    assert (tmp_path / "out.txt").read_text() == TEXT + "\n"
    assert (tmp_path / "out.srt").read_text().startswith("1\n00:00:00,000")
    assert (tmp_path / "out.vtt").read_text() == "WEBVTT\n"
    written = json.loads((tmp_path / "out.json").read_text())
    assert (written["text"], written["mode"], written["wer"], len(written["words"])) == (TEXT, "both", 0.0, 6)


def test_nothing_is_overwritten_that_nobody_was_asked_about(
    booth: Booth, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list = []
    bar = ExportBar(booth.transcripts)
    bar.noticed.connect(said.append)
    shown(qtbot, bar)
    booth.transcripts.transcribe("audio")
    booth.answer()
    (tmp_path / "mine.txt").write_text("precious")
    saving_as(monkeypatch, tmp_path / "mine")
    bar.save_as("txt")
    assert (tmp_path / "mine.txt").read_text() == "precious"
    saving_as(monkeypatch, tmp_path / "nowhere" / "x.txt")
    bar.save_as("txt")
    assert [notice.level for notice in said] == ["warn", "bad"]
    assert "could not be written" in said[1].message


def test_words_of_an_older_question_are_not_kept(booth: Booth, qtbot: QtBot) -> None:
    bar = ExportBar(booth.transcripts)
    shown(qtbot, bar)
    booth.transcripts.transcribe("audio")
    booth.answer()
    booth.transcripts.set_noise(0.0)
    assert not bar.copy.isEnabled()


# models


def test_whisper_is_one_click_with_size_and_licence_said_first(booth: Booth, qtbot: QtBot) -> None:
    columns = SpeechColumns(booth.transcripts)
    shown(qtbot, columns)
    offer = columns.offer
    assert offer._words.text() == (
        "The demo knows synthetic voices and faces, and 51 words. For real voices: Whisper base.en by "
        "OpenAI, 295 MB, licence Apache 2.0, from the Hub."
    )
    qtbot.mouseClick(offer.act, Qt.MouseButton.LeftButton)
    call = booth.client.last(SubmitJob)
    assert call.body.spec == Download(repo="openai/whisper-base.en", out="whisper-base.en", room="speech")
    job = Job(
        id=call.body.id, kind="download", name="whisper-base.en", state="running", step=0, steps=0,
        message="", spec=call.body.spec,
    )  # fmt: skip
    booth.client.answer(call, job)
    booth.client.measure(
        JobProgress(id=job.id, step=120_000_000, steps=293_000_000, message="", seconds_left=61.0, metrics={})
    )
    assert offer._words.text() == "whisper-base.en is on its way: 41 % of 293 MB, 1:01 left."
    assert offer.progress.isVisible() and offer.act.isHidden()
    offer.end.click()
    assert booth.client.last(CancelJob).body.id == job.id
    booth.client.tell(JobChanged(job=replace(job, state="done", result={"name": "whisper-base.en"})))
    booth.tell(DEMO, WHISPER)
    assert booth.models.chosen == "whisper-base.en" and not offer.isVisible()


def test_a_whisper_that_is_here_is_one_click_away(booth: Booth, qtbot: QtBot) -> None:
    with_whisper(booth)
    columns = SpeechColumns(booth.transcripts)
    shown(qtbot, columns)
    assert columns.offer.act.text() == "Use whisper-base.en"
    columns.offer.act.click()
    assert booth.models.chosen == "whisper-base.en"


def test_a_model_is_chosen_kept_and_removed(booth: Booth, qtbot: QtBot) -> None:
    with_whisper(booth)
    bar = ModelBar(booth.models)
    shown(qtbot, bar)
    said: list = []
    booth.models.noticed.connect(said.append)
    assert [bar.box.itemText(i) for i in range(2)] == ["demo  ears and eyes", "whisper-base.en  ears"]
    assert not bar._remove.isEnabled(), "the demo stays"
    bar.box.setCurrentIndex(1)
    bar.box.activated.emit(1)
    assert booth.models.chosen == "whisper-base.en"
    bar._remove.trigger()
    call = booth.client.last(RemoveSpeech)
    assert call.body.name == "whisper-base.en"
    booth.client.answer(call, DoneBody(path="trash/1"))
    booth.tell(DEMO)
    assert bar.box.currentData() == "demo"
    booth.client.tell(LibraryChanged(what="speech"))
    booth.tell(replace(WHISPER, name="other"))
    assert bar.box.currentData() == "other", "without a demo any that listens"
    said[-1].action[1]()
    booth.client.answer(booth.client.last(RestoreSpeech), DoneBody())
    booth.tell(DEMO, WHISPER)
    assert bar.box.currentData() == "whisper-base.en"


def test_everything_here_is_called_something(booth: Booth, qtbot: QtBot) -> None:
    view = QWidget()
    column = QVBoxLayout(view)
    for part in (
        SpeechColumns(booth.transcripts),
        NoiseFader(booth.transcripts, booth.clips),
        RatesBar(booth.transcripts),
        NoisePicture(booth.transcripts),
        ExportBar(booth.transcripts),
        ModelBar(booth.models),
    ):
        column.addWidget(part)
    shown(qtbot, view)
    check_names(view, least=18)
