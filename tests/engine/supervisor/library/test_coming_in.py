"""What comes into the library: found sound or not taken, the same weights told, links not followed."""

import json
import shutil
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import load_file, save_file

from engine.formats.errors import StudioError
from engine.messages import Download
from engine.supervisor.folders import hashes
from engine.supervisor.starter import STARTER
from tests.engine.supervisor.library.conftest import COMMIT, WEIGHTS


def first(tensors, part):
    return next(name for name in tensors if part in name)


def broken(value):
    def change(tensors):
        tensors[first(tensors, "lora_B")][0, 0] = value
        return tensors

    return change


def silent(tensors):
    return {name: numpy.zeros_like(x) if "lora_B" in name else x for name, x in tensors.items()}


@pytest.mark.parametrize("value", [numpy.nan, numpy.inf])
def test_numbers_that_are_none_are_refused(room, value):
    with pytest.raises(StudioError, match=r"NaN or infinity\), in .*lora_B"):
        room.bring(room.make("bad", weights=broken(value)))
    assert "bad" not in room.names() and list(room.home.tmp.iterdir()) == []
    assert list(room.home.adapters.iterdir()) == []


def test_the_same_weights_under_another_name_are_refused_whatever_the_file(room):
    again = room.make("again")
    save_file(load_file(again / WEIGHTS), again / WEIGHTS, {"made": "elsewhere"})
    with pytest.raises(StudioError, match="already in the library as reverse"):
        room.bring(again)
    room.do("remove", "adapters", "reverse")
    with pytest.raises(StudioError, match="Use reverse, after bringing it back"):
        room.bring(again)


def test_the_same_weights_at_another_strength_are_told(room):
    card, twin = room.bring(room.make("strong", alpha=32))
    assert card.name == "strong" and twin.sentence == (
        "It has the same weights as reverse, at 2 times its strength."
    )
    other, none = room.bring(room.make("other", factor=1.25))
    assert other.name == "other" and none is None


def test_another_gate_is_told(room):
    folder = room.make("gated")
    shutil.copyfile(folder / WEIGHTS, folder / "gate.safetensors")
    assert room.bring(folder)[1].how == "with another gate of its own"


def test_links_to_other_files_are_not_taken_along(room):
    secret = room.folder / "secret"
    secret.write_text("mine")
    folder = room.make("linked", factor=2.0)
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to(secret)
    with pytest.raises(StudioError, match="link") as caught:
        room.bring(folder)
    assert caught.value.code == "refused" and "linked" not in room.names()


def test_an_address_is_answered_with_the_download(room):
    for text in ("ada/tune", "https://huggingface.co/ada/tune", "hf://ada/tune"):
        with pytest.raises(StudioError, match="hub download ada/tune") as caught:
            room.bring(text)
        assert caught.value.code == "usage"
    with pytest.raises(StudioError, match="hub download ada/tune --revision v2"):
        room.bring("ada/tune@v2")


def test_an_older_layout_is_converted_and_says_so(room):
    """Weights under the name that early PEFT gave them, as torch saved them."""
    folder = room.make("old", factor=3.0)
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")  # safetensors inside, recognised by content
    card, _ = room.bring(folder)
    assert card.converted and Path(card.path, WEIGHTS).is_file() and card.source == "import"
    entry = room.library._entry("adapters", "old")
    assert entry.origin.path == str(folder) and set(entry.origin.files) >= {"adapter_model.bin"}
    told = room.library.provenance("adapters", "old")
    assert ("Converted from", card.converted) in told.facts
    assert any(what == "Original adapter_model.bin" for what, _ in told.facts)
    assert room.do("verify", "old")[0].ok


