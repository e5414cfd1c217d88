"""The library's commands as programs see them; real jobs that go on whatever becomes of what they read."""

import os
import shlex
import shutil
import time
from pathlib import Path

import msgspec
import pytest
from safetensors.numpy import load_file, save_file

from engine.client import find_engine, wait_for_end
from engine.commands import mix_training, train
from engine.commands.program import run
from engine.commands.session import shown, table
from engine.messages import AdapterCard, Domain, TrainDylora, TrainGate, TrainJoint, TrainLora, TrainRouter
from engine.supervisor.entry import Entry, Origin
from engine.supervisor.home import Home
from engine.supervisor.recipe import command_for
from engine.supervisor.starter import STARTER
from tests.commands.studio import Studio

WEIGHTS = "adapter_model.safetensors"
BASE = ("--base", "starter-llama")


@pytest.fixture
def studio(hub, tmp_path):
    studio = Studio(tmp_path / "home", os.environ | hub.environment())
    studio("engine", "start", "--detach")
    yield studio
    running = find_engine(Home(studio.home))
    studio("engine", "stop")
    assert running is None or wait_for_end(running.pid, 20)


def variant(folder, factor, expert="sort"):
    """A starter expert with other numbers."""
    shutil.copytree(STARTER / "adapters" / expert, folder)
    save_file({key: value * factor for key, value in load_file(folder / WEIGHTS).items()}, folder / WEIGHTS)
    return folder


def upload(hub, repo, folder):
    return hub.add(repo, {path.name: path for path in folder.iterdir()}, license="apache-2.0")


def test_what_a_person_does_with_an_adapter(studio, tmp_path):
    folder = variant(tmp_path / "mine", 1.5)
    assert studio("adapters", "import", str(folder))["source"] == "import"
    said = studio("adapters", "describe", "mine", "--tag", "a", "--tag", "b", "--note", "good", "--favourite")
    assert (said["tags"], said["note"], said["favourite"]) == (["a", "b"], "good", True)
    assert studio("adapters", "describe", "mine", "--untag", "a")["tags"] == ["b"]
    assert studio("adapters", "rename", "mine", "yours") == {"name": "yours", "before": "mine"}
    assert studio("adapters", "uses", "yours")["sentence"].startswith("Nothing else needs it. Removing ")
    told = studio("adapters", "provenance", "yours")
    assert told["command"] == f"adapter-studio adapters import {folder} --name yours"
    assert studio("adapters", "verify", "yours")["adapters"][0]["ok"]
    text = studio.run("adapters", "list").stdout
    assert "★ #b good" in text
    studio("adapters", "remove", "yours")
    (item,) = studio("trash", "list")["items"]
    assert item["name"] == "adapters/yours"
    use = studio("disk")
    assert {"items", "free", "total"} <= use.keys() and item in use["items"]
    gone = studio("trash", "empty")
    assert gone["removed"] == 1 and gone["bytes"] == item["bytes"]
    assert studio("adapters", "restore", "yours", code=1)["error"]["code"] == "missing"
    studio("bases", "rename", "starter-llama", "small")
    assert studio("bases", "uses", "small")["adapters"]
    studio("bases", "remove", "small")
    assert studio("bases", "list")["bases"] == []
    assert studio("bases", "restore", "small")["name"] == "small"


def test_from_the_hub_by_its_name(studio, hub, tmp_path):
    first = upload(hub, "ada/tune", variant(tmp_path / "one", 1.5))
    done = studio("adapters", "import", "ada/tune", "--name", "tune")
    assert (done["name"], done["revision"]) == ("tune", first)
    assert studio("adapters", "updates")["adapters"][0]["newer"] == ""
    second = upload(hub, "ada/tune", variant(tmp_path / "two", 1.75))
    (card,) = studio("adapters", "updates", "tune")["adapters"]
    assert (card["commit"], card["newer"]) == (first, second)
    told = studio("adapters", "provenance", "tune")
    assert told["command"] == f"adapter-studio hub download ada/tune --revision {first} --name tune"
    base = hub.add("ada/small", {path.name: path for path in (STARTER / "base").iterdir()})
    fetched = studio("bases", "add", "ada/small", "--name", "mini")
    assert (fetched["name"], fetched["revision"]) == ("mini", base)
    listed = {card["name"]: card for card in studio("bases", "list")["bases"]}
    assert listed["mini"]["repo"] == "ada/small" and Path(listed["mini"]["path"]).name == base
    assert ("cache", "ada/small") in {(item["place"], item["name"]) for item in studio("disk")["items"]}


