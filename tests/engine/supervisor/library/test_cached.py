"""The Hugging Face cache on the shelf: used in place, kept in step, its links held to its own blobs."""

import asyncio
import hashlib
import os
import shutil
from pathlib import Path

import pytest

from engine.hub.cache import Cache
from engine.supervisor.starter import STARTER
from tests.engine.supervisor.library.conftest import COMMIT, WEIGHTS


def put(repo, commit, folder, point=True):
    """Lay the files of ``folder`` into the cache as the Hub's own client does."""
    cache, names = Cache(), {}
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        etag = hashlib.sha256(file.read_bytes()).hexdigest()
        blob = cache.blob(repo, etag)
        blob.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, blob)
        names[file.name] = etag
    if point:
        cache.refer(repo, "main", commit)
    return cache.point(repo, commit, names)


def cached(room):
    asyncio.run(room.library.watch_cache())
    return {card.name: card for card in room.library.adapters() if card.source == "cache"}


def test_what_is_there_appears_and_goes(room):
    snapshot = put("ada/tune", COMMIT, room.make("a", factor=1.5))
    put("ada/small", COMMIT, STARTER / "base")
    card = cached(room)["tune"]
    assert (card.path, card.repo, card.commit) == (str(snapshot), "ada/tune", COMMIT)
    base = room.library.base("small")
    assert (base.source, base.repo, base.bytes > 100_000) == ("cache", "ada/small", True)
    assert room.do("verify", "tune")[0].ok
    assert list(room.home.adapters.iterdir()) == []
    facts = dict(room.library.provenance("adapters", "tune").facts)
    assert facts["Came"] == "found in the Hugging Face cache, used where it lies"
    use = {(item.place, item.name) for item in room.do("disk_use").items}
    assert ("cache", "ada/tune") in use and ("adapters", "tune") not in use
    shutil.rmtree(Cache().root / "models--ada--tune")
    assert cached(room) == {}


def test_a_newer_commit_keeps_what_was_said(room):
    put("ada/tune", COMMIT, room.make("a", factor=1.5))
    cached(room)
    room.do("rename", "adapters", "tune", "mine")
    room.library.describe("mine", True, ["x"], None)
    snapshot = put("ada/tune", "b" * 40, room.make("b", factor=1.75))
    card = cached(room)["mine"]
    assert (card.commit, card.path, card.favourite, card.tags) == ("b" * 40, str(snapshot), True, ["x"])
    room.open()
    assert set(cached(room)) == {"mine"}


def test_what_was_removed_stays_hidden(room):
    put("ada/tune", COMMIT, room.make("a", factor=1.5))
    cached(room)
    room.do("remove", "adapters", "tune")
    put("ada/tune", "b" * 40, room.make("b", factor=1.75))
    assert cached(room) == {}
    room.open()
    assert cached(room) == {}
    room.do("restore", "adapters", "tune")
    assert cached(room)["tune"].commit == "b" * 40


def test_names_that_are_taken_get_their_owners(room):
    put("ada/reverse", COMMIT, room.make("a", factor=1.5))
    put("eve/reverse", COMMIT, room.make("b", factor=1.75))
    assert set(cached(room)) == {"ada-reverse", "eve-reverse"}


def test_what_was_downloaded_into_the_home_is_not_there_twice(room):
    room.fetched("tune")
    put("ada/tune", COMMIT, room.make("a", factor=1.5))
    assert cached(room) == {}


def test_a_base_that_was_fetched_takes_its_own_place(room):
    snapshot = put("ada/small", COMMIT, STARTER / "base")
    asyncio.run(room.library.watch_cache())
    card = room.fetched("mini", repo="ada/small", folder=snapshot, room="bases")
    assert card.source == "hub" and [base.name for base in room.library.bases()] == ["mini", "starter-llama"]


@pytest.mark.parametrize("where", ["outside", "sibling"])
def test_links_that_lead_out_of_the_blobs_are_left_out(room, where):
    made = room.make("a", factor=1.5)
    snapshot = put("ada/tune", COMMIT, made)
    elsewhere = room.folder / "secret" if where == "outside" else snapshot.parents[2] / "secret"
    shutil.copyfile(made / WEIGHTS, elsewhere)
    (snapshot / WEIGHTS).unlink()
    (snapshot / WEIGHTS).symlink_to(os.path.relpath(elsewhere, snapshot))
    assert cached(room) == {}
    with pytest.raises(Exception, match="link"):
        room.bring(snapshot, "tune")


def test_what_cannot_be_used_is_left_out_and_the_rest_is_there(room):
    broken = room.make("a", factor=1.5)
    (broken / WEIGHTS).write_bytes((broken / WEIGHTS).read_bytes()[:-1])
    put("ada/broken", COMMIT, broken)
    put("ada/tune", COMMIT, room.make("b", factor=1.75))
    assert set(cached(room)) == {"tune"}
    room.open()
    assert room.complaints == []


def test_a_changed_blob_is_found(room):
    snapshot = put("ada/tune", COMMIT, room.make("a", factor=1.5))
    cached(room)
    blob = Path(snapshot, WEIGHTS).resolve()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    assert "not what it was" in room.do("verify", "tune")[0].detail


def test_a_base_that_another_program_is_still_fetching_appears_when_it_is_whole(room):
    part = Path(shutil.copytree(STARTER / "base", room.folder / "part"))
    (part / "tokenizer.json").unlink()
    snapshot = put("ada/small", COMMIT, part)
    cached(room)
    assert "small" not in {base.name for base in room.library.bases()}
    shutil.copyfile(STARTER / "base" / "tokenizer.json", snapshot / "tokenizer.json")
    cached(room)
    assert room.library.base("small").repo == "ada/small"


@pytest.mark.parametrize("kind", ["bases", "adapters"])
def test_what_was_taken_off_the_list_may_be_fetched_again_under_its_name(room, kind):
    folder = STARTER / "base" if kind == "bases" else room.make("a", factor=1.5)
    snapshot = put("ada/thing", COMMIT, folder)
    cached(room)
    room.do("remove", kind, "thing")
    room.library.check_free(kind, "thing")  # as a download asks before it begins
    card = room.fetched("thing", repo="ada/thing", folder=snapshot, room=kind)
    assert (card.source, card.name) == ("hub", "thing")
    cached(room)
    room.open()
    cards = room.library.bases() if kind == "bases" else room.library.adapters()
    assert [card.source for card in cards if card.repo == "ada/thing"] == ["hub"]