def as_kohya(folder, file):
    """The adapter in ``folder`` as kohya's trainers write it: one file, with an alpha beside each pair."""
    tensors = {}
    for name, tensor in load_file(folder / WEIGHTS).items():
        path = name.removeprefix("base_model.model.").rpartition(".lora_")[0]
        key = "lora_te_" + path.replace(".", "_")
        tensors[f"{key}.{'lora_down' if 'lora_A' in name else 'lora_up'}.weight"] = tensor
        tensors[f"{key}.alpha"] = numpy.array(16.0, numpy.float32)
    save_file(tensors, file, {"ss_network_module": "networks.lora"})
    return file


def test_a_single_file_of_another_trainer_is_converted(room):
    card, twin = room.bring(as_kohya(room.make("one", factor=1.25), room.folder / "from kohya.safetensors"))
    assert (card.name, card.converted, card.rank, card.kind) == ("from-kohya", "kohya", 8, "lora")
    assert twin is None and room.do("verify", card.name)[0].ok
    told = room.library.provenance("adapters", card.name)
    assert "Original from kohya.safetensors" in dict(told.facts) and "'" in told.command
    with pytest.raises(StudioError, match="already in the library as from-kohya"):
        room.bring(room.make("same", factor=1.25))


def test_a_download_of_another_format_is_converted(room):
    folder = room.folder / "fetched"
    folder.mkdir()
    as_kohya(room.make("one", factor=1.25), folder / WEIGHTS)
    card = room.fetched("tune", folder=folder)
    assert (card.converted, card.source, card.commit) == ("kohya", "hub", COMMIT)
    assert room.fetched("tune", folder=folder) == card


def test_a_file_of_another_kind_is_refused_with_its_reason(room):
    path = room.folder / "notes.safetensors"
    path.write_bytes(b"hello")
    with pytest.raises(StudioError) as caught:
        room.bring(path)
    assert "There is no folder" not in caught.value.message


# --- downloads ---


def test_a_download_is_taken_in_once(room):
    folder = room.make("fetched", factor=1.5)
    card = room.fetched("tune", folder=folder)
    assert (card.source, card.repo, card.commit) == ("hub", "ada/tune", COMMIT)
    before = hashes(Path(card.path)), room.library._entry("adapters", "tune").origin
    room.fetched("tune", folder=folder)  # as an engine repeats that was killed after it
    assert (hashes(Path(card.path)), room.library._entry("adapters", "tune").origin) == before
    told = room.library.provenance("adapters", "tune")
    assert told.command == f"adapter-studio hub download ada/tune --revision {COMMIT} --name tune"
    assert dict(told.facts)["Address"].endswith(f"/ada/tune/tree/{COMMIT}") and told.files[WEIGHTS]


def test_another_revision_takes_its_place_and_the_old_one_lies_in_the_trash(room):
    room.fetched("tune")
    room.library.describe("tune", True, ["mine", "good"], "keep this")
    newer = room.fetched("tune", commit="b" * 40, factor=1.75)
    assert (newer.commit, newer.favourite, newer.tags, newer.note) == (
        "b" * 40,
        True,
        ["mine", "good"],
        "keep this",
    )
    room.do("remove", "adapters", "tune")
    room.do("empty_trash", [])
    assert "tune" not in room.names()
    room.fetched("tune")
    room.fetched("tune", commit="b" * 40, factor=1.75)
    room.do("rename", "adapters", "tune", "newer")
    room.do("restore", "adapters", "tune")
    assert room.library.adapter("tune").commit == COMMIT
    assert room.library.adapter("newer").commit == "b" * 40


@pytest.mark.parametrize("fault", ["nan", "hash", "cut"])
def test_a_download_that_is_not_sound_leaves_the_old_one(room, fault):
    room.fetched("tune")
    before = hashes(Path(room.library.adapter("tune").path))
    folder = room.make("worse", weights=broken(numpy.nan) if fault == "nan" else None, factor=1.1)
    promised = hashes(folder)
    if fault == "hash":
        promised[WEIGHTS] = "0" * 64
    if fault == "cut":
        (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-4])
        promised = hashes(folder)
    spec = Download(repo="ada/tune", out="tune", replace=True)
    with pytest.raises(StudioError):
        room.do("adopt_download", folder, spec, "c" * 40, promised)
    card = room.library.adapter("tune")
    assert card.commit == COMMIT and hashes(Path(card.path)) == before
    assert list(room.home.trash.iterdir()) == [] and list(room.home.tmp.iterdir()) == []


