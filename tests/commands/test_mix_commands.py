"""Mixes by command, the real engine behind it: trained, extended, cut, scored, exported, compared."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from safetensors import safe_open

from engine.client import find_engine, wait_for_end
from engine.commands.voices import mixing_of, parse_voice
from engine.commands.work import data_sets
from engine.formats.errors import StudioError
from engine.messages import Ask, Mixing, Part
from engine.supervisor.home import Home
from engine.supervisor.starter import STARTER
from tests.commands.studio import Studio

BASE = ("--base", "starter-llama")
TO_X = (*BASE, "--out", "x")
ASK = (*BASE, "--prompt", "x")
MIXED = ("--data", "mixed")
QUICK = ("--max-examples", "32", "--batch-size", "16")


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    studio = Studio(tmp_path_factory.mktemp("mixes") / "home")
    studio("engine", "start", "--detach")
    yield studio
    running = find_engine(Home(studio.home))
    assert studio("engine", "stop")["running"] is False
    assert running is None or wait_for_end(running.pid, 20)


@pytest.fixture(scope="module")
def mix(studio):
    """A mix of two starter experts under a router that has hardly been trained."""
    made = studio(
        *("mix", "train", *BASE, "--expert", "reverse", "--expert", "sort", "--data", "mixed"),
        *("--out", "pair", "--steps", "4", *QUICK, "--router-share", "group"),
    )
    assert made["name"] == "pair" and made["steps"] == 4 and made["router_parameters"] > 0
    assert set(made["usage"]) == {"reverse", "sort", "null"}
    return "pair"


def test_every_option_of_a_router_reaches_the_job(studio):
    made = studio(
        *(
            "mix",
            "train",
            *BASE,
            "--expert",
            "reverse",
            "--expert",
            "upper",
            "--data",
            "mixed",
            "--out",
            "odd",
        ),
        *("--steps", "2", *QUICK, "--router-input", "local", "--router-share", "layer"),
        *("--activation", "sigmoid", "--no-null", "--temperature", "2", "--entropy-weight", "-0.1"),
        *("--balance-weight", "0", "--band-weight", "0.005", "--learning-rate", "0.02", "--gates", "soft"),
        *("--warmup", "0.5", "--weight-decay", "0.1", "--seed", "7"),
    )
    spec = studio("jobs", "show", made["job"])["spec"]
    wanted = {
        "router_input": "local",
        "router_share": "layer",
        "activation": "sigmoid",
        "null_expert": False,
        "temperature": 2.0,
        "entropy_weight": -0.1,
        "balance_weight": 0.0,
        "band_weight": 0.005,
        "learning_rate": 0.02,
        "warmup": 0.5,
        "weight_decay": 0.1,
        "seed": 7,
    }
    assert {key: spec[key] for key in wanted} == wanted
    (card,) = [card for card in studio("mix", "list")["mixes"] if card["name"] == "odd"]
    assert (card["router_share"], card["activation"], card["null_expert"]) == ("layer", "sigmoid", False)


def test_a_mix_from_prototypes_without_data(studio):
    made = studio(
        *("mix", "train", *BASE, "--expert", "reverse", "--expert", "sort", "--start", "prototypes"),
        *("--out", "arrow"),
    )
    assert (made["steps"], made["loss"]) == (0, None)


def test_experts_come_and_go(studio, mix):
    more = studio(
        "mix", "extend", mix, "--expert", "upper", "--data", "mixed", "--out", "three", "--steps", "2", *QUICK
    )
    assert set(more["usage"]) == {"reverse", "sort", "upper", "null"}
    less = studio("mix", "drop", "three", "--expert", "reverse", "--out", "late")
    assert (less["experts"], less["made"]) == (["sort", "upper"], "dropped")
    refused = studio("mix", "drop", "three", "--expert", "plural", "--out", "x", code=2)
    assert "plural" in refused["error"]["message"]


def test_experts_and_router_together(studio, tmp_path):
    made = studio(
        *("mix", "train", "--joint", *BASE, "--expert", "sort=sort.train", "--expert", "mine=reverse.train"),
        *("--rank", "2", "--steps", "3", "--hard-share", "0.4", "--batch-size", "8", "--out", "joint"),
    )
    spec = studio("jobs", "show", made["job"])["spec"]
    assert [(each["expert"], each["adapter"]) for each in spec["domains"]] == [("sort", "sort"), ("mine", "")]
    (card,) = [card for card in studio("mix", "list")["mixes"] if card["name"] == "joint"]
    assert card["made"] == "joint" and card["experts"] == ["sort", "mine"]


def test_a_gate_of_its_own(studio):
    made = studio(
        *("train", "gate", *BASE, "--adapter", "sort", "--data", "sort.train", "--out", "sort-gated"),
        *("--steps", "2", "--batch-size", "8"),
    )
    assert made["name"] == "sort-gated"
    (card,) = [card for card in studio("adapters", "list")["adapters"] if card["name"] == "sort-gated"]
    assert (Path(card["path"]) / "gate.safetensors").is_file()


def test_a_mix_is_scored_beside_its_alternatives(studio, mix, tmp_path):
    scored = studio(
        *("mix", "score", mix, "--data", "sort.heldout", "--data", "mine=reverse.heldout", "--limit", "6"),
        *("--arm", "base", "--arm", "experts", "--arm", "oracle", "--arm", "soft", "--arm", "learned"),
    )
    arms = {arm["name"]: arm for arm in scored["arms"]}
    assert set(arms) == {"base", "expert:reverse", "expert:sort", "oracle", "soft", "learned"}
    assert set(arms["base"]["sets"]) == {"sort.heldout", "mine"} and scored["metric"] == "exact"
    assert arms["learned"]["missing"] and arms["oracle"]["value"] >= arms["expert:sort"]["value"] > 0.4
    low, high = arms["oracle"]["interval"]
    assert 0 <= low <= arms["oracle"]["value"] <= high <= 1
    assert arms["soft"]["beside_mix"] is None
    gap, low, high = arms["oracle"]["beside_mix"]
    assert gap == pytest.approx(arms["oracle"]["value"] - arms["soft"]["value"]) and low <= gap <= high
    words = studio.run("jobs", "show", scored["job"])
    assert "scores of pair" in words.stdout
    # The newest scores are on the card of a copy.
    copied = studio("mix", "export", mix, str(tmp_path / "copy"))
    assert (copied["kind"], copied["error"]) == ("folder", 0.0)
    assert "sort.heldout" in (tmp_path / "copy" / "README.md").read_text()
    assert (tmp_path / "copy" / "experts" / "sort" / "adapter_model.safetensors").is_file()


def test_experts_at_a_rank_are_those_exported_at_it(studio, mix, tmp_path):
    studio("adapters", "export", "reverse", str(tmp_path / "reverse"), "--rank", "3")
    studio("adapters", "import", str(tmp_path / "reverse"), "--name", "reverse-3")
    routes = {}
    for name, expert in (("slid", "reverse@3"), ("exported", "reverse-3")):
        options = ("--data", "mixed", "--out", name, "--steps", "4", *QUICK)
        studio("mix", "train", *BASE, "--expert", expert, "--expert", "sort", *options)
        routes[name] = studio("mix", "route", "--mix", name, "--prompt", "sort: planet")["gates"]
    for one, other in zip(*routes.values(), strict=True):
        for row, same in zip(one, other, strict=True):
            assert row == pytest.approx(same, abs=1e-5)
    told = studio("mix", "provenance", "slid")["command"]
    assert "--expert reverse@3 --expert sort " in told
    cut = studio("mix", "export", mix, str(tmp_path / "cut"), "--expert", "sort@2")
    assert cut["path"] == str(tmp_path / "cut")
    studio("mix", "import", str(tmp_path / "cut"), "--name", "cut")
    measured = ("--data", "sort.heldout", "--limit", "8", "--arm", "soft", "--metric", "loss")
    slid, copied, whole = (
        studio("mix", "score", *words, *measured)["arms"][0]["value"]
        for words in ((mix, "--expert", "sort@2"), ("cut",), (mix,))
    )
    assert slid == pytest.approx(copied, abs=1e-5) and slid != pytest.approx(whole, abs=1e-3)


def test_a_mix_moves_into_another_home(studio, mix, tmp_path):
    studio("mix", "export", mix, str(tmp_path / "copy"))
    (tmp_path / "copy").rename(tmp_path / "moved")
    other = Studio(tmp_path / "elsewhere")
    other("engine", "start", "--detach")
    try:
        made = other("mix", "import", str(tmp_path / "moved"), "--name", "theirs")
        assert (made["name"], made["experts"]) == ("theirs", ["reverse", "sort"])
        again = other("mix", "import", str(tmp_path / "moved"), "--name", "theirs", code=2)["error"]
        assert "already is a mix called theirs" in again["message"]
        route = ("mix", "route", "--prompt", "sort: planet", "--mix")
        assert other(*route, "theirs") == studio(*route, mix)
        ask = ("generate", *BASE, "--prompt", "sort: planet", "--mix")
        assert other(*ask, "theirs")["text"] == studio(*ask, mix)["text"]
    finally:
        other("engine", "stop")


def test_work_that_a_full_disk_stops_says_how_it_goes_on(studio, mix, tmp_path):
    """The command ends with the sentence; the job waits, and nothing of it is lost."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine does not allow mounting a small tmpfs")
    try:
        export = ("mix", "export", mix, str(disk / "plain"), "--as", "lora")
        stopped = studio(*export, "--data", "sort.heldout", "--max-examples", "8", code=1)["error"]
        assert stopped["code"] == "disk" and "disk is full" in stopped["message"]
        job = stopped["hint"].rpartition(" ")[2]
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        studio("jobs", "resume", job)
        until = time.monotonic() + 60
        while studio("jobs", "show", job)["state"] != "done" and time.monotonic() < until:
            time.sleep(0.2)
        assert [path.name for path in disk.iterdir()] == ["plain"]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_mix_leaves_as_a_plain_lora(studio, mix, tmp_path):
    options = ("--data", "sort.heldout", "--max-examples", "16", "--batch-size", "8")
    made = studio("mix", "export", mix, str(tmp_path / "plain"), "--as", "lora", "--rank", "6", *options)
    assert made["kind"] == "lora" and made["path"] == str(tmp_path / "plain") and made["error"]
    config = json.loads((tmp_path / "plain" / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA"
    with safe_open(tmp_path / "plain" / "adapter_model.safetensors", "numpy") as tensors:
        ranks = {tensors.get_slice(key).get_shape()[0] for key in tensors.keys() if "lora_A" in key}  # noqa: SIM118
    assert ranks == {6}
    again = studio("mix", "export", mix, str(tmp_path / "plain"), "--as", "lora", *options, code=2)
    assert "already exists" in again["error"]["message"]


def test_voices_are_compared_side_by_side(studio, mix):
    voices = ("base", "reverse", "reverse=0.5+sort@3", f"mix:{mix}", f"mix:{mix}:hard", f"mix:{mix}:top1")
    options = [option for voice in voices for option in ("--voice", voice)]
    compared = studio("compare", *BASE, "--prompt", "reverse: planet", "--max-new-tokens", "8", *options)
    answers = {answer["voice"]: answer["text"] for answer in compared["answers"]}
    assert list(answers) == list(voices) and answers["reverse"] == "tenalp"
    alone = studio("generate", *BASE, "--prompt", "reverse: planet", "--max-new-tokens", "8", "--mix", mix)
    assert answers[f"mix:{mix}"] == alone["text"]
    words = studio.run("compare", *BASE, "--prompt", "reverse: planet", *options)
    assert "reverse             tenalp" in words.stdout


def test_experts_are_muted_and_locked(studio, mix):
    ask = ("generate", *BASE, "--prompt", "reverse: planet", "--max-new-tokens", "8", "--mix", mix)
    plain = studio(
        "generate", *BASE, "--prompt", "reverse: planet", "--max-new-tokens", "8", "--adapter", "reverse"
    )
    alone = studio(*ask, "--lock", "reverse", "--mute", "sort", "--mute", "null")
    assert alone["text"] == plain["text"] == "tenalp"
    route = ("mix", "route", "--mix", mix, "--prompt", "sort: planet")
    seen = studio(*route, "--mute", "sort")
    place = seen["experts"].index("sort")
    assert all(module[place] == 0 for token in seen["gates"] for module in token)
    hard = studio(*route, "--mode", "hard")
    assert all(sorted(module)[-1] == 1 for token in hard["gates"] for module in token)
    torn = studio(*ask, "--mute", "sort", "--lock", "sort", code=2)
    assert "sort cannot be muted and locked" in torn["error"]["message"]
    unknown = studio(*ask, "--mute", "nobody", code=2)
    assert "does not know the expert nobody" in unknown["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["mix", "train", *BASE, "--expert", "sort", "--out", "x"], 2, "Without data nothing"),
        (
            ["mix", "train", *BASE, "--expert", "a", "--data", "mixed", "--out", "x", "--rank", "4"],
            2,
            "--rank is for --joint",
        ),
        (["mix", "train", "--joint", *BASE, "--expert", "a", "--out", "x"], 2, "not NAME[@RANK]=DATA"),
        (
            ["mix", "train", "--joint", *BASE, "--expert", "a=mixed", "--data", "mixed", "--out", "x"],
            2,
            "frozen experts",
        ),
        (
            ["mix", "extend", "nobody", "--expert", "a", "--data", "mixed", "--out", "x"],
            1,
            "no mix called nobody",
        ),
        (
            ["mix", "train", *BASE, "--expert", "sort@no", "--data", "mixed", "--out", "x"],
            2,
            "is not NAME[@RANK]",
        ),
        (
            ["mix", "train", *BASE, "--expert", "sort@9", "--data", "mixed", "--out", "x"],
            2,
            "sort has ranks 1 to 8",
        ),
        (["mix", "score", "pair", "--data", "mixed", "--expert", "sort"], 2, "names no rank"),
        (["mix", "export", "pair", "/tmp/never", "--expert", "upper@2"], 2, "upper takes no part"),
        (["mix", "score", "nobody", "--data", "mixed"], 1, "no mix called nobody"),
        (["mix", "export", "nobody", "/tmp/never"], 1, "no mix called nobody"),
        (["mix", "export", "pair", "/tmp/never", "--rank", "3"], 2, "are for --as lora"),
        (["compare", *ASK, "--voice", "mix:"], 2, "is not mix:NAME"),
        (["generate", *ASK, "--mute", "a"], 2, "are for a mix"),
        (
            ["generate", *BASE, "--prompt", "x", "--mix", "pair", "--mode", "soft", "--top-k", "2"],
            2,
            "--mode topk",
        ),
        (
            ["mix", "train", *BASE, "--expert", "a", "--data", "mixed", "--out", "x", "--activation", "relu"],
            2,
            "relu",
        ),
    ],
)
def test_contradictions_are_usage_errors(studio, mix, arguments, code, words):
    error = studio(*arguments, code=code)["error"]
    assert words in error["message"] and error["hint"]


def test_how_voices_are_written():
    assert parse_voice("base") == Ask()
    assert parse_voice("a=0.5@3+b") == Ask(parts=[Part(name="a", weight=0.5, rank=3), Part(name="b")])
    assert parse_voice("a@3", "spread") == Ask(parts=[Part(name="a", rank=3, order="spread")])
    assert parse_voice("mix:m") == Ask(mixing=Mixing(name="m"))
    assert parse_voice("mix:m:top2") == Ask(mixing=Mixing(name="m", mode="topk", top_k=2))
    assert parse_voice("mix:m:hard") == Ask(mixing=Mixing(name="m", mode="hard"))
    for text in ("mix:m:top0", "mix:m:loud", "mix:m:soft:hard", "a+a", ""):
        with pytest.raises(StudioError):
            parse_voice(text)
    assert mixing_of("m", top_k=2, renormalise=False) == Mixing(
        name="m", mode="topk", top_k=2, renormalise=False
    )
    assert mixing_of(None) is None


def test_how_data_sets_are_named(tmp_path, monkeypatch):
    (tmp_path / "mine.jsonl").write_text("")
    (tmp_path / "a=b.jsonl").write_text("")
    monkeypatch.chdir(tmp_path)
    found = data_sets(["mine.jsonl", "two=mine.jsonl", "sort.heldout", "a=b.jsonl"])
    mine = str(tmp_path / "mine.jsonl")
    assert found == {
        "mine": mine,
        "two": mine,
        "sort.heldout": "sort.heldout",
        "a=b": str(tmp_path / "a=b.jsonl"),
    }
    with pytest.raises(StudioError, match="named twice"):
        data_sets(["mine.jsonl", "mine=other.jsonl"])


def test_a_state_space_base_from_a_folder_is_trained_mixed_and_played(studio, tmp_path):
    import torch
    from transformers import AutoTokenizer, MambaConfig, MambaForCausalLM

    folder = tmp_path / "tiny-mamba"
    tokenizer = AutoTokenizer.from_pretrained(STARTER / "base")
    config = MambaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        state_size=8,
        num_hidden_layers=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        MambaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    assert studio("bases", "add", str(folder))["architecture"] == "MambaForCausalLM"
    base = ("--base", "tiny-mamba")
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join((STARTER / "data" / "sort.train.jsonl").read_text().splitlines()[:8]) + "\n")
    made = studio(
        *("mix", "train", "--joint", *base, "--expert", f"one={rows}", "--expert", f"two={rows}"),
        *("--rank", "2", "--steps", "2", "--batch-size", "4", "--out", "state"),
    )
    assert set(made["usage"]) == {"one", "two", "null"}
    answer = studio("generate", *base, "--prompt", "sort: mango", "--mix", "state", "--max-new-tokens", "4")
    voices = ("--voice", "base", "--voice", "mix:state")
    compared = studio("compare", *base, "--prompt", "sort: mango", *voices, "--max-new-tokens", "4")
    assert compared["answers"][1]["text"] == answer["text"]
    scored = studio("score", *base, "--data", "sort.heldout", "--mix", "state", "--limit", "5")
    assert scored["n"] == 5
