"""A transcript in the sidecar of a recording: beside what is there, shown again, never in others' files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from app.capture.sidecar import write_sidecar
from app.presenters import clip_sidecar, transcript_files
from tests.app.scripted_speech import TEXT, Booth

FACTS = {"complete": True, "offset_ms": 12.5, "seconds": 2.4, "of a later version": [1]}


@pytest.fixture
def booth(qapp: QApplication, tmp_path: Path) -> Booth:
    return Booth(tmp_path)


def beside(path: str) -> Path:
    return Path(path).with_suffix(".json")


def test_a_transcript_is_kept_beside_all_that_was_there(booth: Booth) -> None:
    write_sidecar(Path(booth.paths[0]), FACTS)
    booth.transcripts.transcribe("both")
    booth.answer(read_as="audio")
    facts = json.loads(beside(booth.paths[0]).read_text())
    kept = facts.pop("transcript")
    assert facts == FACTS
    assert (kept["mode"], kept["asked"], kept["text"], kept["model"]) == ("audio", "both", TEXT, "demo")
    assert kept["words"][1] == {"text": "blue", "start": 0.4, "end": 0.8, "confidence": 0.9}
    assert kept["when"]


def test_noise_that_is_not_in_the_clip_is_not_kept(booth: Booth) -> None:
    write_sidecar(Path(booth.paths[0]), FACTS)
    booth.transcripts.set_noise(-5.0)
    booth.transcripts._rested()
    booth.transcripts.transcribe("audio")
    booth.answer("bin red")
    assert json.loads(beside(booth.paths[0]).read_text()) == FACTS


def test_others_files_and_missing_ones_stay_as_they_are(booth: Booth) -> None:
    beside(booth.paths[0]).write_text('{"mine": 1}')
    booth.transcripts.transcribe("audio")
    booth.answer()
    booth.clips.choose(booth.paths[1])
    booth.transcripts.transcribe("audio")
    booth.answer()
    assert beside(booth.paths[0]).read_text() == '{"mine": 1}' and not beside(booth.paths[1]).exists()


def test_a_clip_that_is_opened_again_shows_what_was_kept(
    booth: Booth, qapp: QApplication, tmp_path: Path
) -> None:
    write_sidecar(Path(booth.paths[0]), FACTS)
    booth.transcripts.transcribe("audio")
    booth.answer()
    again = Booth(tmp_path)
    column = again.transcripts.state.column("audio")
    assert (" ".join(word.text for word in column.words), column.stale) == (TEXT, True)
    assert column.sentence.startswith("By demo, ")
    again.transcripts.transcribe("audio")
    again.answer("bin red at f two now")
    assert not again.transcripts.state.column("audio").stale


def test_a_sidecar_that_cannot_be_written_is_told_and_nothing_is_lost(
    booth: Booth, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sidecar(Path(booth.paths[0]), FACTS)
    notices = []
    booth.transcripts.noticed.connect(notices.append)

    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(transcript_files.Path, "replace", refuse)
    booth.transcripts.transcribe("audio")
    booth.answer()
    assert ["could not be written beside it" in notice.message for notice in notices] == [True]
    assert booth.transcripts.state.column("audio").state == "done"
    assert json.loads(beside(booth.paths[0]).read_text()) == FACTS
    assert not list(beside(booth.paths[0]).parent.glob(".*.partial"))


@pytest.mark.parametrize("odd", ["[]", "{", '{"complete": true, "offset_ms": 0, "transcript": {"text": 3}}'])
def test_a_sidecar_that_cannot_be_read_tells_nothing(booth: Booth, odd: str) -> None:
    beside(booth.paths[0]).write_text(odd)
    assert clip_sidecar.kept(booth.paths[0]) is None


def test_the_words_of_an_example_can_be_emptied(booth: Booth, tmp_path: Path) -> None:
    booth.clips.set_reference(booth.paths[0], "")
    assert booth.transcripts.state.reference == ""
    assert Booth(tmp_path).transcripts.state.reference == ""