def test_a_download_takes_the_place_of_nothing_else(room):
    room.bring(room.make("mine", factor=2.0))
    for name in ("mine", "reverse"):
        with pytest.raises(StudioError, match=f"already is an adapter called {name}"):
            room.fetched(name)
    room.fetched("tune")
    with pytest.raises(StudioError, match="already is an adapter called tune"):
        room.fetched("tune", repo="eve/tune")


def test_a_base_is_used_where_it_lies(room):
    folder = room.folder / "snapshots" / COMMIT
    shutil.copytree(STARTER / "base", folder)
    card = room.fetched("small", repo="ada/small", folder=folder, room="bases")
    assert (card.path, card.repo, card.commit, card.source) == (str(folder), "ada/small", COMMIT, "hub")
    assert card.bytes == (folder / "model.safetensors").stat().st_size
    assert room.fetched("small", repo="ada/small", folder=folder, room="bases") == card
    room.open()
    assert room.library.base("small") == card


def test_what_is_for_a_base_of_the_hub_finds_it_under_its_name_here(room):
    folder = room.make("tuned", factor=1.3)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "ada/small"}))
    assert room.bring(folder)[0].base == "ada/small"
    base = room.folder / "snapshots" / COMMIT
    shutil.copytree(STARTER / "base", base)
    room.fetched("mini", repo="ada/small", folder=base, room="bases")
    assert room.library.adapter("tuned").base == "mini"


def test_a_full_store_leaves_nothing_half(room, monkeypatch):
    """The store refuses after the folder has been put in its place: it is taken away again."""
    room.fetched("tune")
    before, made = [*room.home.adapters.iterdir()], room.make("made", factor=3.0)

    def refuse(*arguments):
        raise StudioError("disk", "The disk is full.")

    gone = room.fetched("gone", repo="ada/gone", factor=2.5)
    room.do("remove", "adapters", gone.name)
    (bin_,) = room.home.trash.iterdir()
    monkeypatch.setattr(room.store, "save_entry", refuse)
    monkeypatch.setattr(room.store, "drop_entry", refuse)
    for method, name in (("remove", "tune"), ("restore", "gone")):
        with pytest.raises(StudioError, match="full"):
            room.do(method, "adapters", name)
    with pytest.raises(StudioError, match="full"):
        room.bring(room.make("mine", factor=2.0))
    with pytest.raises(StudioError, match="full"):
        room.fetched("tune", commit="b" * 40, factor=1.75)
    with pytest.raises(StudioError, match="full"):
        room.do("adopt", "adapters", made, "result")
    monkeypatch.undo()
    assert [*room.home.adapters.iterdir()] == before and room.library.adapter("tune").commit == COMMIT
    assert list(room.home.trash.iterdir()) == [bin_]
    room.do("restore", "adapters", "gone")
    room.do("adopt", "adapters", made, "result")
    assert room.names() >= {"gone", "tune", "result"}
    assert room.library.adapter("result").source == "training"


def test_a_result_waits_while_its_name_is_taken(room):
    output = room.make("output", factor=3.0)
    room.bring(room.make("mine", factor=2.0), "new")
    with pytest.raises(StudioError, match="Meanwhile something else is called new"):
        room.do("adopt", "adapters", output, "new")
    assert room.library.adapter("new").source == "import" and output.is_dir()
    room.do("rename", "adapters", "new", "other")
    room.do("adopt", "adapters", output, "new")
    room.do("adopt", "adapters", output, "new")
    assert room.library.adapter("new").source == "training" and not output.exists()
