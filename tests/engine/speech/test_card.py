"""The card of a speech model's folder: what it says, and what of a stranger's folder is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from engine.formats.errors import StudioError
from engine.speech.card import Part, read_card, write_card
from tests.engine.speech import tiny


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_base_folder):
    from tests.engine.speech.conftest import make_encoder

    return tiny.write_reader(tmp_path_factory.mktemp("card") / "model", make_encoder(), tiny_base_folder)


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "model")


def change(folder, **fields):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_what_a_folder_says_of_itself(folder):
    card = read_card(folder)
    assert (card.kind, card.name, card.license) == ("llama-avsr", "model", "MIT")
    assert card.modes == ("audio", "video", "both") and card.tokens_per_second == (25.0, 25.0)
    assert card.config.audio_rates == (2, 5)
    assert {name: part.what for name, part in card.parts.items()} == {
        "ear": "a tiny AV-HuBERT", "eye": "a tiny AV-HuBERT", "llm": "a tiny Llama", "speech": ""
    }  # fmt: skip
    assert card.part("ear") == card.part("eye") == folder / "encoder"
    files = list(folder.rglob("*.safetensors"))
    assert len(files) == 4 and card.bytes == sum(file.stat().st_size for file in files)
    assert 0 < card.parameters * 4 < card.bytes


def test_a_whisper_needs_no_card(tmp_path):
    card = read_card(tiny.write_whisper(tmp_path / "whisper-tiny"))
    assert (card.kind, card.name, card.modes, card.config) == ("whisper", "whisper-tiny", ("audio",), None)
    (tmp_path / "mine").mkdir()
    write_card(tmp_path / "mine", "whisper", {"ear": Part(path=str(card.folder), what="Whisper tiny")})
    again = read_card(tmp_path / "mine")
    assert (again.name, again.parameters, again.part("ear")) == ("mine", card.parameters, card.folder)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("../encoder", "leads out of its folder"),
        ("encoder/../../x", "leads out of its folder"),
        ("enc\0oder", "leads out of its folder"),
        ("nowhere", "is not there any more"),
        ("/nowhere/at/all", "is not there any more"),
        ("model.json", "is not there any more"),
        ("speech", r"no config\.json"),
        ("llm", "not a Whisper or an AV-HuBERT"),
    ],
)
def test_a_part_that_is_not_one(folder, path, says):
    change(folder, ear={"path": path})
    with pytest.raises(StudioError, match=says):
        read_card(folder)


def test_a_link_does_not_lead_out_either(folder, tmp_path):
    shutil.move(folder / "encoder", tmp_path / "elsewhere")
    (folder / "encoder").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StudioError, match="leads out of its folder"):
        read_card(folder)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"kind": "pickle"}, "not one of a speech model"),
        ({"ear": "encoder"}, "not one of a speech model"),
        ({"ear": {"path": "encoder", "code": "x"}}, "not one of a speech model"),
        ({"ear": {"path": "encoder", "sha256": {"../x": "0"}}}, "names a file elsewhere"),
        ({"ear": None}, "needs an ear and names none"),
        ({"eye": None}, "needs an eye and names none"),
        ({"llm": {"path": "gone"}}, "llm of this speech model is not there"),
    ],
)
def test_a_card_that_cannot_be(folder, fields, says):
    change(folder, **fields)
    with pytest.raises(StudioError, match=says):
        read_card(folder)


def test_damage_is_seen_before_anything_is_loaded(folder, tmp_path):
    weights = folder / "llm" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-4])
    with pytest.raises(StudioError):
        read_card(folder)
    weights.write_bytes(b"\x80\x04" + whole)
    with pytest.raises(StudioError):
        read_card(folder)
    weights.unlink()
    with pytest.raises(StudioError, match=r"no \.safetensors weights in llm"):
        read_card(folder)
    (folder / "speech" / "speech.json").write_text('{"speech": 3}')
    with pytest.raises(StudioError, match="no speech model's configuration"):
        read_card(folder)
    with pytest.raises(StudioError, match=r"no model\.json in empty"):
        (tmp_path / "empty").mkdir()
        read_card(tmp_path / "empty")


def test_a_llm_that_brings_code_is_refused(folder):
    config = folder / "llm" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"auto_map": {"AutoModel": "x.Y"}}))
    with pytest.raises(StudioError, match="brings its own code"):
        read_card(folder)


def test_a_home_that_was_moved_took_the_parts_along(made, tmp_path):
    shelf = tmp_path / "home" / "speech"
    shutil.copytree(made, shelf / "mine")
    shutil.move(shelf / "mine" / "encoder", shelf / "hubert")
    change(shelf / "mine", ear={"path": str(shelf / "hubert")}, eye={"path": str(shelf / "hubert")})
    assert read_card(shelf / "mine").part("ear") == shelf / "hubert"
    moved = shutil.move(tmp_path / "home", tmp_path / "elsewhere") / "speech"
    assert read_card(moved / "mine").part("ear") == moved / "hubert"
    shutil.rmtree(moved / "hubert")
    with pytest.raises(StudioError, match="ear of this speech model is not there any more"):
        read_card(moved / "mine")


def test_what_was_taught_single_sentences_says_so(folder):
    assert not read_card(folder).sentences
    change(folder, sentences=True)
    assert read_card(folder).sentences
    change(folder, sentences=False, kind="demo")
    assert read_card(folder).sentences


def test_cards_need_no_torch():
    code = "import engine.speech.card, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
