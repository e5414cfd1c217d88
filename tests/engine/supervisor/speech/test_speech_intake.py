"""What a person brings: looked into, refused or made ready, its licence first."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from engine.formats.errors import StudioError
from engine.messages import ImportSpeech
from engine.speech import convert
from engine.supervisor.speech_cards import card_of, part_of
from engine.supervisor.speech_intake import inspect, make_ready
from tests.engine.speech.conftest import make_encoder
from tests.engine.speech.test_convert import SMALL, llama_avsr


@pytest.fixture
def encoder_file(tmp_path):
    torch.save({"model": make_encoder(SMALL).state_dict()}, tmp_path / "hubert.pt")
    return tmp_path / "hubert.pt"


@pytest.fixture
def model_file(tmp_path):
    state = llama_avsr(dict(make_encoder(SMALL).state_dict()), audio=4, video=2, whisper=16)
    torch.save(state, tmp_path / "avsr.pth")
    return tmp_path / "avsr.pth"


def take(path, target, parts=None, **about):
    make_ready(ImportSpeech(path=str(path), out="new", **about), parts or {}, target)
    return card_of("new", target)


def test_a_checkpoint_of_av_hubert(encoder_file, tmp_path):
    seen = inspect(str(encoder_file))
    assert (seen.kind, seen.problem, seen.needs) == ("AV-HuBERT", "", [])
    assert "non-commercial" in seen.license and seen.license_name.startswith("AV-HuBERT")
    assert ("Encoder", "2 layers, 128 wide") in seen.facts and seen.bytes > 1000
    with pytest.raises(StudioError, match="terms") as refused:
        take(encoder_file, tmp_path / "new")
    assert refused.value.code == "refused" and not (tmp_path / "new").exists()
    card = take(encoder_file, tmp_path / "new", accepted=True)
    assert (card.kind, card.problem) == ("av-hubert", "") and card.license == seen.license_name


def test_a_checkpoint_of_llama_avsr_names_what_it_needs(model_file, made, tmp_path):
    seen = inspect(str(model_file))
    assert (seen.kind, seen.needs) == ("Llama-AVSR", ["ear", "llm"])
    assert ("Rates of sound", "4") in seen.facts and ("Language model", "32 wide") in seen.facts
    with pytest.raises(StudioError, match="does not bring what it hears with and its language model") as told:
        take(model_file, tmp_path / "new", accepted=True)
    assert told.value.hint == "Name it with --ear NAME --llm NAME."
    parts = {"ear": str(made.whisper), "llm": str(made.base)}
    card = take(model_file, tmp_path / "new", parts, accepted=True)
    assert (card.kind, card.problem, card.modes) == ("llama-avsr", "", ["audio", "video", "both"])
    assert (card.audio_rates, card.video_rates) == ([4], [2])
    assert card.parts == {"ear": "whisper", "eye": "the AV-HuBERT that came with it", "llm": "tiny"}


def test_an_ear_of_another_width_is_told_to_the_converter(tmp_path, made):
    torch.save(llama_avsr(audio=4), tmp_path / "it.pth")  # its Whisper is 16 wide, which it does not say
    parts = {"ear": str(made.whisper), "llm": str(made.base)}
    assert take(tmp_path / "it.pth", tmp_path / "new", parts, accepted=True).audio_rates == [4]


def test_a_checkpoint_that_does_not_tell_its_whisper_says_so_and_takes_the_one_that_is_named(tmp_path, made):
    torch.save(llama_avsr(audio=4), tmp_path / "it.pth")  # its Whisper is 16 wide, which it does not say
    seen = inspect(str(tmp_path / "it.pth"))
    assert (seen.kind, seen.problem, seen.needs) == ("Llama-AVSR", "", ["ear", "llm"])
    ((_, rates),) = [fact for fact in seen.facts if fact[0] == "Rates of sound"]
    assert "has to be named" in rates and "Whisper" not in dict(seen.facts)
    with pytest.raises(StudioError, match="does not tell which Whisper"):
        convert.convert(tmp_path / "it.pth", tmp_path / "new", accepted=True)


def test_parts_of_another_width_are_found_without_opening_them(made, tmp_path):
    for part, config, said in (
        (
            "llm",
            {"hidden_size": 48},
            "The language model of this speech model is 48 wide, and the model was made",
        ),
        ("encoder", {"width": 64}, "of this speech model is 64 wide, and the model was made for one of 32"),
    ):
        source = shutil.copytree(made.reader, tmp_path / part)
        path = source / part / "config.json"
        whole = json.loads(path.read_text())
        (whole if part == "llm" else whole["encoder"]).update(config)
        path.write_text(json.dumps(whole))
        assert said in inspect(str(source)).problem
        with pytest.raises(StudioError, match="wide"):
            take(source, tmp_path / f"new {part}")


def test_folders(made, tmp_path):
    assert inspect(str(made.whisper)).kind == "Whisper"
    assert inspect(str(made.encoder)).kind == "AV-HuBERT"
    whole = inspect(str(made.reader))
    assert whole.kind == "Speech model" and ("Ear", "a tiny AV-HuBERT") in whole.facts
    assert take(made.whisper, tmp_path / "whisper").kind == "whisper"
    assert take(made.encoder, tmp_path / "encoder").kind == "av-hubert"
    assert take(made.reader, tmp_path / "reader").modes == ["audio", "video", "both"]
    assert (tmp_path / "reader" / "llm" / "tokenizer.json").is_file()
    bridges = inspect(str(made.reader / "speech"))
    assert (bridges.kind, bridges.needs) == ("Llama-AVSR", ["ear", "eye", "llm"])
    parts = dict.fromkeys(("ear", "eye"), str(made.encoder)) | {"llm": str(made.base)}
    assert take(made.reader / "speech", tmp_path / "again", parts).audio_rates == [2, 5]


def test_only_what_models_are_made_of_is_copied(made, tmp_path):
    source = shutil.copytree(made.reader, tmp_path / "source")
    (source / "run.py").write_text("print()")
    take(source, tmp_path / "new")
    assert not (tmp_path / "new" / "run.py").exists()
    (source / "llm" / "more.json").symlink_to("/etc/passwd")
    with pytest.raises(StudioError, match="a link to a file elsewhere"):
        take(source, tmp_path / "other")


@pytest.mark.parametrize("what", ["absent", "empty folder", "text file", "another model", "damaged"])
def test_what_is_nothing_of_speech_is_said(made, tmp_path, what):
    path = tmp_path / "it"
    match what:
        case "empty folder":
            path.mkdir()
        case "text file":
            path.write_text("hello")
        case "another model":
            path = Path(made.base)
        case "damaged":
            shutil.copytree(made.reader, path)
            (path / "speech" / "speech.json").write_text("{}")
    seen = inspect(str(path))
    assert seen.problem.endswith(".") and (seen.hint or what == "damaged")
    with pytest.raises(StudioError):
        take(path, tmp_path / "new", accepted=True)


def test_parts_of_models(made):
    assert part_of("eye", made.reader) == made.reader / "encoder"
    assert part_of("llm", made.reader) == made.reader / "llm"
    assert part_of("ear", made.whisper) == made.whisper
