"""The hub commands as programs see them, against the Hub of the tests."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

from engine.client import find_engine, wait_for_end
from engine.supervisor.home import Home
from engine.supervisor.starter import STARTER
from tests.commands.studio import Studio
from tests.hub.handle import HubServer

SORT = STARTER / "adapters" / "sort"
NAMES = ("adapter_config.json", "adapter_model.safetensors", "README.md")


class HubStudio(Studio):
    """Commands, and the engine that they start, that take the server for the Hub."""

    def __init__(self, home, hub):
        super().__init__(home)
        self.environment = os.environ | hub.environment()

    def run(self, *arguments, **options):
        return super().run(*arguments, env=self.environment, **options)

    def begin(self, *arguments):
        command = [sys.executable, "-m", "engine", "--home", str(self.home), *arguments, "--json"]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with HubServer.start(tmp_path_factory.mktemp("hub")) as server:
        files = {name: SORT / name for name in NAMES}
        server.add("ada/sort", files, license="apache-2.0", downloads=70, likes=3)
        server.add("ada/guarded", files, gated=True, downloads=50)
        server.add("ada/picture", {"pytorch_lora_weights.safetensors": b""}, tags=["diffusers", "lora"])
        server.add("ada/neither", {"notes.txt": b"x"})
        yield server


@pytest.fixture(scope="module")
def studio(hub, tmp_path_factory):
    studio = HubStudio(tmp_path_factory.mktemp("cli") / "home", hub)
    studio("engine", "start", "--detach")
    yield studio
    running = find_engine(Home(studio.home))
    studio("engine", "stop")
    assert running is None or wait_for_end(running.pid, 20)


def test_search_keeps_its_promise(studio):
    found = studio("hub", "search", "--sort", "downloads", "--base", "starter-llama", code=1)
    assert found["error"]["code"] == "base"
    found = studio("hub", "search", "--sort", "downloads")
    promised = {"repo", "base", "rank", "size", "downloads", "likes", "license", "gated", "verdict", "reason"}
    assert all(promised <= set(row) for row in found["adapters"]) and found["hidden"] == 1
    sort, guarded = found["adapters"]
    assert (sort["repo"], sort["rank"], sort["license"], sort["gated"]) == (
        "ada/sort",
        8,
        "apache-2.0",
        False,
    )
    assert sort["verdict"] == "green" and sort["size"] > 300_000 and sort["reason"] and not sort["gated"]
    assert guarded["gated"] and guarded["verdict"] != "green" and guarded["reason"]


def test_search_shows_what_is_hidden_on_demand(studio):
    (row,) = studio("hub", "search", "picture", "--all")["adapters"]
    assert row["hidden"] == "for a diffusion model"
    assert studio("hub", "search", "picture")["adapters"] == []
    said = studio.run("hub", "search", "picture")
    assert "1 hidden" in said.stdout and "--all" in said.stdout


def test_show_and_its_words(studio, hub):
    seen = studio("hub", "show", "ada/sort")
    assert {file["name"] for file in seen["files"]} == set(NAMES)
    assert seen["verdict"] == "green" and seen["address"] == f"{hub.endpoint}/ada/sort"
    assert re.fullmatch("[0-9a-f]{40}", seen["revision"]) and seen["card"].startswith("---")
    said = studio.run("hub", "show", f"{hub.endpoint}/ada/guarded")
    assert said.returncode == 0 and "ask for access" in said.stdout
    error = studio("hub", "show", "ada/gone", code=1)["error"]
    assert error["code"] == "missing" and error["hint"]
    assert studio("hub", "show", "no name", code=2)["error"]["code"] == "usage"


def test_download_is_verified_and_in_the_library(studio, hub):
    done = studio("hub", "download", "ada/sort", "--name", "fetched")
    assert {"name", "path", "revision", "bytes", "resumed_from", "sha256"} <= set(done)
    assert (done["name"], done["resumed_from"]) == ("fetched", 0)
    assert done["notes"] == ["It has the same weights as sort."]
    assert set(done["sha256"]) >= {"adapter_config.json", "adapter_model.safetensors"}
    cards = {card["name"]: card for card in studio("adapters", "list")["adapters"]}
    assert (cards["fetched"]["repo"], cards["fetched"]["commit"]) == ("ada/sort", done["revision"])
    (row,) = studio("hub", "search", "ada/sort")["adapters"]
    assert row["have"] == "fetched"


def test_the_very_same_commit_is_not_fetched_twice(studio, hub):
    hub.forget()
    error = studio("hub", "download", "ada/sort", "--name", "again", code=2)["error"]
    assert "as fetched" in error["message"] and "rename fetched" in error["hint"]
    assert not any("model.safetensors" in request["path"] for request in hub.requests())


def test_a_base_is_shown_as_one(studio, hub):
    files = {path.name: path for path in (STARTER / "base").iterdir()}
    hub.add("ada/model", files | {f"runs/{n}.json": b"{}" for n in range(50)}, task="text-generation")
    seen = studio("hub", "show", "ada/model")
    assert seen["verdict"] == "green" and "to train" in seen["reason"] and len(seen["files"]) == 55
    said = studio.run("hub", "show", "ada/model").stdout
    assert "LlamaForCausalLM, 868,864 parameters" in said and "30 more" in said and seen["revision"] in said
    said = studio.run("hub", "search", "--base-model").stdout
    assert "parameters" in said and "868,864" in said and "rank" not in said


def test_a_renamed_repository_is_shown_under_its_new_name(studio, hub):
    new = studio("hub", "show", "ada/sort")
    hub.fault(
        "/api/models/ada/before/*", redirect=f"{hub.endpoint}/api/models/ada/sort/revision/main?blobs=1"
    )
    seen = studio("hub", "show", "ada/before")
    assert (seen["repo"], seen["address"]) == ("ada/sort", new["address"])
    assert (seen["verdict"], seen["have"]) == (new["verdict"], new["have"])


def test_an_address_of_another_site_is_no_word_to_search_for(studio):
    error = studio("hub", "search", "https://example.org/ada/sort", code=2)["error"]
    assert error["code"] == "usage" and "no address" in error["message"]


def test_a_page_s_address_names_its_revision(studio, hub):
    old = hub.add("ada/sort", {"notes.txt": b"newer"}, keep=True)
    hub.tag("ada/sort", "v1", old)
    hub.add("ada/sort", {"notes.txt": b"newest"}, keep=True)
    done = studio("hub", "download", f"{hub.endpoint}/ada/sort/tree/v1", "--name", "older")
    assert done["revision"] == old != studio("hub", "show", "ada/sort")["revision"]


def test_a_stopped_download_keeps_what_has_come_and_goes_on(studio, hub):
    files = {path.name: path for path in (STARTER / "base").iterdir()}
    size = sum(path.stat().st_size for path in files.values())
    hub.add("studio/base", files, task="text-generation")
    hub.fault("/large/studio/base/*", rate=500_000, times=-1)
    process = studio.begin("hub", "download", "studio/base")
    until = time.monotonic() + 100
    while not any(request["sent"] > 200_000 for request in hub.requests("/large/studio/base/*")):
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=100)
    error = json.loads(out)["error"]
    assert process.returncode == 130 and "are kept" in error["message"] and "same command" in error["hint"]
    hub.clear()
    done = studio("hub", "download", "studio/base")
    assert done["resumed_from"] > 100_000 and done["resumed_from"] + done["bytes"] == size
    assert done["path"].startswith(studio.environment["HF_HUB_CACHE"])
    assert "base" in {base["name"] for base in studio("bases", "list")["bases"]}
    error = studio("hub", "download", "studio/base", code=2)["error"]
    assert "already here" in error["message"] and "--replace" in error["hint"]
    error = studio("hub", "download", "studio/base", "--name", "other", code=2)["error"]
    assert "as base" in error["message"] and "bases rename base other" in error["hint"]
    assert "base" in {base["name"] for base in studio("bases", "list")["bases"]}


def test_download_of_what_is_neither_is_refused_with_a_reason(studio, hub):
    error = studio("hub", "download", "ada/neither", code=1)["error"]
    assert "neither an adapter nor a base" in error["message"]
    shape = b'"dtype":"F32","shape":[2,2],"data_offsets":'
    head = b'{"lora_unet_down_blocks_0.lora_down.weight":{' + shape + b"[0,16]}}"
    hub.add("ada/drawing", {"style.safetensors": len(head).to_bytes(8, "little") + head + bytes(16)})
    error = studio("hub", "download", "ada/drawing", code=1)["error"]
    assert "diffusion model" in error["message"] and error["hint"]
    error = studio("hub", "download", "ada/guarded", code=1)["error"]
    assert error["code"] == "gated" and "ada/guarded" in error["hint"]


def test_what_would_run_a_program_is_refused(studio, hub):
    config = json.loads((SORT / "adapter_config.json").read_bytes())
    config["auto_mapping"] = {"base_model_class": "X", "parent_library": "os"}
    files = {name: SORT / name for name in NAMES} | {"adapter_config.json": json.dumps(config)}
    hub.add("bob/evil", files)
    assert studio("hub", "show", "bob/evil")["verdict"] == "red"
    error = studio("hub", "download", "bob/evil", code=3)["error"]
    assert error["code"] == "refused" and "module" in error["message"]
    assert "evil" not in {card["name"] for card in studio("adapters", "list")["adapters"]}


def test_sign_in_with_a_token_look_and_sign_out(studio, hub):
    assert studio("hub", "account")["name"] == ""
    done = studio.run("hub", "signin", "--token-stdin", "--json", input=hub.token + "\n")
    assert json.loads(done.stdout)["name"] == "ada" and "read scope is enough" in done.stderr
    assert studio("hub", "account") == {
        "endpoint": hub.endpoint,
        "name": "ada",
        "kept": "file",
        "problem": "",
    }
    assert studio("hub", "signout")["kept"] == ""
    error = studio.run("hub", "signin", "--token-stdin", "--json", input="hf_nobodyknowsthis\n")
    assert error.returncode == 1 and json.loads(error.stdout)["error"]["code"] == "sign-in"
    error = studio.run("hub", "signin", "--token-stdin", "--json", input="")
    assert error.returncode == 2


def test_sign_in_by_a_code(studio, hub):
    process = studio.begin("hub", "signin")
    said = process.stderr.readline()
    assert hub.endpoint in said and re.search(r"[0-9A-F]{4}-[0-9A-F]{4}", said)
    hub.accept_device("ada")
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 0 and json.loads(out)["name"] == "ada"
    studio("hub", "signout")


def test_a_sign_in_is_given_up_with_a_key(studio):
    process = studio.begin("hub", "signin")
    assert process.stderr.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 130 and json.loads(out)["error"]["code"] == "cancelled"


def test_publish_with_a_preview_first(studio, hub):
    card = studio("hub", "publish", "sort", "ada/mine", "--preview")["card"]
    assert card.startswith("---\n") and "rank 8" in card
    assert studio("hub", "publish", "sort", "ada/mine", code=1)["error"]["code"] == "sign-in"
    studio.run("hub", "signin", "--token-stdin", input=hub.token + "\n")
    done = studio("hub", "publish", "sort", "ada/mine")
    assert done["private"] and done["address"] == f"{hub.endpoint}/ada/mine"
    assert len(hub.uploads("ada/mine")) == 1
    studio("hub", "signout")


def test_no_token_in_logs_or_argument_lists(studio, hub):
    studio.run("hub", "signin", "--token-stdin", input=hub.token + "\n")
    assert studio("hub", "download", "ada/guarded")["name"] == "guarded"
    running = find_engine(Home(studio.home))
    for process in psutil.process_iter(["cmdline"]):
        assert hub.token not in " ".join(process.info["cmdline"] or [])
    with open(f"/proc/{running.pid}/environ") as file:  # noqa: PTH123
        assert hub.token not in file.read()
    for path in Home(studio.home).root.rglob("*"):
        if path.is_file() and path.name != "hub-token.json":
            assert hub.token.encode() not in path.read_bytes(), path
    studio("hub", "signout")


def test_an_engine_that_asks_another_hub_is_not_asked_for_this_one(studio):
    for name, value, code in (
        ("HF_HUB_OFFLINE", "1", "offline"),
        ("HF_ENDPOINT", "http://127.0.0.1:9", "usage"),
    ):
        said = Studio.run(studio, "hub", "search", "sort", "--json", env=studio.environment | {name: value})
        error = json.loads(said.stdout)["error"]
        assert error["code"] == code and said.returncode == (2 if code == "usage" else 1)
        assert studio.environment["HF_ENDPOINT"] in error["message"] and "engine stop" in error["hint"]


def test_offline_says_so_and_the_library_works(studio, hub):
    hub.down()
    try:
        error = studio("hub", "search", "sort", code=1)["error"]
        assert error["code"] == "offline" and "works without the Hub" in error["hint"]
        assert studio("adapters", "list")["adapters"]
        assert "cannot be reached" in studio("hub", "account")["problem"]
    finally:
        hub.up()
