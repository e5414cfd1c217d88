"""What people do with what is on the shelves: names, words, uses, the trash, the disk, provenance."""

import json
import shutil
import time
from pathlib import Path

import msgspec
import numpy
import pytest

from engine import messages as m
from engine.formats.errors import StudioError
from engine.supervisor.entry import made_by
from engine.supervisor.home import Home
from engine.supervisor.starter import STARTER
from tests.engine.supervisor.library.conftest import WEIGHTS
from tests.engine.supervisor.mix_on_disk import write_mix


def job(spec, state="running", key="j1"):
    return m.Job(
        id=key,
        kind="x",
        name=getattr(spec, "out", "") or key,
        state=state,
        step=7,
        steps=9,
        message="",
        spec=spec,
    )


def adopt_mix(room, name, experts, spec=None):
    folder = room.folder / "output"
    write_mix(folder, name, experts)
    origin = made_by(job(spec), {"data": "d" * 64}, {}) if spec else None
    room.do("adopt", "mixes", folder, name, {}, origin)


# --- names ---


def test_rename_moves_the_folder_and_keeps_what_was_said(room):
    room.bring(room.make("mine", factor=2.0))
    room.library.describe("mine", True, ["one"], "a note")
    room.do("rename", "adapters", "mine", "yours")
    card = room.library.adapter("yours")
    assert Path(card.path) == room.home.adapters / "yours" and not (room.home.adapters / "mine").exists()
    assert (card.favourite, card.tags, card.note) == (True, ["one"], "a note")
    assert room.do("verify", "yours")[0].ok and "mine" not in room.names()
    room.do("rename", "adapters", "yours", "Yours")  # only the case of a letter
    room.open()
    assert "Yours" in room.names() and "yours" not in room.names()


@pytest.mark.parametrize("to", ["reverse", "REVERSE", "../x", "", "a/b", "con\x00"])
def test_names_that_cannot_be(room, to):
    room.bring(room.make("mine", factor=2.0))
    with pytest.raises(StudioError) as caught:
        room.do("rename", "adapters", "mine", to)
    assert caught.value.code == "usage" and "mine" in room.names()


def test_what_lies_elsewhere_is_renamed_where_it_lies(room):
    room.do("rename", "adapters", "reverse", "backwards")
    assert room.library.adapter("backwards").path == str(STARTER / "adapters" / "reverse")
    room.open()
    assert "backwards" in room.names() and "reverse" not in room.names()


def test_a_base_is_found_by_its_former_name(room):
    adopt_mix(room, "both", ["reverse", "sort"])
    room.do("rename", "bases", "starter-llama", "small")
    room.open()
    assert [card.name for card in room.library.bases()] == ["small"]
    assert room.library.base("starter-llama").name == "small"
    assert {card.base for card in room.library.adapters()} == {"small"}
    with pytest.raises(StudioError, match="once called starter-llama"):
        room.do("add_base", str(STARTER / "base"), "starter-llama")
    room.do("rename", "bases", "small", "starter-llama")
    assert room.library.base("starter-llama").name == "starter-llama"


def test_a_card_of_an_older_version_learns_its_ranks_from_the_folder(room):
    adopt_mix(room, "both", ["reverse", "sort"])
    entry = room.library._entry("mixes", "both")
    known = msgspec.structs.replace(entry.card, ranks={}, kinds={})
    old = msgspec.structs.replace(entry, card=known)
    room.library._keep("mixes", old)
    assert room.library.mix("both").ranks == {"reverse": (1, 8), "sort": (1, 8)}
    assert room.library.mix("both").kinds == {"reverse": "lora", "sort": "lora"}


def test_a_renamed_mix_plays_and_travels_under_its_new_name(room):
    adopt_mix(room, "both", ["reverse", "sort"])
    room.do("rename", "mixes", "both", "pair")
    (card,) = room.library.mixes()
    assert (card.name, card.former) == ("pair", ["both"])
    room.do("copy_mix", "pair", str(room.folder / "out"), {})
    assert json.loads((room.folder / "out" / "mixer.json").read_text())["name"] == "pair"
    assert "entry.json" not in {path.name for path in (room.folder / "out").rglob("*")}


def test_a_home_that_was_copied_finds_itself(room):
    room.bring(room.make("mine", factor=2.0))
    room.library.describe("mine", True, None, None)
    room.close()
    shutil.copytree(room.home.root, room.folder / "copy")
    room.home = Home(room.folder / "copy")
    room.open()
    card = room.library.adapter("mine")
    assert card.favourite and Path(card.path) == room.folder / "copy" / "adapters" / "mine"


