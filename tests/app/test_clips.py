"""The shelf of clips, over a scripted engine and real files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings

from app.presenters.clips import Clips
from engine.messages import ClipCard, ExampleClip, ListSpeech, LookAtClip, MouthPlace, Said, SpeechModels
from tests.app.scripted_client import ScriptedClient

MOUTH = MouthPlace(x=0.5, y=0.4, side=0.2)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "home" / "clips"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def example(tmp_path) -> ExampleClip:
    file = tmp_path / "example-1.mkv"
    file.write_bytes(b"example")
    return ExampleClip(path=str(file), title="Bin blue", text="bin blue at a two now")


@pytest.fixture
def settings(tmp_path) -> QSettings:
    return QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)


@pytest.fixture
def engine(qapp) -> ScriptedClient:
    return ScriptedClient()


@pytest.fixture
def clips(engine, settings, folder, example) -> Clips:
    clips = Clips(engine, settings)
    listed(engine, folder, example)
    clips.notices = []
    clips.noticed.connect(clips.notices.append)
    return clips


def listed(engine: ScriptedClient, folder: Path, *examples: ExampleClip) -> None:
    engine.answer_all(ListSpeech, SpeechModels(models=[], examples=list(examples), clips=str(folder)))


def card(path: str, seconds: float = 2.0) -> ClipCard:
    return ClipCard(path=path, seconds=seconds, sound=True, pictures=True, face_found=True)


def record(folder: Path, name: str, seconds: float = 3.5) -> str:
    (folder / f"{name}.mkv").write_bytes(b"clip")
    (folder / f"{name}.json").write_text(f'{{"seconds": {seconds}}}')
    return str(folder / f"{name}.mkv")


def paths(clips: Clips) -> list[str]:
    return [clip.path for clip in clips.state.clips]


def test_a_first_visit_offers_the_examples_and_opens_none(clips, example, engine):
    assert [(c.title, c.origin, c.text) for c in clips.state.clips] == [
        ("Bin blue", "example", "bin blue at a two now")
    ]
    assert clips.state.current == "" and clips.state.item is None
    assert engine.asked(LookAtClip) == [], "nothing is looked into before somebody wants it"


def test_what_is_chosen_is_looked_into_and_said(clips, example, engine):
    chosen = []
    clips.chosen.connect(chosen.append)
    clips.choose(example.path)
    assert (chosen, clips.state.busy, clips.state.card) == ([example.path], "Looking into the clip", None)
    call = engine.last(LookAtClip)
    engine.progress(call, Said(text="Following the mouth"))
    assert clips.state.busy == "Following the mouth"
    engine.answer(call, card(example.path, 2.5))
    assert (clips.state.busy, clips.state.card.seconds, clips.state.item.seconds) == ("", 2.5, 2.5)


def test_another_choice_gives_up_the_look_at_the_last(clips, example, engine, tmp_path):
    clips.choose(example.path)
    first = engine.last(LookAtClip)
    other = tmp_path / "other.wav"
    other.write_bytes(b"x")
    clips.add(str(other))
    assert engine.cancelled == [first.id] and clips.state.current == str(other)
    engine.answer(first, card(example.path))
    assert clips.state.card is None, "what was asked of another clip is not shown for this one"
    clips.choose(example.path)
    engine.answer(engine.last(LookAtClip), card(example.path))
    clips.choose(str(other))
    clips.choose(example.path)
    assert clips.state.card.path == example.path, "known by now"
    assert {call.body.clip for call in engine.asked(LookAtClip)} == {str(other)}


def test_recordings_lie_on_the_shelf_newest_first_with_their_length(engine, settings, folder, example):
    old = record(folder, "old")
    record(folder, "new", 7.0)
    os.utime(old, (1, 1))
    clips = Clips(engine, settings)
    listed(engine, folder, example)
    assert [(c.title, c.origin, c.seconds) for c in clips.state.clips] == [
        ("new", "recording", 7.0),
        ("old", "recording", 3.5),
        ("Bin blue", "example", 0.0),
    ]
    third = record(folder, "third")
    clips.recorded(third)
    assert clips.state.current == third and paths(clips)[0] == third


def test_a_recording_goes_to_the_trash_of_the_home_and_comes_back(clips, folder):
    made = record(folder, "mine")
    clips.recorded(made)
    clips.remove(made)
    assert made not in paths(clips) and not Path(made).exists()
    (bin_,) = (folder.parent / "trash").iterdir()
    assert sorted(path.name for path in bin_.iterdir()) == ["mine.json", "mine.mkv"]
    (words, undo) = clips.notices[-1].message, clips.notices[-1].action[1]
    assert words == "mine is in the trash."
    undo()
    assert (clips.state.current, Path(made).read_bytes()) == (made, b"clip")
    assert Path(made).with_suffix(".json").exists() and list((folder.parent / "trash").iterdir()) == []


def test_a_recording_whose_name_was_taken_meanwhile_stays_in_the_trash(clips, folder):
    made = record(folder, "mine")
    clips.recorded(made)
    clips.remove(made)
    Path(made).write_bytes(b"another")
    clips.undo()
    assert clips.notices[-1].message == "mine could not be brought back."
    assert Path(made).read_bytes() == b"another"


def test_a_file_leaves_the_shelf_but_not_the_disk_and_comes_back_to_its_place(clips, tmp_path):
    files = [tmp_path / f"{name}.mp4" for name in "abc"]
    for file in files:
        file.write_bytes(b"x")
    clips.add(*map(str, files))
    assert paths(clips)[:3] == [str(file) for file in files] and clips.state.current == str(files[0])
    clips.choose(str(files[1]))
    clips.remove(str(files[1]))
    assert clips.state.current == str(files[2]), "the next one is chosen instead"
    assert files[1].exists() and "the file is where it was" in clips.notices[-1].message
    clips.undo()
    assert paths(clips)[:3] == [str(file) for file in files] and clips.state.current == str(files[1])


def test_an_example_stays(clips, example):
    clips.remove(example.path)
    assert paths(clips) == [example.path] and "comes with the studio" in clips.notices[-1].message


def test_what_is_no_file_is_refused_with_a_sentence(clips, tmp_path, example):
    clips.add(str(tmp_path), str(tmp_path / "gone.mp4"))
    assert paths(clips) == [example.path]
    assert [notice.message for notice in clips.notices] == [
        f"{tmp_path.name} is not a file that is there.",
        "gone.mp4 is not a file that is there.",
    ]


def test_a_clip_that_cannot_be_read_says_why_on_the_shelf(clips, engine, tmp_path):
    file = tmp_path / "notes.txt"
    file.write_bytes(b"x")
    clips.add(str(file))
    engine.fail(engine.last(LookAtClip), "data", "notes.txt cannot be read as sound or video.", "Play it.")
    assert clips.state.item.problem == "notes.txt cannot be read as sound or video. Play it."
    assert (clips.state.busy, engine.asked(LookAtClip)) == ("", []), "and is not asked about again and again"


def test_the_look_is_taken_again_when_the_engine_came_back(clips, engine, example, folder):
    clips.choose(example.path)
    engine.die()
    engine.come_back()
    assert [call.body.clip for call in engine.asked(LookAtClip)] == [example.path]
    assert clips.notices == [] and clips.state.item.problem == ""


def test_words_mouths_files_and_the_choice_outlive_the_window(
    clips, engine, settings, folder, example, tmp_path
):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"x")
    clips.add(str(file))
    clips.set_reference(str(file), "  set white with p two soon ")
    clips.set_place(MOUTH)
    clips.set_reference(example.path, "mine")
    again = Clips(engine, settings)
    listed(engine, folder, example)
    assert [(c.title, c.text) for c in again.state.clips] == [
        ("a.mp4", "set white with p two soon"),
        ("Bin blue", "mine"),
    ]
    assert (again.state.current, again.state.place) == (str(file), MOUTH)
    assert engine.last(LookAtClip).body == LookAtClip(clip=str(file), place=MOUTH)


def test_a_mouth_set_by_hand_is_looked_at_anew_and_can_be_given_up(clips, engine, example):
    clips.choose(example.path)
    engine.answer(engine.last(LookAtClip), card(example.path))
    clips.set_place(MOUTH)
    assert (clips.state.place, clips.state.card) == (MOUTH, None)
    assert engine.last(LookAtClip).body.place == MOUTH
    clips.set_place(None)
    assert (clips.state.place, clips.state.card.path) == (None, example.path), "that was known before"


def test_what_another_version_kept_is_let_go(engine, settings):
    settings.setValue("speech/clips", '{"files": 3}')
    assert Clips(engine, settings).state.clips == ()


def test_a_chosen_recording_that_vanished_is_chosen_no_more(engine, settings, folder, example):
    made = record(folder, "mine")
    clips = Clips(engine, settings)
    listed(engine, folder, example)
    clips.choose(made)
    Path(made).unlink()
    again = Clips(engine, settings)
    listed(engine, folder, example)
    assert again.state.current == ""
