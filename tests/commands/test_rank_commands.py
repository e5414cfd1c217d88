"""Ranks as programs meet them: trained, ordered, measured, cut and played, by the real engine."""

import pytest

from engine.client import find_engine, wait_for_end
from engine.lora import read_adapter
from engine.supervisor.home import Home
from engine.supervisor.starter import STARTER
from tests.commands.studio import Studio

BASE = ("--base", "starter-llama")
RANK = 6


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    studio = Studio(tmp_path_factory.mktemp("ranks") / "home")
    studio("engine", "start", "--detach")
    yield studio
    running = find_engine(Home(studio.home))
    assert studio("engine", "stop")["running"] is False
    assert running is None or wait_for_end(running.pid, 20)


@pytest.fixture(scope="module")
def nested(studio, tmp_path_factory):
    rows = tmp_path_factory.mktemp("data") / "rows.jsonl"
    lines = (STARTER / "data" / "double.train.jsonl").read_text().splitlines()[:64]
    rows.write_text("\n".join(lines))
    done = studio(
        *("train", "dylora", *BASE, "--data", str(rows), "--rank", str(RANK), "--alpha", "12"),
        *("--out", "nested", "--steps", "12", "--learning-rate", "0.01"),
    )
    assert set(done) >= {"name", "steps", "loss", "seconds"}
    assert (done["name"], done["steps"]) == ("nested", 12)
    return "nested"


def test_what_is_trained_at_every_rank_is_measured_and_cut(studio, nested, tmp_path):
    (card,) = [one for one in studio("adapters", "list")["adapters"] if one["name"] == nested]
    assert (card["kind"], card["rank"]) == ("dylora", RANK)
    told = studio("adapters", "provenance", nested)
    assert "train dylora" in told["command"] and "--alpha 12.0" in told["command"]
    asked = (*BASE, "--data", "double.heldout", "--metric", "loss", "--limit", "20")
    seen = studio("rank", "curve", "--adapter", nested, *asked)
    assert [point["rank"] for point in seen["points"]] == [1, 2, 4, RANK]
    for point in seen["points"]:
        alone = studio("score", *asked, "--adapter", f"{nested}@{point['rank']}")
        assert point["value"] == pytest.approx(alone["value"], rel=1e-5)
        assert point["interval"][0] <= point["value"] <= point["interval"][1]
        assert point["energy"] is None and point["bytes"] > 0
    studio("adapters", "export", nested, str(tmp_path / "cut"), "--rank", "2")
    cut, whole = read_adapter(tmp_path / "cut"), read_adapter(card["path"])
    assert (cut.kind, cut.rank, cut.config.alpha) == ("dylora", 2, 12.0)
    for path, item in cut.factors.items():
        assert item.A.equal(whole.factors[path].A[:2]) and item.B.equal(whole.factors[path].B[:, :2])
        assert item.scale == 6.0
    refused = studio("rank", "order", nested, "--out", "other", code=1)["error"]
    assert "trained at every rank" in refused["message"] and refused["hint"] == "Slide its rank as it is."


def test_any_lora_in_order(studio):
    done = studio("rank", "order", "reverse", "--out", "reverse-in-order")
    assert done["energy"] == sorted(done["energy"]) and len(done["energy"]) == 8
    assert done["energy"][-1] == pytest.approx(1.0) and done["error"] < 1e-6
    (card,) = [one for one in studio("adapters", "list")["adapters"] if one["name"] == "reverse-in-order"]
    assert (card["kind"], card["rank"], card["path"]) == ("svd", 8, done["path"])
    told = studio("adapters", "provenance", "reverse-in-order")
    assert told["command"] == "adapter-studio rank order reverse --out reverse-in-order"
    asked = (*BASE, "--data", "reverse.heldout", "--limit", "16", "--ranks", "1,8")
    there = studio("rank", "curve", "--adapter", "reverse-in-order", *asked)
    here = studio("rank", "curve", "--adapter", "reverse", "--ordered", *asked)
    assert [point["energy"] for point in there["points"]] == pytest.approx(
        [done["energy"][0], done["energy"][7]]
    )
    assert [point["value"] for point in there["points"]] == [point["value"] for point in here["points"]]
    assert there["points"][1]["value"] == 1.0 and there["metric"] == "exact" and there["n"] == 16
    taken = studio("rank", "order", "reverse", "--out", "reverse-in-order", code=2)["error"]
    assert "already" in taken["message"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--ranks", "1,9"), 2, "reverse has ranks 1 to 8, not 9."),
        (("--ranks", "0"), 2, "reverse has ranks 1 to 8, not 0."),
        (("--ranks", "few"), 2, "--ranks few is no list of ranks."),
        (("--data", "nowhere.jsonl"), 1, "nowhere.jsonl"),
    ],
)
def test_what_cannot_be_measured_is_said(studio, arguments, code, words):
    asked = ("rank", "curve", "--adapter", "reverse", *BASE, "--data", "reverse.heldout", *arguments)
    assert words in studio(*asked, code=code)["error"]["message"]


def test_a_rank_that_is_not_there_is_said_wherever_it_is_asked_for(studio, tmp_path):
    for adapter, words in (("reverse@0", "ranks from 1"), ("reverse@9", "Choose one of these")):
        for command in (("generate", "--prompt", "x"), ("score", "--data", "reverse.heldout")):
            error = studio(*command, *BASE, "--adapter", adapter, code=2)["error"]
            assert words in error["hint"], error
    for rank in ("0", "9"):
        error = studio("adapters", "export", "reverse", str(tmp_path / "x"), "--rank", rank, code=2)["error"]
        assert "ranks 1 to 8" in error["message"]
    low = ("train", "dylora", *BASE, "--data", "mixed", "--out", "x", "--rank", "4", "--low", "5")
    assert "above the highest, 4" in studio(*low, code=2)["error"]["message"]


def test_a_table_for_people(studio):
    done = studio.run("rank", "order", "sort", "--out", "sort-in-order")
    assert done.returncode == 0 and "energy" in done.stdout and "100.0 %" in done.stdout
    asked = ("--adapter", "sort-in-order", *BASE, "--data", "sort.heldout", "--limit", "8", "--ranks", "1,8")
    done = studio.run("rank", "curve", *asked)
    assert done.returncode == 0 and "95 % interval" in done.stdout and "8 rows" in done.stdout
    assert "#" in done.stdout
