"""Importing and training models of speech: what is read, accepted, named; what the form asks for."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from PySide6.QtWidgets import QApplication, QFileDialog
from pytestqt.qtbot import QtBot

from app.pages.speech.import_dialog import SpeechImportDialog
from app.pages.speech.models import ModelBar
from app.pages.speech.training_dialog import SpeechTrainingDialog
from app.presenters.speech_import import SpeechImport
from app.presenters.speech_training import SpeechTraining, rates_of
from engine.messages import (
    BaseCard,
    Bases,
    ImportSpeech,
    InspectSpeech,
    Job,
    JobChanged,
    JobProgress,
    Jobs,
    LibraryChanged,
    ListBases,
    ListJobs,
    PauseJob,
    Said,
    SpeechInspection,
    SubmitJob,
    TrainSpeech,
)
from tests.app.scripted_speech import DEMO, WHISPER, Booth
from tests.app.test_names import check_names

FOUND = SpeechInspection(
    kind="Llama-AVSR",
    facts=[("Language model", "2048 wide, 16 layers"), ("Rates", "4 and 2")],
    license_name="AV-HuBERT licence",
    license="Non-commercial research only.",
    needs=["ear", "llm"],
    bytes=1000,
)
EYE = replace(
    DEMO, name="avsr", kind="llama-avsr", parts={"eye": "AV-HuBERT large", "ear": "Whisper medium.en"}
)


@pytest.fixture
def booth(dressed: QApplication, tmp_path: Path) -> Booth:
    made = Booth(tmp_path)
    made.client.tell(LibraryChanged(what="speech"))
    made.tell(DEMO, WHISPER, EYE)
    return made


@pytest.fixture
def sheet(booth: Booth, qtbot: QtBot) -> SpeechImportDialog:
    made = SpeechImportDialog(SpeechImport(booth.client, booth.models))
    qtbot.addWidget(made)
    made.present()
    booth.client.answer_all(ListBases, bases())
    return made


def bases() -> Bases:
    return Bases(bases=[BaseCard(name="starter-llama", architecture="Llama", parameters=1, path="b")])


def choosing(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (path, ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: path)


def test_a_checkpoint_is_looked_into_its_licence_read_and_accepted(
    booth: Booth, sheet: SpeechImportDialog, monkeypatch: pytest.MonkeyPatch
) -> None:
    choosing(monkeypatch, "weights/best model.pth")
    sheet.file.click()
    call = booth.client.last(InspectSpeech)
    assert call.body.path == "weights/best model.pth" and not sheet.take.isEnabled()
    booth.client.answer(call, FOUND)
    assert sheet.license.toPlainText() == "Non-commercial research only."
    assert sheet.accepts.text() == "I have read AV-HuBERT licence and accept it"
    assert sheet.name.text() == "best-model"
    assert (sheet.parts["ear"].isVisible(), sheet.parts["eye"].isVisible()) == (True, False)
    assert (sheet.parts["ear"].currentText(), sheet.parts["llm"].currentText()) == (
        "whisper-base.en", "starter-llama",
    )  # fmt: skip
    assert not sheet.take.isEnabled()
    sheet.accepts.click()
    sheet.take.click()
    asked = booth.client.last(ImportSpeech)
    assert asked.body == ImportSpeech(
        path="weights/best model.pth",
        out="best-model",
        ear="whisper-base.en",
        llm="starter-llama",
        accepted=True,
    )
    booth.client.progress(asked, Said(text="Converting 3 of 9 tensors"))
    assert sheet._import.state.doing == "Converting 3 of 9 tensors" and sheet.stop.isVisible()
    booth.client.answer(asked, replace(EYE, name="best-model"))
    booth.tell(DEMO, WHISPER, EYE, replace(EYE, name="best-model"))
    assert booth.models.chosen == "best-model" and not sheet.isVisible()


def test_what_cannot_be_imported_says_why(booth: Booth, sheet: SpeechImportDialog, monkeypatch) -> None:
    choosing(monkeypatch, "x.bin")
    sheet.folder.click()
    problem = SpeechInspection(kind="something else", problem="It has no tensors.", hint="Choose another.")
    booth.client.answer(booth.client.last(InspectSpeech), problem)
    assert sheet._import.why_not == "It has no tensors. Choose another."
    assert not sheet.take.isEnabled() and not sheet.license.isVisible()


def test_missing_parts_taken_names_and_failures_are_said(booth: Booth, sheet: SpeechImportDialog) -> None:
    importing = sheet._import
    importing.look("avsr.pth")
    booth.client.answer(booth.client.last(InspectSpeech), replace(FOUND, license="", needs=["eye", "llm"]))
    assert importing.state.name == "avsr-2", "the name of another model is not proposed"
    importing.set_part("llm", "")
    assert importing.why_not == "Name the language model that goes with it."
    importing.set_part("llm", "folder/llama")
    assert sheet.parts["llm"].currentText() == "llama"
    importing.set(name="demo")
    assert importing.why_not == "There is a demo already. Choose another name."
    importing.set(name="mine")
    sheet._set_rates("4 2")
    importing.take()
    call = booth.client.last(ImportSpeech)
    assert (call.body.eye, call.body.llm, call.body.rates) == ("avsr", "folder/llama", (4, 2))
    booth.client.fail(call, "data", "Its tensors do not fit.", "Choose another.")
    assert importing.state.error is not None and importing.state.doing == ""
    check_names(sheet, least=8)


def test_an_answer_about_another_file_is_dropped(booth: Booth, sheet: SpeechImportDialog) -> None:
    sheet._import.look("one.pth")
    old = booth.client.last(InspectSpeech)
    sheet._import.look("two.pth")
    booth.client.answer(old, FOUND)
    assert sheet._import.state.found is None and sheet._import.state.path == "two.pth"


# training


@pytest.fixture
def training(booth: Booth) -> SpeechTraining:
    made = SpeechTraining(booth.client, booth.models)
    booth.client.answer_all(ListBases, bases())
    booth.client.answer_all(ListJobs, Jobs(jobs=[]))
    return made


def test_a_training_says_what_is_missing(training: SpeechTraining) -> None:
    missing = [training.why_not]
    for changes in (
        {"data": "clips/mine.jsonl"},
        {"llm": "starter-llama"},
        {"eye": "avsr", "video_rates": "x"},
    ):
        training.set(**changes)
        missing.append(training.why_not)
    assert missing == [
        "Choose a file of clips and what is said in them.",
        "Choose a language model that writes the words.",
        "Choose an ear, an eye, or both.",
        "Rates are whole numbers of 1 or more, such as 4 16.",
    ]
    training.set(video_rates="5, 2")
    assert training.why_not == "" and training.name == "mine"


def test_the_plan_becomes_the_job(booth: Booth, training: SpeechTraining) -> None:
    training.set(
        data="clips/mine.jsonl", llm="starter-llama", ear="whisper-base.en", audio_rates="8 2", steps=50
    )
    assert training.train()
    assert booth.client.last(SubmitJob).body.spec == TrainSpeech(
        data="clips/mine.jsonl",
        out="mine",
        ear="whisper-base.en",
        llm="starter-llama",
        audio_rates=(2, 8),
        steps=50,
    )
    training.set(model="demo")
    assert training.train()
    spec = booth.client.last(SubmitJob).body.spec
    assert (spec.model, spec.ear, spec.llm) == ("demo", "", "")


def test_it_is_followed_with_its_errors_and_then_listens(
    booth: Booth, training: SpeechTraining, qtbot: QtBot
) -> None:
    sheet = SpeechTrainingDialog(training)
    qtbot.addWidget(sheet)
    sheet.present()
    training.set(data="clips/mine.jsonl", model="demo")
    assert sheet.train.isEnabled() and not sheet.ear.isVisible()
    check_names(sheet, least=9)
    sheet.train.click()
    call = booth.client.last(SubmitJob)
    job = Job(
        id=call.body.id, kind="train", name="mine", state="running", step=0, steps=100, message="",
        spec=call.body.spec,
    )  # fmt: skip
    booth.client.answer(call, job)
    metrics = {"loss": 2.0, "wer audio": 0.5, "wer both": 0.4}
    booth.client.measure(
        JobProgress(
            id=job.id, step=10, steps=100, message="counting errors", seconds_left=30.0, metrics=metrics
        )
    )
    assert list(sheet.learning.errors.series) == ["Ears", "Both"] and list(sheet.learning.loss.series) == [
        "loss"
    ]
    steering = sheet.learning.steering
    assert steering.progress.accessibleDescription() == "10 %  counting errors, 0:30 left"
    assert not sheet.train.isVisible()
    steering.pause.click()
    assert booth.client.last(PauseJob).body.id == job.id
    booth.client.tell(JobChanged(job=replace(job, state="done", step=100, result={"name": "mine"})))
    booth.tell(DEMO, WHISPER, replace(EYE, name="mine"))
    assert booth.models.chosen == "mine"


@pytest.mark.parametrize(
    ("words", "rates"), [("4 16", (4, 16)), ("16,4", (4, 16)), ("2", (2,)), ("0", ()), ("a 2", ()), ("", ())]
)
def test_rates_as_people_write_them(words: str, rates: tuple[int, ...]) -> None:
    assert rates_of(words) == rates


def test_the_bar_opens_its_sheets(booth: Booth, qtbot: QtBot) -> None:
    bar = ModelBar(booth.models)
    qtbot.addWidget(bar)
    bar.open_import()
    bar.open_training()
    assert bar._importing is not None and bar._importing.isVisible()
    assert bar._training is not None and bar._training.isVisible()