def test_what_is_in_use_can_be_renamed_removed_and_fetched_again(studio, hub, tmp_path):
    """A real router in training, paused and resumed, and a real mix, while their adapters go and change."""
    upload(hub, "ada/tune", variant(tmp_path / "one", 1.5))
    studio("adapters", "import", "ada/tune", "--name", "tune")
    studio("adapters", "import", str(variant(tmp_path / "mine", 1.25, "reverse")))
    command = (
        "mix",
        "train",
        *BASE,
        "--expert",
        "tune",
        "--expert",
        "mine",
        "--data",
        "mixed",
        "--batch-size",
        "4",
    )
    mixed = studio(*command, "--steps", "2", "--out", "quick")
    assert mixed["name"] == "quick"
    training = studio.start(*command, "--steps", "100000", "--out", "slow")
    while not (jobs := [job for job in studio("jobs", "list")["jobs"] if job["name"] == "slow"]):
        assert training.poll() is None, training.communicate()
        time.sleep(0.1)
    job = jobs[0]["id"]
    while (now := studio("jobs", "show", job))["step"] < 2:
        assert training.poll() is None, now
        time.sleep(0.1)
    uses = studio("adapters", "uses", "tune")
    assert uses["mixes"] == ["quick"] and uses["jobs"] == [job]
    assert "quick keeps playing: it has a copy of its own" in uses["sentence"]
    assert "slow keeps reading the copy" in uses["sentence"]

    studio("adapters", "remove", "mine")
    second = upload(hub, "ada/tune", variant(tmp_path / "two", 1.75))
    assert studio("hub", "download", "ada/tune", "--name", "tune", "--replace")["revision"] == second
    studio("adapters", "rename", "tune", "other")
    studio("mix", "rename", "quick", "fast")
    refused = studio("bases", "remove", "starter-llama", code=1)["error"]
    assert refused["code"] == "busy" and "slow" in refused["message"]
    studio("bases", "rename", "starter-llama", "small")
    (runtime,) = studio("engine", "status")["runtimes"]
    assert runtime["base"] == "small"  # the one that trains
    studio("trash", "empty")

    assert studio("mix", "route", "--mix", "fast", "--prompt", "sort: cab")["experts"][:2] == ["tune", "mine"]
    before = studio("jobs", "show", job)
    assert before["state"] == "running"
    assert studio("jobs", "pause", job)["state"] == "paused"
    studio("jobs", "resume", job)
    until = time.monotonic() + 100
    while (now := studio("jobs", "show", job))["step"] <= before["step"] + 1 and now["state"] != "failed":
        assert time.monotonic() < until
        time.sleep(0.1)
    assert now["state"] == "running" and now["attempt"] == 2, now
    assert studio("jobs", "cancel", job, "--keep")["state"] == "done"
    training.communicate(timeout=100)
    slow = {mix["name"]: mix for mix in studio("mix", "list")["mixes"]}["slow"]
    assert slow["experts"] == ["tune", "mine"] and slow["base"] == "small"
    assert studio("mix", "provenance", "slow")["spec"]["experts"] == ["tune", "mine"]
    assert studio("bases", "uses", "small")["jobs"] == []


# --- the command that makes it again ---


SPECS = [
    TrainLora(
        base="b", data="d d", out="o", rank=4, alpha=2.5, targets=["q_proj", "v_proj"], rslora=True, steps=7,
        seed=3,
    ),
    TrainDylora(
        base="b", data="d", out="o", rank=6, low=2, draw="geometric", mode="frozen", alpha=12.0, steps=9,
    ),
    TrainGate(base="b", adapter="a", data="d", out="o", router_input="local", learning_rate=1e-4),
    TrainRouter(
        base="b", experts=["a", "c"], data="d", out="o", null_expert=False, activation="sigmoid",
        gates="hard", start="prototypes", warmup=0.2, temperature=2.0, entropy_weight=-0.1, max_examples=5,
        steps=9,
    ),
    TrainRouter(base="b", experts=["a"], data="", out="o", start="gates", steps=0),
    TrainRouter(base="b", experts=["a"], data="d", out="o", extend="m", epochs=2, seed=1),
    TrainJoint(
        base="b", domains=[Domain(expert="x", data="d"), Domain(expert="y", data="e")], out="o", rank=2,
        hard_share=0.5, preserve_weight=0.1, router_learning_rate=0.02, targets=["q_proj"],
    ),
]  # fmt: skip


def command_of(spec):
    facts = {"name": "o", "path": "", "base": "b", "kind": "lora", "rank": 1, "alpha": 1.0, "targets": []}
    card = AdapterCard(**facts, tensors=1, bytes=1, source="training")
    return command_for("adapters", Entry(card=card, origin=Origin(spec=msgspec.to_builtins(spec))))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_the_command_of_a_job_says_the_same_again(spec, monkeypatch):
    said = []

    def submit(spec):
        said.append(spec)
        raise KeyboardInterrupt

    class Card:
        base = "b"

    monkeypatch.setattr(train, "run_job", submit)
    monkeypatch.setattr(mix_training, "run_job", submit)
    monkeypatch.setattr(mix_training, "mix_card", lambda name: Card)
    monkeypatch.setattr(mix_training, "_domains", lambda given: [
        Domain(expert=text.partition("=")[0], data=text.partition("=")[2]) for text in given
    ])  # fmt: skip
    program, *words = shlex.split(command_of(spec))
    assert program == "adapter-studio" and run(words) == 130
    assert said == [spec]


def test_what_no_command_says_has_none():
    assert command_of(TrainLora(base="b", data="d", out="o", warmup=0.5)) == ""
    joint = TrainJoint(base="b", domains=[Domain(expert="x", data="d", adapter="other")], out="o")
    assert command_of(joint) == ""


# --- what is shown ---


def test_text_of_strangers_is_written_out():
    assert shown("a\x1b[2Jb\u202ec\r\nd\te") == "a\\x1b[2Jb\\u202ec\\r\nd\te"
    lines = table(("name", "size"), [("two\nlines", "1.50 MB"), ("x", "200 bytes")]).splitlines()
    assert lines[1:] == ["two lines    1.50 MB", "x          200 bytes"]
