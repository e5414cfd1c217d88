"""The shelf of speech models: what is on it, what comes and goes, and what is damaged."""

import asyncio
import json
import shutil

import pytest

from engine.formats.errors import StudioError
from engine.hub.cache import cached_repos
from engine.messages import Download
from engine.supervisor.entry import origin_now
from engine.supervisor.speech_shelf import SpeechShelf

COMMIT = "a" * 40


def adopt(shelf, folder, name, tmp_path):
    ready = shutil.copytree(folder, tmp_path / f"ready-{name}")  # as an import leaves it
    asyncio.run(shelf.adopt(ready, name, origin_now(path="/from")))


def cache(root, repo, folder):
    """A snapshot as the client of the Hub leaves it; the cached repositories of the folder ``root``."""
    place = root / f"models--{repo.replace('/', '--')}"
    snapshot = place / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (place / "blobs").mkdir()
    for number, path in enumerate(sorted(folder.iterdir())):
        blob = place / "blobs" / f"{number:064x}"
        shutil.copyfile(path, blob)
        (snapshot / path.name).symlink_to(blob)
    return cached_repos(root)


def test_what_comes_in_is_a_card_and_survives(shelf, made, home, tmp_path):
    adopt(shelf, made.reader, "mine", tmp_path)
    (card,) = shelf.cards()
    assert (card.name, card.kind, card.modes, card.problem) == (
        "mine",
        "llama-avsr",
        ["audio", "video", "both"],
        "",
    )
    assert (card.audio_rates, card.video_rates, card.license) == ([2, 5], [2, 5], "MIT")
    assert card.parts["llm"] == "a tiny Llama" and card.parameters > 1000 and card.bytes > 4000
    assert card.tokens_per_second == (25.0, 25.0) and card.created > 1.7e9
    again = SpeechShelf(home, tmp_path / "starter", lambda: None)
    assert again.cards() == [card] and again.find("mine") == card


def test_the_demo_is_there_once_it_was_installed(shelf, made, tmp_path):
    with pytest.raises(StudioError, match="no speech model called demo") as missing:
        shelf.find("demo")
    assert "openai/whisper" in missing.value.hint
    shutil.copytree(made.reader, tmp_path / "starter" / "model")
    card = json.loads((made.reader / "model.json").read_text()) | {"kind": "demo"}
    (tmp_path / "starter" / "model" / "model.json").write_text(json.dumps(card))
    found = shelf.find("demo")
    assert (found.name, found.kind) == ("demo", "demo")
    with pytest.raises(StudioError, match="belongs to the studio"):
        asyncio.run(shelf.remove("demo"))
    with pytest.raises(StudioError, match="already is a speech model called demo"):
        shelf.check_free("Demo")


def test_the_demos_clips(shelf, tmp_path):
    assert shelf.examples() == []
    folder = tmp_path / "starter" / "examples"
    folder.mkdir(parents=True)
    listed = [{"file": "a.mkv", "title": "One", "text": "bin blue at a one now"}]
    (folder / "examples.json").write_text(json.dumps(listed))
    (example,) = shelf.examples()
    assert (example.path, example.title) == (str(folder / "a.mkv"), "One")
    (folder / "examples.json").write_text("[")
    with pytest.raises(StudioError, match="damaged"):
        shelf.examples()


def test_whispers_of_the_cache_are_cards_by_themselves(shelf, made, tmp_path):
    repos = cache(tmp_path / "hub", "openai/whisper-base.en", made.whisper)
    assert [(repo.room, repo.repo) for repo in repos] == [("speech", "openai/whisper-base.en")]
    shelf.see_whispers(repos)
    shelf.see_whispers(repos)
    assert len(shelf.told) == 1
    card = shelf.find("whisper-base.en")
    assert (card.kind, card.modes, card.problem) == ("whisper", ["audio"], "")
    both = cache(tmp_path / "hub", "ada/whisper-base.en", made.whisper)
    shelf.see_whispers(both)
    assert [card.name for card in shelf.cards()] == ["whisper-base.en", "openai-whisper-base.en"]


