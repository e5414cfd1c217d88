"""A home that the release before this one left, copied elsewhere since: everything is there and works."""

import json
import shutil

import apsw

from engine.formats.files import sha256_file
from engine.supervisor.ledger import Ledger
from engine.supervisor.store import MIGRATIONS
from tests.engine.supervisor.mix_on_disk import write_mix

BEFORE = "/before/home"
BIN = "adapters-gone-1795364186805796588"
DATA = "975285ee7ced291c843c42cfaa3af5f7d876522a1d8da546b5c96f6c4232c379.jsonl"


def adapter(name, folder, place):
    """The entry of that release: no origin, no former names, no note beside the files."""
    files = {file.name: sha256_file(file) for file in folder.iterdir()}
    card = {
        "type": "AdapterCard", "name": name, "path": f"{BEFORE}/{place}", "base": "starter-llama",
        "kind": "lora", "rank": 8, "alpha": 16.0, "targets": ["q_proj"], "tensors": 56, "bytes": 334736,
        "source": "import", "description": "Writes.", "license": "mit", "sha256": "2d8e", "missing": False,
    }  # fmt: skip
    return {"card": card, "files": files, "removed": False}


def job(name, state, **record):
    spec = {"type": "TrainRouter", "base": "starter-llama", "experts": ["mine"], "data": "mixed", "out": name}
    told = {
        "type": "Job", "id": name, "kind": "router", "name": name, "state": state, "step": 7, "steps": 40,
        "message": "Paused at step 7.", "spec": spec, "attempt": 1, "created": 1795364194.3,
        "started": 1795364194.3, "ended": None, "seconds": 0.8, "seconds_left": None,
        "metrics": {"loss": 0.5}, "result": {}, "error": None, "checkpoint_step": 7,
    }  # fmt: skip
    paths = {"data": f"{BEFORE}/data/{DATA}"}
    return {"job": told, "paths": paths, "number": 1, "epoch": 1, "furthest": 7} | record


def write(room, rows, jobs):
    db = apsw.Connection(str(room.home.database))
    db.execute(f"{MIGRATIONS[0]}; PRAGMA user_version=1; PRAGMA journal_mode=WAL")
    for kind, name, entry in rows:
        db.execute("INSERT INTO library VALUES (?, ?, ?)", (kind, name, json.dumps(entry)))
    for record in jobs:
        db.execute("INSERT INTO jobs VALUES (?, ?)", (record["job"]["id"], json.dumps(record)))
    db.close()


def test_a_home_of_the_previous_release_at_another_place(room):
    room.close()
    for path in room.home.root.glob("studio.db*"):
        path.unlink()
    mine, gone = room.home.adapters / "mine", room.home.trash / BIN
    shutil.copytree(room.make("mine", factor=2.0), mine)
    shutil.copytree(room.make("gone", factor=3.0), gone)
    write_mix(room.home.mixes / "both", "both", ["reverse", "sort"])
    base = shutil.copytree(room.library.starter.base_folder, room.folder / "tiny")
    card = {"type": "BaseCard", "name": "tiny", "architecture": "L", "parameters": 9, "path": str(base)}
    (room.home.bases / "tiny.json").write_text(json.dumps(card))
    (room.home.data / DATA).write_text('{"prompt": "a", "completion": "b"}\n')
    checkpoint = room.home.jobs / "half" / "checkpoint-000001-000000007"
    checkpoint.mkdir(parents=True)
    mix = {
        "type": "MixCard", "name": "both", "path": f"{BEFORE}/mixes/both", "base": "tiny",
        "experts": ["reverse", "sort"], "router_input": "context", "router_parameters": 9,
        "usage": {"reverse": 0.5, "sort": 0.5},
    }  # fmt: skip
    rows = [
        ("adapters", "mine", adapter("mine", mine, "adapters/mine")),
        ("trash/adapters", "gone", adapter("gone", gone, f"trash/{BIN}")),
        ("bases", "tiny", {"card": card, "files": {}, "removed": False}),
        ("mixes", "both", {"card": mix, "files": {}, "removed": False}),
    ]
    half = job("half", "paused", checkpoint=f"{BEFORE}/jobs/half/{checkpoint.name}")
    write(room, rows, [half, job("whole", "done", number=2)])

    for _ in range(2):  # the second start finds what the first one made of it
        library = room.open()
        assert room.complaints == [] and room.damage == ""
        assert library.adapter("mine").path == str(mine) and room.do("verify", "mine")[0].ok
        assert library.base("tiny").parameters == 9 and library.mix("both").experts == ["reverse", "sort"]
        ledger = Ledger(room.home, room.store, lambda body: None, lambda body: None)
        ledger.load(rebuilt=False)
        assert [record.job.state for record in ledger.records.values()] == ["paused", "done"]
        record = ledger.find("half")
        assert record.checkpoint == str(checkpoint)
        assert record.paths["data"] == str(room.home.data / DATA)
        assert room.store.jobs()[0] == record
    room.do("restore", "adapters", "gone")
    assert room.do("verify", "gone")[0].ok
    room.do("rename", "mixes", "both", "pair")
    room.do("copy_mix", "pair", str(room.folder / "out"), {})