def test_what_has_the_name_of_another_is_left_out_with_a_sentence(room):
    shutil.copytree(room.make("own", factor=2.0), room.home.adapters / "reverse")
    room.open()
    assert room.library.adapter("reverse").source == "starter"
    assert room.complaints == [
        "reverse could not be taken into the library: Something else is called reverse. Rename that, and "
        "start the engine again."
    ]


# --- words ---


def test_words_survive_a_restart_and_even_the_loss_of_the_database(room):
    room.bring(room.make("mine", factor=2.0))
    room.library.describe("mine", True, [" a  tag ", "a tag", "other"], "line\nline")
    room.close()
    room.home.database.unlink()
    for rest in room.home.root.glob("studio.db-*"):
        rest.unlink()
    room.open()
    card = room.library.adapter("mine")
    assert (card.favourite, card.tags, card.note) == (True, ["a tag", "other"], "line\nline")
    assert room.library._entry("adapters", "mine").origin.path == str(room.folder / "made" / "mine")
    room.library.describe("mine", None, [], "")
    assert room.library.adapter("mine").favourite and room.library.adapter("mine").tags == []


@pytest.mark.parametrize(
    ("tags", "note"), [(["x" * 61], None), ([""], None), (["a\x1b"], None), (None, "x" * 10001)]
)
def test_words_that_are_too_much(room, tags, note):
    with pytest.raises(StudioError, match="at most"):
        room.library.describe("reverse", None, tags, note)


# --- verifying ---


def test_no_effect_is_said(room):
    quiet = room.make(
        "quiet", weights=lambda t: {k: numpy.zeros_like(v) if "lora_B" in k else v for k, v in t.items()}
    )
    room.bring(quiet)
    verdict = room.do("verify", "quiet")[0]
    assert not verdict.ok and "no effect: every B is zero" in verdict.detail
    assert all(one.ok for one in room.do("verify", None) if one.name != "quiet")


def test_the_same_weights_are_said_of_one_that_is_named(room):
    room.bring(room.make("strong", alpha=8))
    (verdict,) = room.do("verify", "strong")
    assert verdict.ok and verdict.detail.endswith(
        "It has the same weights as reverse, at 0.5 times its strength."
    )
    (other,) = room.do("verify", "reverse")
    assert other.detail.endswith("same weights as strong, at 2 times its strength.")
    assert room.do("verify", "sort")[0].detail == "3 files unchanged."
    nested = room.make("nested")
    (nested / "studio.json").write_text(
        '{"kind": "dylora", "scaling": "alpha/rank", "ranks": [3, 4, 5, 6, 7, 8]}'
    )
    card, twin = room.bring(nested)
    assert twin.sentence == "It has the same weights as reverse, cut otherwise to lower ranks."
    assert (card.kind, card.low, card.rank) == ("dylora", 3, 8)
    nested.rename(nested.with_name("other"))
    (nested.with_name("other") / "studio.json").write_text('{"kind": "dylora", "ranks": [1]}')
    with pytest.raises(StudioError, match="does not say how its scale changes"):
        room.bring(nested.with_name("other"))


