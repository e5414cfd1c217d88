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
    here = studio("rank", "curve", "--adapter", "reverse", "--order", "energy", *asked)
    assert [point["energy"] for point in there["points"]] == pytest.approx(
        [done["energy"][0], done["energy"][7]]
    )
    assert [point["value"] for point in there["points"]] == [point["value"] for point in here["points"]]
    assert there["points"][1]["value"] == 1.0 and there["metric"] == "exact" and there["n"] == 16
    taken = studio("rank", "order", "reverse", "--out", "reverse-in-order", code=2)["error"]
    assert "already" in taken["message"]


def test_any_lora_in_the_order_of_what_it_says_on_data(studio):
    asked = ("--base", "starter-llama", "--data", "reverse.heldout")
    done = studio("rank", "order", "reverse", "--out", "weighed", *asked)
    assert done["energy"] == sorted(done["energy"]) and done["error"] < 1e-6
    assert all(mine >= its - 1e-6 for mine, its in zip(done["energy"], done["plain"], strict=True))
    assert done["energy"][0] > done["plain"][0] + 0.01 and "Weighed on 150 rows." in done["notes"]
    (card,) = [one for one in studio("adapters", "list")["adapters"] if one["name"] == "weighed"]
    assert (card["kind"], card["rank"], card["license"]) == ("svd", 8, "apache-2.0")
    told = studio("adapters", "provenance", "weighed")
    command = "adapter-studio rank order reverse --out weighed --base starter-llama --data reverse.heldout"
    facts = dict(told["facts"])
    assert told["command"] == command and facts["Data"].startswith("sha256 ") and facts["Base's files"]
    assert studio("adapters", "inspect", card["path"])["reason"].endswith("of what it says on data.")
    seen = studio("rank", "curve", "--adapter", "weighed", *asked, "--limit", "8", "--ranks", "1,8")
    assert seen["points"][0]["energy"] == pytest.approx(done["energy"][0])
    error = studio("rank", "order", "reverse", "--out", "other", "--base", "starter-llama", code=2)["error"]
    assert "has to read data" in error["message"] and error["hint"]


@pytest.mark.parametrize("order", ["energy", "spread"])
def test_a_rank_is_baked_into_an_ordinary_adapter(studio, order):
    out = f"baked-{order}"
    card = studio("rank", "bake", "reverse", "--rank", "2", "--out", out, "--order", order)
    made = read_adapter(card["path"])
    count = sum(item.rank for item in made.factors.values())
    assert card["name"] == out and card["rank"] == made.rank and card["kind"] == "svd"
    assert card["license"] == "apache-2.0" and card["description"].endswith("Rank 2 of reverse.")
    whole = read_adapter(STARTER / "adapters" / "reverse")
    assert count == 2 * len(whole.factors)
    assert (made.rank == 2) == (order == "energy") and card["bytes"] < 120_000
    told = studio("adapters", "provenance", out)
    assert told["command"] == f"adapter-studio rank bake reverse --rank 2 --out {out} --order {order}"
    assert dict(told["facts"])["Made from"] == "reverse"
    asked = ("score", *BASE, "--data", "reverse.heldout", "--metric", "loss", "--limit", "8", "--adapter")
    there = studio(*asked, out)["value"]
    assert studio(*asked, "reverse@2", "--order", order)["value"] == pytest.approx(there, rel=1e-5)
    taken = studio("rank", "bake", "reverse", "--rank", "1", "--out", out, code=2)["error"]
    assert "already" in taken["message"]


def test_a_dylora_is_baked_as_it_stands(studio, nested):
    card = studio("rank", "bake", nested, "--rank", "3", "--out", "nested-3")
    assert (card["kind"], card["rank"], card["alpha"]) == ("dylora", 3, 12.0)
    asked = ("rank", "bake", nested, "--rank", "3", "--out", "other", "--order", "spread")
    assert "trained at every rank" in studio(*asked, code=1)["error"]["message"]


def test_how_energy_lies_in_ranks(studio):
    seen = studio("rank", "spectrum", "reverse")
    assert seen["kind"] == "lora" and len(seen["modules"]) == len(seen["values"]) > 0
    assert len(seen["energy"]) == len(seen["spread"]) == len(seen["kept"]) == len(seen["bytes"]) == 8
    assert all(s >= e - 1e-9 for s, e in zip(seen["spread"], seen["energy"], strict=True))
    assert seen["kept"][0] < seen["energy"][0] and seen["kept"][-1] == pytest.approx(1.0)
    assert "no order of their own" in seen["notes"][0]
    text = studio.run("rank", "spectrum", "reverse").stdout
    assert "by energy" in text and "singular values" in text and " more." in text


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
        for command in (("adapters", "export", "reverse", str(tmp_path / "x")),
                        ("rank", "bake", "reverse", "--out", "x")):  # fmt: skip
            error = studio(*command, "--rank", rank, code=2)["error"]
            assert f"ranks 1 to 8, not {rank}" in error["message"] and error["hint"]
    low = ("train", "dylora", *BASE, "--data", "mixed", "--out", "x", "--rank", "4", "--low", "5")
    assert "above the highest, 4" in studio(*low, code=2)["error"]["message"]
    assert studio(*low[:-1], "0", code=2)["error"]["message"] == "The lowest rank cannot be 0."


def test_a_table_for_people(studio):
    done = studio.run("rank", "order", "sort", "--out", "sort-in-order")
    assert done.returncode == 0 and "energy" in done.stdout and "100.0 %" in done.stdout
    asked = ("--adapter", "sort-in-order", *BASE, "--data", "sort.heldout", "--limit", "8", "--ranks", "1,8")
    done = studio.run("rank", "curve", *asked)
    assert done.returncode == 0 and "95 % interval" in done.stdout and "8 rows" in done.stdout
    assert "tokens/s" not in done.stdout
    for point in studio("rank", "curve", *asked, "--speed")["points"]:
        assert point["tokens_per_second"] > 0
    assert "#" in done.stdout
