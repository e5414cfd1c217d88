"""The command line as programs see it: JSON on stdout, exit codes, the real engine and runtime behind it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from engine.client import find_engine, wait_for_end
from engine.commands import main
from engine.commands.session import table
from engine.commands.voices import parse_part
from engine.formats.errors import StudioError
from engine.messages import PROTOCOL
from engine.supervisor.home import Home
from engine.supervisor.starter import STARTER
from tests.commands.studio import Studio

BASE = ("--base", "starter-llama")


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    studio = Studio(tmp_path_factory.mktemp("cli") / "home")
    status = studio("engine", "start", "--detach")
    assert status["running"] and status["protocol"] == PROTOCOL
    yield studio
    running = find_engine(Home(studio.home))
    assert studio("engine", "stop")["running"] is False
    assert running is None or wait_for_end(running.pid, 20)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    lines = (STARTER / "data" / "reverse.train.jsonl").read_text().splitlines()[:64]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_engine_start_status_stop(tmp_path):
    studio = Studio(tmp_path / "home")
    assert studio("engine", "status") == {"running": False, "pid": None, "protocol": None, "runtimes": []}
    started = studio("engine", "start")
    status = studio("engine", "status")
    assert status["pid"] == started["pid"] and status["running"] and status["runtimes"] == []
    assert studio("engine", "stop")["running"] is False
    assert studio("engine", "stop")["running"] is False
    assert wait_for_end(started["pid"], 1)


def test_json_before_or_after_and_home_by_environment(studio):
    environment = os.environ | {"ADAPTER_STUDIO_HOME": str(studio.home)}
    for arguments in (["--json", "bases", "list"], ["bases", "--json", "list"], ["bases", "list", "--json"]):
        command = [sys.executable, "-m", "engine", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
        (base,) = json.loads(done.stdout)["bases"]
        assert base["name"] == "starter-llama" and base["parameters"] > 0
        assert set(base) >= {"name", "architecture", "parameters", "path"}


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "words"),
    [
        (["adapters"], 2, "usage", "command is missing"),
        (["paint"], 2, "usage", "paint"),
        (["generate", "--prompt", "x"], 2, "usage", "--base"),
        (["generate", *BASE, "--prompt", "x", "--max-new-tokens", "many"], 2, "usage", "--max-new-tokens"),
        (["generate", *BASE, "--prompt", "x", "--adapter", "a=b=c"], 2, "usage", "NAME[=WEIGHT][@RANK]"),
        (["generate", *BASE, "--prompt", "x", "--adapter", "rev"], 1, "missing", "no adapter called rev"),
        (["generate", "--base", "nobody", "--prompt", "x"], 1, "missing", "no base model"),
        (["adapters", "remove", "nobody"], 1, "missing", "no adapter"),
        (["jobs", "show", "nobody"], 1, "missing", "no job"),
        (["score", *BASE, "--data", "nowhere.jsonl"], 1, "data", "nowhere.jsonl"),
        (["train", "lora", *BASE, "--data", "mixed", "--out", "reverse"], 2, "usage", "already"),
        (["mix", "route", "--mix", "none", "--prompt", "x"], 1, "missing", "no mix"),
        (["bases", "add", "some/model"], 1, "offline", "HF_HUB_OFFLINE"),
        (["bases", "add", "nowhere"], 1, "base", "no folder"),
        (["--home"], 2, "usage", "--home needs a folder"),
        (["generate", *BASE, "--prompt", "x", "--seed", str(10**20)], 2, "usage", "number is too large"),
        (["generate", *BASE, "--prompt", "x", "--adapter", "sort@99"], 2, "usage", "sort has ranks 1 to 8"),
        (["generate", *BASE, "--prompt", "x", "--mix", "a", "--job", "b"], 2, "usage", "not both"),
        (["generate", *BASE, "--prompt", "x", "--job", "nobody"], 1, "missing", "no job"),
        (["generate", *BASE, "--prompt", "x", "--top-k", "2"], 2, "usage", "are for a mix"),
        (["adapters", "restore", "nobody"], 1, "missing", "no removed adapter"),
        (["mix", "remove", "nobody"], 1, "missing", "no mix"),
        (["adapters", "import", "/"], 2, "usage", "cannot be a name"),
    ],
)
def test_a_failure_is_a_sentence_a_next_step_and_a_code(studio, arguments, code, kind, words):
    error = studio(*arguments, code=code)["error"]
    assert error["code"] == kind and words in error["message"]
    assert set(error) == {"code", "message", "hint"} and error["hint"]
    assert error["message"][-1] in ".?!" and error["message"][-2] not in ".?!"


def test_without_json_errors_go_to_stderr(studio):
    done = studio.run("jobs", "show", "nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no job “nobody”." in done.stderr and "Traceback" not in done.stderr


def test_an_unsafe_adapter_is_exit_3(studio, tmp_path):
    shutil.copytree(STARTER / "adapters" / "sort", tmp_path / "evil")
    (tmp_path / "evil" / "adapter_model.safetensors").unlink()
    (tmp_path / "evil" / "adapter_model.bin").write_bytes(b"\x80\x02cos\nsystem\n(S'true'\ntR.")
    assert studio("adapters", "inspect", str(tmp_path / "evil"))["verdict"] == "refuse"
    assert studio("adapters", "import", str(tmp_path / "evil"), code=3)["error"]["code"] == "refused"


def test_a_bad_line_is_named(studio, tmp_path):
    data = tmp_path / "bad.jsonl"
    data.write_text('{"prompt": "a", "completion": "b"}\n{"completion": 3}\n')
    error = studio("train", "lora", *BASE, "--data", str(data), "--out", "never", code=1)["error"]
    assert error["code"] == "data" and "line 2" in error["message"]
    assert studio("jobs", "list") == {"jobs": []}


def test_adapters(studio, tmp_path):
    folder = STARTER / "adapters" / "sort"
    inspected = studio("adapters", "inspect", str(folder))
    keys = {"verdict", "reason", "kind", "rank", "alpha", "targets", "base", "tensors", "bytes"}
    assert set(inspected) == keys and inspected["verdict"] == "ok"
    studio("adapters", "export", "sort", str(tmp_path / "copy"))
    config = tmp_path / "copy" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"lora_alpha": 3}))
    assert studio("adapters", "import", str(tmp_path / "copy"), "--name", "mine")["alpha"] == 3
    names = {card["name"] for card in studio("adapters", "list")["adapters"]}
    assert {"mine", "sort", "reverse"} <= names
    assert studio("adapters", "verify", "mine")["adapters"][0]["ok"]
    weights = studio.home / "adapters" / "mine" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert not studio("adapters", "verify", "mine", code=1)["adapters"][0]["ok"]
    assert studio("adapters", "remove", "mine")["name"] == "mine"
    assert "mine" not in {card["name"] for card in studio("adapters", "list")["adapters"]}
    assert studio("adapters", "restore", "mine")["alpha"] == 3
    assert "mine" in {card["name"] for card in studio("adapters", "list")["adapters"]}


def test_generate_and_score(studio):
    answer = studio("generate", *BASE, "--adapter", "reverse", "--prompt", "reverse: planet")
    assert answer["text"].strip() == "tenalp" and answer["tokens"] >= 6 and answer["tokens_per_second"] > 0
    silent = studio("generate", *BASE, "--adapter", "reverse=0", "--prompt", "reverse: planet")
    assert silent["text"] == studio("generate", *BASE, "--prompt", "reverse: planet")["text"]
    done = studio.run("generate", *BASE, "--adapter", "reverse", "--prompt", "reverse: planet")
    assert done.stdout == "tenalp\n" and "tokens" in done.stderr
    drawn = ("generate", *BASE, "--prompt", "reverse: planet", "--temperature", "3", "--seed")
    texts = [studio(*drawn, seed)["text"] for seed in ("1", "1", "2")]
    assert texts[0] == texts[1] != texts[2]
    streamed = studio.run(
        *("generate", *BASE, "--adapter", "reverse", "--prompt", "reverse: planet", "--stream", "--json")
    )
    *tokens, last = [json.loads(line) for line in streamed.stdout.splitlines()]
    assert last["done"] is True and "".join(token["text"] for token in tokens) == last["text"]
    data = str(STARTER / "data" / "reverse.heldout.jsonl")
    scored = studio("score", *BASE, "--adapter", "reverse", "--data", data, "--limit", "40")
    assert scored["metric"] == "exact" and scored["value"] >= 0.8 and scored["n"] == 40
    assert scored["interval"][0] <= scored["value"] <= scored["interval"][1]
    cut = ("score", *BASE, "--adapter", "reverse@4", "--data", data, "--limit", "8", "--metric", "loss")
    losses = [studio(*cut, *options)["value"] for options in ((), ("--order", "energy"))]
    assert losses[1] < losses[0] and "arbitrary part" in studio.run(*cut).stderr
    loss = studio("score", *BASE, "--data", "reverse.heldout", "--limit", "8", "--metric", "loss")
    assert loss["metric"] == "loss" and loss["value"] > 0


def test_train_mix_route_and_jobs(studio, rows):
    trained = studio(
        *("train", "lora", *BASE, "--data", str(rows), "--rank", "2", "--out", "small"),
        *("--steps", "4", "--batch-size", "8"),
    )
    assert trained["name"] == "small" and trained["steps"] == 4
    assert trained["loss"] > 0 and trained["seconds"] > 0
    mixed = studio(
        *("mix", "train", *BASE, "--expert", "reverse", "--expert", "small", "--data", str(rows)),
        *("--out", "pair", "--steps", "4", "--batch-size", "8"),
    )
    assert mixed["name"] == "pair" and mixed["steps"] == 4 and mixed["router_parameters"] > 0
    assert {"reverse", "small"} <= set(mixed["usage"])
    seen = studio("mix", "route", "--mix", "pair", "--prompt", "reverse: sun")
    assert seen["experts"][:2] == ["reverse", "small"] and "reverse: sun" in "".join(seen["tokens"])
    assert len(seen["gates"]) == len(seen["tokens"]) and len(seen["gates"][0]) == len(seen["modules"])
    assert all(len(row) == len(seen["experts"]) for token in seen["gates"] for row in token)
    loudest = studio("mix", "route", "--mix", "pair", "--prompt", "reverse: sun", "--top-k", "1")["gates"]
    assert all(sorted(row)[:2] == [0.0, 0.0] for token in loudest for row in token)
    assert all(sum(row) == pytest.approx(1.0) for token in loudest for row in token)
    answer = studio("generate", *BASE, "--mix", "pair", "--prompt", "reverse: sun")
    assert studio("mix", "list")["mixes"][0]["experts"] == ["reverse", "small"]
    assert studio("mix", "remove", "pair")["name"] == "pair" and studio("mix", "list") == {"mixes": []}
    assert studio("mix", "restore", "pair")["router_parameters"] == mixed["router_parameters"]
    again = studio("generate", *BASE, "--mix", "pair", "--prompt", "reverse: sun")
    assert again["text"] == answer["text"]
    jobs = studio("jobs", "list")["jobs"]
    assert [(job["kind"], job["state"], job["step"]) for job in jobs] == [
        ("lora", "done", 4),
        ("router", "done", 4),
    ]
    assert {"id", "kind", "state", "step", "steps", "message"} <= set(jobs[0])
    assert studio("jobs", "show", jobs[0]["id"])["name"] == "small"
    assert studio("jobs", "log", jobs[0]["id"])["lines"][-1]["text"] == "Done after 4 steps."
    error = studio("jobs", "resume", jobs[0]["id"], code=2)["error"]
    assert "cannot be resumed" in error["message"]


def _running(studio):
    return [job for job in studio("jobs", "list")["jobs"] if job["state"] == "running"]


def test_pause_resume_and_ctrl_c(studio, rows):
    training = studio.start(
        *("train", "lora", *BASE, "--data", str(rows), "--out", "endless", "--steps", "100000"),
        *("--batch-size", "4", "--rank", "2"),
    )
    until = time.monotonic() + 100
    while not (key := next((job["id"] for job in _running(studio) if job["step"] > 4), "")):
        assert time.monotonic() < until and training.poll() is None
        time.sleep(0.1)
    paused = studio("jobs", "pause", key)
    assert paused["state"] == "paused" and paused["checkpoint_step"] == paused["step"]
    assert studio("jobs", "resume", key)["state"] == "running"
    training.send_signal(signal.SIGINT)
    out, _ = training.communicate(timeout=100)
    assert training.returncode == 130 and json.loads(out)["error"]["code"] == "cancelled"
    assert studio("jobs", "show", key)["state"] == "cancelled"
    assert studio("jobs", "remove", key) == {"id": key}


def test_doctor(studio):
    checks = {check["name"]: check for check in studio("doctor")["checks"]}
    assert set(checks) >= {"gpu", "camera", "microphone", "hub", "keyring", "display"}
    assert all(
        set(check) == {"name", "ok", "detail", "hint"} and check["detail"] for check in checks.values()
    )
    assert all(check["ok"] or check["hint"] for check in checks.values())
    assert checks["sqlite"]["ok"]
    assert not any("Error" in check["detail"] + check["hint"] for check in checks.values())


def test_a_router_is_heard_while_it_trains(studio):
    training = studio.start(
        *("mix", "train", *BASE, "--expert", "reverse", "--expert", "sort", "--data", "mixed"),
        *("--out", "heard", "--steps", "100000", "--batch-size", "4"),
    )
    until = time.monotonic() + 100
    while not (key := next((job["id"] for job in _running(studio) if job["step"] > 4), "")):
        assert time.monotonic() < until and training.poll() is None
        time.sleep(0.1)
    assert studio("generate", *BASE, "--job", key[:6], "--prompt", "reverse: sun")["tokens"] > 0
    kept = studio("jobs", "cancel", key, "--keep")
    assert kept["state"] == "done"
    out, _ = training.communicate(timeout=100)
    assert training.returncode == 0 and json.loads(out)["steps"] == kept["step"]
    error = studio("generate", *BASE, "--job", key, "--prompt", "x", code=2)["error"]
    assert error["message"].startswith("heard is done") and error["hint"] == "Play the finished mix."


def test_a_table_keeps_to_the_terminal(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    rows = [("sort", "Puts the letters in alphabetical order."), ("x", "Short.")]
    assert table(("name", ""), rows).splitlines() == [
        "name",
        "sort  Puts the letters in …",
        "x     Short.",
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a", ("a", 1.0, None)),
        ("a=0.5", ("a", 0.5, None)),
        ("a@4", ("a", 1.0, 4)),
        ("a=-2@1", ("a", -2.0, 1)),
    ],
)
def test_parts(text, part):
    parsed = parse_part(text)
    assert (parsed.name, parsed.weight, parsed.rank) == part


@pytest.mark.parametrize("text", ["", "=1", "a=", "a@", "a@0", "a=nan", "a=1=2", "a@x", "a=inf"])
def test_not_parts(text):
    with pytest.raises(StudioError):
        parse_part(text)


def test_a_key_pressed_while_the_program_is_read_is_no_traceback(monkeypatch, capsys):
    class Interrupted:
        def __getattr__(self, name):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "engine.commands.program", Interrupted())
    assert main(["jobs", "list", "--json"]) == 130
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "cancelled"
    assert main(["jobs", "list"]) == 130 and capsys.readouterr().out == ""
