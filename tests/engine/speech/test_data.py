"""Lists of clips, and clips that are kept on the disk."""

import json

import numpy
import pytest
import torch

from engine.formats.errors import DataError
from engine.speech.data import read_clip_list
from engine.speech.kept import KeptClips
from engine.speech.video import Recording


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    return tmp_path


def write(folder, *lines):
    (folder / "list.jsonl").write_text("\n".join(lines))
    return folder / "list.jsonl"


def test_paths_are_the_lists_own(folder, tmp_path_factory):
    path = write(
        folder,
        json.dumps({"clip": "a.wav", "text": "one"}),
        "",
        json.dumps({"clip": str(folder / "a.wav"), "text": "Two."}),
    )
    assert [(one.clip, one.text, one.line) for one in read_clip_list(path)] == [
        (folder / "a.wav", "one", 1),
        (folder / "a.wav", "Two.", 3),
    ]
    elsewhere = tmp_path_factory.mktemp("other")
    with pytest.raises(DataError, match=r"list.jsonl, line 1: there is no file a.wav"):
        read_clip_list(path, elsewhere)
    assert read_clip_list(path, elsewhere, there=False)[0].clip == elsewhere / "a.wav"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1]", "it is no object"),
        ("{", "it is not JSON"),
        ("\u00ff" * 10, "it is not JSON"),
        ('{"clip": "a.wav", "text": 3}', 'it has no "text"'),
        ('{"clip": "", "text": "a"}', 'it has no "clip"'),
        ('{"clip": "a.wav", "text": "..."}', "no words"),
        ('{"clip": "a\\u0000.wav", "text": "a"}', "is no path"),
        ("[" * 100_000, "it is not JSON"),
        (" " * (5 << 20), "longer than 4 MiB"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(folder, line, said):
    good = json.dumps({"clip": "a.wav", "text": "one"})
    with pytest.raises(DataError, match=r"list.jsonl, line 2: ") as bad:
        read_clip_list(write(folder, good, line + "x" if line.startswith(" ") else line))
    assert said in bad.value.message and bad.value.hint


def test_a_list_that_is_none(folder):
    with pytest.raises(DataError, match="names no clips"):
        read_clip_list(write(folder, "", " "))
    with pytest.raises(DataError, match="cannot be read"):
        read_clip_list(folder)


def test_kept_clips_are_what_they_were_and_cost_no_memory(tmp_path):
    kept = KeptClips.whole(tmp_path / "clips")
    sound = numpy.linspace(-1, 1, 5000, dtype=numpy.float32)
    mouth = numpy.arange(3 * 96 * 96).astype(numpy.uint8).reshape(3, 96, 96)
    kept.keep(Recording(sound, mouth), "both")
    kept.keep(Recording(None, mouth), "lips")
    kept.keep(Recording(sound, None), "sound")
    again = KeptClips.whole(tmp_path / "clips")
    assert len(again) == 3 and [again[n].text for n in range(3)] == ["both", "lips", "sound"]
    assert torch.equal(again[0].sound, torch.from_numpy(sound)) and torch.equal(
        again[0].mouth, torch.from_numpy(mouth)
    )
    assert again[1].sound is None and again[2].mouth is None
    again[0].sound.zero_()  # of this process alone
    assert again[0].sound.any()
    some = again.some([2, 0])
    assert [some[n].text for n in range(len(some))] == ["sound", "both"]


def test_a_clip_that_was_being_kept_when_it_ended_is_kept_anew(tmp_path):
    kept = KeptClips.whole(tmp_path / "clips")
    kept.keep(Recording(numpy.zeros(8, numpy.float32), None), "a")
    kept.keep(Recording(numpy.zeros(8, numpy.float32), None), "b")
    (tmp_path / "clips" / "000001.json").unlink()  # it is written last
    again = KeptClips.whole(tmp_path / "clips")
    assert len(again) == 1
    again.keep(Recording(numpy.ones(9, numpy.float32), None), "c")
    assert again[1].text == "c" and len(again[1].sound) == 9