def test_what_cannot_be_read_is_said(room, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("engine.supervisor.soundness.sha256_file", refuse)
    assert room.do("verify", "sort")[0].detail == "It cannot be read: Permission denied."


def test_nan_that_came_later_is_said_too(room):
    card, _ = room.bring(room.make("mine", factor=2.0))
    shutil.copyfile(room.make("bad", factor=numpy.float32("nan")) / WEIGHTS, Path(card.path, WEIGHTS))
    assert "not what it was" in room.do("verify", "mine")[0].detail


# --- uses ---


def test_what_depends_on_an_adapter(room):
    room.bring(room.make("mine", factor=2.0))
    spec = m.TrainRouter(base="starter-llama", experts=["mine", "sort"], data="mixed", out="both")
    adopt_mix(room, "both", ["reverse", "sort"], spec)
    jobs = [job(spec), job(spec, "done", "j2"), job(m.TrainGate(base="b", adapter="sort", data="d", out="o"))]
    uses = room.library.uses("adapters", "sort", jobs)
    assert (uses.mixes, len(uses.jobs)) == (["both"], 2)
    assert "both keeps playing: it has a copy of its own" in uses.sentence
    assert "keep reading the copies" in uses.sentence
    room.do("rename", "adapters", "sort", "order")
    assert room.library.uses("adapters", "order", jobs) == uses
    plural = room.library.uses("adapters", "plural", jobs)
    assert plural.sentence == (
        "Nothing else needs it. Removing takes it off the list; its files stay where they lie."
    )
    mine = room.library.uses("adapters", "mine", []).sentence
    assert mine.endswith("Removing moves it to the trash; it can be restored until that is emptied.")
    assert Path(room.do("remove", "adapters", "mine")).parent == room.home.trash
    with pytest.raises(StudioError, match="no adapter called nobody"):
        room.library.uses("adapters", "nobody", [])


def test_what_depends_on_a_base_and_on_a_mix(room):
    spec = m.TrainRouter(base="starter-llama", experts=["sort"], extend="both", data="mixed", out="three")
    adopt_mix(room, "both", ["reverse"])
    adopt_mix(room, "three", ["reverse", "sort"], spec)
    base = room.library.uses("bases", "starter-llama", [job(spec)])
    assert (
        len(base.adapters) == 6 and base.jobs == ["j1"] and "cannot be removed before three" in base.sentence
    )
    mix = room.library.uses("mixes", "both", [job(spec)])
    assert (mix.mixes, mix.jobs) == (["three"], ["j1"]) and "three keeps playing" in mix.sentence


# --- the trash ---


def test_the_trash_remembers_several_of_one_name(room):
    for factor in (2.0, 3.0):
        room.bring(room.make("mine", factor=factor))
        room.library.describe("mine", None, None, str(factor))
        room.do("remove", "adapters", "mine")
        room.open()
    room.do("restore", "adapters", "mine")
    assert room.library.adapter("mine").note == "3.0"
    with pytest.raises(StudioError, match="already is an adapter called mine"):
        room.do("restore", "adapters", "mine")
    room.do("rename", "adapters", "mine", "second")
    room.do("restore", "adapters", "mine")
    assert room.library.adapter("mine").note == "2.0"


def test_emptying_the_trash(room):
    for name, factor in (("one", 2.0), ("two", 3.0)):
        room.bring(room.make(name, factor=factor))
        room.do("remove", "adapters", name)
    use = room.do("disk_use")
    assert {item.name for item in use.items if item.place == "trash"} == {"adapters/one", "adapters/two"}
    with pytest.raises(StudioError, match="no adapters/three in the trash"):
        room.do("empty_trash", ["adapters/one", "adapters/three"])
    assert len(list(room.home.trash.iterdir())) == 2
    room.do("empty_trash", ["adapters/one"])
    room.do("restore", "adapters", "two")
    with pytest.raises(StudioError, match="no removed adapter"):
        room.do("restore", "adapters", "one")
    room.do("remove", "adapters", "two")
    room.do("empty_trash", [])
    assert list(room.home.trash.iterdir()) == [] and "reverse" in room.names()


def test_a_base_is_only_taken_off_the_list(room):
    room.do("remove", "bases", "starter-llama")
    room.open()
    assert room.library.bases() == [] and (STARTER / "base" / "model.safetensors").is_file()
    room.do("restore", "bases", "starter-llama")
    assert room.library.base("starter-llama").source == "starter"


def test_what_an_older_version_left_is_understood(room):
    """Its entries had a card, hashes and a mark; what lay in its trash stood in the store alone."""
    card, _ = room.bring(room.make("mine", factor=2.0))
    room.bring(room.make("gone", factor=3.0))
    gone = room.do("remove", "adapters", "gone")
    files = room.library._entry("adapters", "mine").files
    for folder in (card.path, gone):
        Path(folder, "entry.json").unlink()
    fields = {
        "type", "name", "path", "base", "kind", "rank", "alpha", "targets", "tensors", "bytes", "source",
        "description", "license", "sha256",
    }  # fmt: skip
    old = {key: value for key, value in msgspec.to_builtins(card).items() if key in fields}
    with room.store._writing():
        for kind, name, path in (("adapters", "mine", card.path), ("trash/adapters", "gone", gone)):
            entry = {"card": old | {"name": name, "path": str(path)}, "files": files, "removed": False}
            room.store._db.execute(
                "INSERT OR REPLACE INTO library (kind, name, entry) VALUES (?, ?, ?)",
                (kind, name, json.dumps(entry)),
            )
    (room.home.bases / "mini.json").write_bytes(
        msgspec.json.encode(
            m.BaseCard(name="mini", architecture="L", parameters=1, path=str(STARTER / "base"))
        )
    )
    room.open()
    assert room.library.adapter("mine").added == 0.0 and room.library.base("mini").parameters == 1
    assert "older version" in dict(room.library.provenance("adapters", "mine").facts)["Taken down"]
    room.do("restore", "adapters", "gone")
    assert {"mine", "gone"} <= room.names() and room.store.entries("trash/adapters") == []
    assert Path(card.path, "entry.json").is_file()


# --- the disk ---


def test_every_item_is_measured_once(room):
    card, _ = room.bring(room.make("mine", factor=2.0))
    size = sum(path.stat().st_size for path in Path(card.path).iterdir())
    inputs = room.home.jobs / "j1" / "inputs"
    inputs.mkdir(parents=True)
    (inputs / WEIGHTS).hardlink_to(Path(card.path, WEIGHTS))
    (inputs / "own").write_bytes(b"x" * 100)
    (room.home.data / "set").write_bytes(b"x" * 50)
    use = room.do("disk_use")
    found = {(item.place, item.name): item.bytes for item in use.items}
    assert found["adapters", "mine"] == size and found["jobs", "j1"] == 100 and found["data", "set"] == 50
    assert ("bases", "starter-llama") in found and use.total > use.free > 0
    assert [item.bytes for item in use.items] == sorted(found.values(), reverse=True)


# --- where it comes from ---


def test_a_result_knows_its_job_after_the_job_is_gone(room):
    spec = m.TrainLora(base="starter-llama", data="reverse.train", out="new", rank=4, steps=20, seed=3)
    shutil.copytree(room.make("new", factor=2.0), room.folder / "output")
    made = msgspec.structs.replace(job(spec), seconds=12.5)
    room.do("adopt", "adapters", room.folder / "output", "new", {}, made_by(made, {"data": "d" * 64}, {}))
    room.open()
    told = room.library.provenance("adapters", "new")
    facts = dict(told.facts)
    assert facts["Job"] == "j1" and facts["Seed"] == "3" and facts["Data"] == f"sha256 {'d' * 64}"
    assert facts["Took"] == "12.5 seconds" and facts["Steps"] == "7" and facts["Program"]
    assert told.spec["rank"] == 4 and told.files[WEIGHTS]
    assert told.command == (
        "adapter-studio train lora --base starter-llama --data reverse.train --out new "
        "--rank 4 --steps 20 --seed 3"
    )
    assert room.library.adapter("new").added == pytest.approx(time.time(), abs=60)


def test_the_starter_pack_tells_its_recipe(room):
    facts = dict(room.library.provenance("adapters", "reverse").facts)
    assert "ExpertRecipe" in facts["Expert"] and facts["Came"].startswith("with Adapter Studio")
    assert "Taken down" not in facts
    assert room.library.provenance("bases", "starter-llama").command.startswith("python -m engine.starter")


def test_a_mix_tells_its_experts(room):
    adopt_mix(room, "both", ["reverse", "sort"], m.DropExpert(mix="three", expert="upper", out="both"))
    told = room.library.provenance("mixes", "both")
    assert dict(told.facts)["Experts"] == "reverse, sort" and dict(told.facts)["Made from"] == "three"
    assert told.command == "adapter-studio mix drop three --expert upper --out both"


def test_text_of_strangers_cannot_steer(room):
    folder = room.make("odd", factor=2.0)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\nNice\u202e \x1b[2Jwords.\n")
    card, _ = room.bring(folder)
    assert "\x1b" not in card.description and "\u202e" not in card.description and card.license == "mit"


# --- an older backup ---


def test_what_the_folders_say_is_newer_than_an_older_backup(room):
    """The database was lost; its backup knows neither the words nor the names that came after it."""
    for name, factor in (("mine", 2.0), ("other", 3.0)):
        room.bring(room.make(name, factor=factor))
    room.library.describe("mine", None, ["old"], "an old note")
    room.do("add_base", str(shutil.copytree(STARTER / "base", room.folder / "large")), "large")
    room.store.back_up(room.home.backup)
    room.library.describe("mine", True, ["new"], "a new note")
    room.do("rename", "adapters", "other", "another")
    room.library.describe("another", None, None, "said after the backup")
    room.do("rename", "bases", "large", "huge")
    room.bring(room.make("late", factor=4.0))
    room.close()
    room.home.database.write_bytes(b"no database")
    room.open()
    assert "damaged" in room.damage and room.complaints == []
    card = room.library.adapter("mine")
    assert (card.favourite, card.tags, card.note) == (True, ["new"], "a new note")
    assert room.library.adapter("another").note == "said after the backup"
    assert {"late", "another"} <= room.names() and "other" not in room.names()
    assert room.library.base("large").name == "huge"
    before = room.changes[:]
    room.open()
    assert room.changes == before, "what is in step is not recorded again"


def test_a_removed_base_stays_removed_with_an_older_backup(room):
    room.do("add_base", str(shutil.copytree(STARTER / "base", room.folder / "large")), "large")
    room.store.back_up(room.home.backup)
    room.do("remove", "bases", "large")
    room.close()
    room.home.database.write_bytes(b"no database")
    room.open()
    assert "large" not in {card.name for card in room.library.bases()}
    room.do("restore", "bases", "large")
    assert room.library.base("large").parameters