def test_a_cached_whisper_goes_off_the_list_and_back(shelf, made, tmp_path):
    shelf.see_whispers(cache(tmp_path / "hub", "openai/whisper-base.en", made.whisper))
    path = asyncio.run(shelf.remove("whisper-base.en"))
    assert shelf.cards() == [] and path.endswith(COMMIT) and (tmp_path / "hub").exists()
    assert asyncio.run(shelf.restore(path)) == "whisper-base.en"
    assert shelf.find("whisper-base.en").path == path


def test_the_trash_and_back(shelf, made, home, tmp_path):
    adopt(shelf, made.reader, "mine", tmp_path)
    path = asyncio.run(shelf.remove("mine"))
    assert shelf.cards() == [] and path.startswith(str(home.trash))
    assert asyncio.run(shelf.restore(path)) == "mine"
    assert shelf.find("mine").problem == ""
    with pytest.raises(StudioError, match="no removed speech model"):
        asyncio.run(shelf.restore(path))
    with pytest.raises(StudioError, match="no removed speech model"):
        asyncio.run(shelf.restore("/etc"))


def test_what_has_the_name_meanwhile_stays(shelf, made, tmp_path):
    adopt(shelf, made.reader, "mine", tmp_path)
    path = asyncio.run(shelf.remove("mine"))
    adopt(shelf, made.encoder, "mine", tmp_path / "other")
    with pytest.raises(StudioError, match="already is a speech model called mine"):
        asyncio.run(shelf.restore(path))
    assert shelf.find("mine").kind == "av-hubert"


@pytest.mark.parametrize(
    "damage, said",
    [
        (lambda folder: (folder / "model.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "encoder" / "model.safetensors").unlink(), "no .safetensors weights"),
        (lambda folder: shutil.rmtree(folder / "llm"), "not there any more"),
        (lambda folder: (folder / "speech" / "speech.safetensors").write_bytes(b"x" * 40), ""),
        (lambda folder: (folder / "model.json").unlink(), "no model.json"),
    ],
)
def test_what_is_damaged_is_listed_with_its_reason(shelf, made, tmp_path, damage, said):
    adopt(shelf, made.reader, "good", tmp_path)
    adopt(shelf, made.reader, "hurt", tmp_path)
    damage(tmp_path / "home" / "speech" / "hurt")
    good, hurt = shelf.cards()
    assert good.problem == "" and hurt.problem and said in hurt.problem and hurt.modes == []
    with pytest.raises(StudioError, match="hurt cannot be used"):
        shelf.find("hurt")
    asyncio.run(shelf.remove("hurt"))


def test_an_encoder_hears_and_sees_for_others(shelf, made, tmp_path):
    adopt(shelf, made.encoder, "hubert", tmp_path)
    card = shelf.find("hubert")
    assert (card.kind, card.modes) == ("av-hubert", []) and "name it as ear or eye" in card.note


def test_a_result_is_adopted_once(shelf, made, tmp_path):
    ready = shutil.copytree(made.reader, tmp_path / "ready")
    for _ in range(2):
        asyncio.run(shelf.adopt(ready, "mine", origin_now()))
    assert [card.name for card in shelf.cards()] == ["mine"]


def test_downloads_have_the_names_of_their_repositories(shelf, made, tmp_path):
    def ask(out, **about):
        shelf.check_download(Download(repo="openai/whisper-tiny", out=out, room="speech", **about))

    ask("whisper-tiny")
    with pytest.raises(StudioError, match="is called whisper-tiny here"):
        ask("other")
    shelf.see_whispers(cache(tmp_path / "hub", "openai/whisper-tiny", made.whisper))
    with pytest.raises(StudioError, match="already here, as whisper-tiny"):
        ask("whisper-tiny")
    ask("whisper-tiny", replace=True)


def test_a_damaged_list_of_the_hidden_hides_nothing(shelf, made, home, tmp_path):
    (home.speech / "hidden.json").write_text("[[")
    shelf.see_whispers(cache(tmp_path / "hub", "openai/whisper-tiny", made.whisper))
    assert [card.name for card in shelf.cards()] == ["whisper-tiny"]
