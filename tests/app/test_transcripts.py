"""Ears, eyes and both: what is asked when, what is kept, and whose answer is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.presenters.transcript_columns import rows
from engine.messages import AddNoise, Heard, LibraryChanged, MouthPlace, NoisySound, Transcribe
from tests.app.scripted_speech import DEMO, TEXT, WHISPER, Booth, clip, transcript, words


@pytest.fixture
def booth(qapp: QApplication, tmp_path: Path) -> Booth:
    return Booth(tmp_path)


def states(booth: Booth) -> list[str]:
    return [column.state for column in booth.transcripts.state.columns]


def texts(booth: Booth) -> list[str]:
    return [" ".join(word.text for word in column.words) for column in booth.transcripts.state.columns]


def test_all_senses_are_asked_one_after_the_other(booth: Booth) -> None:
    booth.transcripts.transcribe()
    assert states(booth) == ["waiting"] * 3
    asked = booth.answer()
    assert (asked.mode, asked.audio_rate, asked.video_rate, asked.snr) == ("audio", 2, None, None)
    assert asked.reference == TEXT
    assert states(booth) == ["done", "waiting", "waiting"]
    assert [each.mode for each in booth.answer_all()] == ["video", "both"]
    assert texts(booth) == [TEXT] * 3


def test_words_stream_in(booth: Booth) -> None:
    booth.transcripts.transcribe("audio")
    call = booth.client.last(Transcribe)
    booth.client.progress(call, Heard(words=words("place blue"), until=0.8, seconds=2.4))
    column = booth.transcripts.state.column("audio")
    assert (column.state, [word.text for word in column.words], column.until) == (
        "hearing", ["place", "blue"], 0.8,
    )  # fmt: skip
    booth.answer()
    assert states(booth) == ["done", "idle", "idle"]


def test_nothing_is_asked_until_somebody_wishes(booth: Booth) -> None:
    assert booth.asked == []
    booth.transcripts.set_noise(0.0)
    booth.transcripts._rested()
    assert booth.asked == []


def test_another_noise_is_asked_once_the_hand_rests(booth: Booth, qtbot: QtBot) -> None:
    booth.transcripts.transcribe("audio", "both")
    booth.answer_all()
    for snr in (10.0, 5.0, 0.0):
        booth.transcripts.set_noise(snr)
    assert booth.asked == [] and booth.transcripts.state.column("audio").stale
    with qtbot.waitSignal(booth.transcripts.sounded):
        pass
    assert [(each.mode, each.snr) for each in booth.answer_all("bin blue at f two now")] == [
        ("audio", 0.0),
        ("both", 0.0),
    ]
    assert not booth.transcripts.state.column("audio").stale


def test_a_sense_is_not_asked_anew_for_what_it_does_not_meet(booth: Booth) -> None:
    booth.transcripts.transcribe()
    booth.answer_all()
    booth.transcripts.set_noise(0.0)
    assert [column.stale for column in booth.transcripts.state.columns] == [True, False, True]
    booth.transcripts._rested()
    assert [each.mode for each in booth.answer_all()] == ["audio", "both"]
    booth.transcripts.set_rates(2, 5)
    booth.transcripts._rested()
    assert [each.mode for each in booth.answer_all()] == ["video", "both"]


def test_going_back_is_instant(booth: Booth) -> None:
    booth.transcripts.transcribe("audio")
    booth.answer()
    booth.transcripts.set_noise(0.0)
    booth.transcripts._rested()
    booth.answer("bin red at f two now")
    booth.transcripts.set_noise(None)
    booth.transcripts._rested()
    assert booth.asked == [] and texts(booth)[0] == TEXT
    booth.clips.choose(booth.paths[1])
    assert texts(booth) == ["", "", ""]
    booth.clips.choose(booth.paths[0])
    assert booth.asked == [] and texts(booth)[0] == TEXT


def test_a_file_written_anew_is_another_clip(booth: Booth) -> None:
    booth.transcripts.transcribe("audio")
    booth.answer()
    Path(booth.paths[0]).write_bytes(b"another recording")
    booth.transcripts.transcribe("audio")
    assert len(booth.asked) == 1


def test_answers_of_an_older_question_are_dropped(booth: Booth) -> None:
    booth.transcripts.transcribe("audio")
    old = booth.client.last(Transcribe)
    booth.transcripts.set_noise(-5.0)
    booth.transcripts._rested()
    assert old.id in booth.client.cancelled
    booth.client.progress(old, Heard(words=words("old"), until=1.0, seconds=2.0))
    booth.client.answer(old, transcript(old.body, "old words"))
    assert texts(booth)[0] == "" and states(booth)[0] == "waiting"
    booth.answer("new words")
    assert texts(booth)[0] == "new words"


def test_another_clip_ends_what_was_asked_of_the_one_before(booth: Booth) -> None:
    booth.transcripts.transcribe()
    old = booth.client.last(Transcribe)
    booth.clips.choose(booth.paths[1])
    assert old.id in booth.client.cancelled and states(booth) == ["idle"] * 3 and booth.asked == []


def test_a_model_without_lips_leaves_its_columns_with_a_sentence(booth: Booth) -> None:
    booth.client.tell(LibraryChanged(what="speech"))
    booth.tell(DEMO, WHISPER)
    booth.models.choose("whisper-base.en")
    booth.transcripts.transcribe()
    assert [(each.model, each.mode, each.audio_rate) for each in booth.answer_all()] == [
        ("whisper-base.en", "audio", None)
    ]
    eyes = booth.transcripts.state.column("video")
    assert (eyes.state, eyes.sentence) == (
        "lacking", "whisper-base.en has no eyes: it transcribes by ear alone.",
    )  # fmt: skip
    booth.models.choose("demo")
    assert [each.mode for each in booth.answer_all()] == ["audio", "video", "both"]


@pytest.mark.parametrize(
    ("mode", "changes", "sentence"),
    [
        ("audio", {"speech": False, "words": [], "text": ""}, "Nobody spoke."),
        ("both", {"face_found": False, "read_as": "audio"}, "No face was found: read by ear alone."),
        ("both", {"read_as": "video"}, "There is no sound: read by eye alone."),
        (
            "video",
            {"face_found": False, "words": [], "text": "", "speech": False},
            "No face was found, so there are no lips to read. Draw a box around the mouth.",
        ),
        ("audio", {"whole": False}, "The text was cut: it grew longer than speech can be."),
        ("audio", {"words": [], "text": ""}, "No words were understood."),
        ("audio", {"whole": False, "notes": ["It was cut.", "It is late."]}, "It was cut. It is late."),
    ],
)
def test_what_stands_in_the_place_of_words(booth: Booth, mode, changes, sentence: str) -> None:
    booth.transcripts.transcribe(mode)
    booth.answer(**changes)
    assert booth.transcripts.state.column(mode).sentence == sentence


def test_only_trained_rates_are_taken(booth: Booth) -> None:
    transcripts = booth.transcripts
    assert transcripts.tokens_per_second == (25.0, 12.5)
    transcripts.set_rates(3, 5)
    assert (transcripts.state.audio_rate, transcripts.state.video_rate) == (2, 2)
    transcripts.set_rates(4, 5)
    assert transcripts.tokens_per_second == (12.5, 5.0)
    transcripts._rested()
    transcripts.transcribe("both")
    assert (booth.asked[0].audio_rate, booth.asked[0].video_rate) == (4, 5)


def test_a_reference_brings_verdicts(booth: Booth, tmp_path: Path) -> None:
    booth.clips.add(clip(tmp_path, "own"))
    booth.transcripts.transcribe("audio")
    assert booth.answer("place blue at f two soon").reference == ""
    assert {cell.verdict for row in rows(booth.transcripts.state.columns) for cell in row.cells if cell} == {
        "plain"
    }
    booth.transcripts.set_reference(TEXT)
    assert booth.answer("place blue at f two soon").reference == TEXT
    column = booth.transcripts.state.column("audio")
    assert column.transcript is not None and column.transcript.wer == pytest.approx(1 / 6)
    last = rows(booth.transcripts.state.columns)[-1].cells[0]
    assert last is not None and (last.verdict, last.meant) == ("wrong", "now")


def test_another_place_of_the_mouth_is_another_question(booth: Booth) -> None:
    booth.transcripts.transcribe("video")
    booth.answer()
    booth.clips.set_place(MouthPlace(x=0.5, y=0.6, side=0.2))
    assert [each.place for each in booth.asked] == [MouthPlace(x=0.5, y=0.6, side=0.2)]


def test_a_failure_is_said_in_its_column_and_the_others_go_on(booth: Booth) -> None:
    booth.transcripts.transcribe("audio", "video")
    booth.client.fail(booth.client.last(Transcribe), "input", "The file has no sound.", "Try lips.")
    column = booth.transcripts.state.column("audio")
    assert (column.state, column.sentence, column.hint) == ("failed", "The file has no sound.", "Try lips.")
    booth.answer()
    assert states(booth) == ["failed", "done", "idle"]


def test_what_an_engine_died_over_is_asked_once_more(booth: Booth) -> None:
    booth.transcripts.transcribe("audio")
    booth.client.die()
    assert states(booth)[0] == "waiting"
    booth.client.come_back()
    booth.tell()
    assert len(booth.asked) == 1
    booth.client.die()
    assert states(booth)[0] == "failed"


def test_cancelling_keeps_what_was_understood(booth: Booth) -> None:
    booth.transcripts.transcribe()
    booth.answer()
    booth.transcripts.cancel()
    assert states(booth) == ["done", "idle", "idle"] and booth.asked == []
    booth.transcripts.set_noise(0.0)
    booth.transcripts._rested()
    assert booth.asked == [], "a person who cancelled asks again by themselves"


def test_the_curve_grows_a_point_per_transcription(booth: Booth) -> None:
    booth.transcripts.transcribe("audio")
    booth.answer()
    assert [(point.snr, point.wer) for point in booth.transcripts.points["audio"]] == [(None, 0.0)]
    booth.transcripts.set_noise(0.0)
    booth.transcripts._rested()
    booth.answer("bin blue at f two soon")
    assert [(point.snr, point.wer) for point in booth.transcripts.points["audio"]] == [
        (None, 0.0),
        (0.0, pytest.approx(1 / 3)),
    ]
    assert booth.transcripts.points["both"] == ()


def test_the_whole_curve_is_measured_of_what_is_missing(booth: Booth) -> None:
    booth.transcripts.transcribe("audio")
    booth.answer()
    booth.transcripts.measure()
    curve = booth.transcripts.curve
    assert (curve.done, curve.total) == (0, 16)
    assert len(booth.asked) == 1, "one at a time"
    booth.answer()
    assert (curve.done, curve.total) == (1, 16)
    booth.answer_all()
    assert not booth.transcripts.curve.is_open
    assert [len(points) for points in booth.transcripts.points.values()] == [8, 1, 8]


def test_without_a_reference_no_error_is_made_up(booth: Booth, tmp_path: Path) -> None:
    booth.clips.add(clip(tmp_path, "own"))
    booth.transcripts.measure()
    assert booth.asked == []
    assert booth.transcripts.why_not_measure == "Type what is said: errors are counted against it."


def test_a_curve_ends_at_its_first_failure_which_is_said(booth: Booth) -> None:
    said: list = []
    booth.transcripts.noticed.connect(said.append)
    booth.transcripts.measure()
    booth.client.fail(booth.client.last(Transcribe), "input", "No sound.")
    assert [notice.message for notice in said] == ["No sound."]
    assert booth.asked == [] and not booth.transcripts.curve.is_open


def test_several_clips_go_through_while_a_person_reads_another(booth: Booth) -> None:
    heard: list[str] = []
    booth.transcripts.announced.connect(heard.append)
    booth.transcripts.enqueue(booth.paths)
    queue = booth.transcripts.queue
    assert queue.sentence == "Clip 1 of 2: one"
    booth.client.progress(booth.client.last(Transcribe), Heard(words=[], until=1.0, seconds=2.4))
    assert queue.state.until == 1.0
    booth.transcripts.transcribe("audio")
    assert [each.mode for each in booth.asked] == ["both", "audio"], "who looks does not wait"
    booth.answer_all()
    assert not queue.state.is_open and heard[-1] == "2 clips transcribed; choose one to read it."
    booth.clips.choose(booth.paths[1])
    assert texts(booth)[2] == TEXT and booth.asked == []


def test_a_clip_that_fails_does_not_hold_up_the_queue(booth: Booth) -> None:
    booth.transcripts.enqueue(booth.paths)
    booth.client.fail(booth.client.last(Transcribe), "input", "It is damaged.", "Record it again.")
    booth.answer()
    assert booth.transcripts.queue.sentence == (
        "1 clip transcribed; choose one to read it. one: It is damaged. Record it again."
    )
    booth.transcripts.queue.cancel()
    assert booth.transcripts.queue.sentence == ""


def test_the_ear_hears_the_very_noise_that_is_transcribed(booth: Booth) -> None:
    heard: list[str] = []
    booth.transcripts.sound(heard.append)
    booth.transcripts.set_noise(-5.0)
    booth.transcripts.sound(heard.append)
    call = booth.client.last(AddNoise)
    assert (call.body.clip, call.body.snr, call.body.seed) == (booth.paths[0], -5.0, 0)
    booth.client.answer(call, NoisySound(path="noisy.wav", seconds=2.4))
    assert heard == ["", "noisy.wav"]
    booth.transcripts.sound(heard.append)
    late = booth.client.last(AddNoise)
    booth.transcripts.set_noise(0.0)
    booth.client.answer(late, NoisySound(path="old.wav", seconds=2.4))
    assert heard == ["", "noisy.wav"]


def test_noise_that_was_heard_is_deleted_and_noise_that_fails_leaves_the_clip(booth: Booth, tmp_path) -> None:
    heard: list[str] = []
    said: list = []
    booth.transcripts.noticed.connect(said.append)
    files = [tmp_path / "1.wav", tmp_path / "2.wav"]
    for snr, file in zip((0.0, 5.0), files, strict=True):
        file.write_bytes(b"noise")
        booth.transcripts.set_noise(snr)
        booth.transcripts.sound(heard.append)
        booth.client.answer(booth.client.last(AddNoise), NoisySound(path=str(file), seconds=2.4))
    assert [file.exists() for file in files] == [False, True]
    booth.transcripts.sound(heard.append)
    booth.client.fail(booth.client.last(AddNoise), "data", "The speech is silent.")
    assert heard == [*map(str, files), ""] and [notice.message for notice in said] == [
        "The speech is silent."
    ]


def test_a_model_made_anew_under_its_name_is_asked_again(booth: Booth) -> None:
    booth.transcripts.transcribe("audio")
    booth.answer()
    booth.client.tell(LibraryChanged(what="speech"))
    booth.tell(replace(DEMO, created=9.0))
    assert [each.mode for each in booth.asked] == ["audio"]


def test_a_model_with_a_problem_says_so(booth: Booth) -> None:
    said: list = []
    booth.transcripts.noticed.connect(said.append)
    booth.client.tell(LibraryChanged(what="speech"))
    booth.tell(replace(DEMO, problem="Its ear is gone."))
    booth.transcripts.transcribe()
    assert booth.asked == [] and [notice.message for notice in said] == ["Its ear is gone."]


def test_senses_for_which_a_clip_has_nothing_are_not_asked(booth: Booth) -> None:
    booth.clips.choose(booth.paths[1])
    booth.transcripts.transcribe()  # before anybody knows what is in it
    assert [question.mode for question in booth.asked] == ["audio"]
    booth.look(sound=False)
    assert [question.mode for question in booth.asked] == ["video"]
    booth.answer()
    ears, eyes, both = booth.transcripts.state.columns
    assert eyes.state == "done" and eyes.words and not booth.asked
    assert (
        (ears.state, ears.sentence) == (both.state, both.sentence) == ("lacking", "This clip has no sound.")
    )
