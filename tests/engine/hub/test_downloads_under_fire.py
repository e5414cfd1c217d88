"""Downloads while things go wrong, by a real engine from a real server.

Whatever happens, a download ends in a verified file or stops with a clear sentence, and the library never has
half of one.
"""

import threading
import time

import pytest

from engine import messages as m
from tests.hub.handle import HubServer
from tests.hub.rig import WEIGHTS, Rig, digest, refetched, stopped, write_adapter

REPO = "ada/lora"
MEGABYTES = 12
SIZE = MEGABYTES << 20
CHUNK = 10 << 20
"""Bytes that a cut may cost: pieces on their way to the disk, and what both kernels held of a connection."""

SLOW = 8 << 20
"""Bytes per second at which a download can be met on its way."""

FILE = "/large/*" + WEIGHTS


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_adapter(tmp_path_factory.mktemp("adapter"), MEGABYTES)


@pytest.fixture(scope="module")
def stage(tmp_path_factory, files):
    """One Hub and one engine for all tests of this file that leave both alive."""
    folder = tmp_path_factory.mktemp("stage")
    with pytest.MonkeyPatch.context() as patch, HubServer.start(folder / "hub") as hub:
        hub.enter(patch)
        hub.add(REPO, files)
        with Rig(hub, folder / "home") as rig:
            yield rig


@pytest.fixture
def rig(stage):
    """The stage as it was in the beginning: nothing fetched, no faults, an empty log."""
    yield stage
    stage.hub.clear()
    stage.clear()
    stage.hub.forget()


def log_of(rig, key):
    return " ".join(line.text for line in rig.ask(m.ReadLog(id=key)).lines)


def test_undisturbed(rig, files):
    job = rig.get(REPO)
    assert job.state == "done" and job.result["name"] == "new" and job.result["resumed_from"] == 0
    assert job.result["sha256"] == {name: digest(path) for name, path in files.items()}
    assert job.result["bytes"] == job.steps == sum(path.stat().st_size for path in files.values())
    card = rig.has("new", files)
    assert (card.source, card.repo, card.commit) == ("hub", REPO, job.result["revision"])
    assert refetched(rig.hub) == 0


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_drops_again_and_again(rig, files, reset):
    places = [0, 8, 2 << 20, (7 << 20) + 5, SIZE - 1] if reset else [1, 1000, (2 << 20) - 1, 5 << 20]
    for place in places:
        rig.hub.fault(FILE, drop_at=place, reset=reset)
    rig.hub.fault("*/resolve/*/adapter_config.json", drop_at=5, reset=reset)
    job = rig.get(REPO)
    assert job.state == "done" and rig.hub.clear() == []
    rig.has("new", files)
    assert refetched(rig.hub) < CHUNK


def test_a_server_that_does_not_resume(rig, files):
    rig.hub.fault(FILE, drop_at=7 << 20)
    rig.hub.fault(FILE, no_range=True)
    key = rig.submit(REPO)
    assert rig.wait(key).state == "done" and rig.hub.clear() == []
    rig.has("new", files)
    assert "beginning" in log_of(rig, key)


def test_an_etag_that_changes_on_the_way(rig, files):
    rig.hub.fault(FILE, drop_at=7 << 20)
    rig.hub.fault(FILE, etag="another")
    key = rig.submit(REPO)
    assert rig.wait(key).state == "done" and rig.hub.clear() == []
    rig.has("new", files)
    assert "changed" in log_of(rig, key)


def test_one_wrong_bit_is_seen_and_fetched_again(rig, files):
    rig.hub.fault(FILE, flip=SIZE // 2)
    key = rig.submit(REPO)
    assert rig.wait(key).state == "done"
    rig.has("new", files)
    assert "fetched again" in log_of(rig, key)


@pytest.mark.parametrize("length", [SIZE // 2, SIZE + 10_000])
def test_a_length_that_is_a_lie(rig, files, length):
    rig.hub.fault(FILE, length=length)
    assert rig.get(REPO).state == "done" and rig.hub.clear() == []
    rig.has("new", files)


def test_a_hub_that_lies_and_keeps_lying(rig, files):
    lists = {"hash": {"sha256": "1" * 64}, "less": {"size": SIZE - 4}, "more": {"size": SIZE + 4}}
    lists |= {"much": {"size": 1 << 60}, "commit": {"commit": "2" * 40}}
    faults = {"bit": {"flip": SIZE // 2}, "length": {"length": SIZE // 2}}
    for name in (*lists, *faults, "etag", "config"):
        rig.hub.add(f"ada/{name}", files)
    for name, lie in lists.items():
        rig.hub.lie(f"ada/{name}", WEIGHTS, **lie)
    for name, fault in faults.items():
        rig.hub.fault(f"/large/ada/{name}/*", times=-1, **fault)
    rig.hub.fault(f"/ada/etag/*{WEIGHTS}", times=-1, etag="0" * 64)
    rig.hub.fault("/ada/config/*/adapter_config.json", times=-1, flip=3)
    keys = {name: rig.submit(f"ada/{name}", name) for name in (*lists, *faults, "etag", "config")}
    codes = {name: stopped(rig.wait(key)).code for name, key in keys.items()}
    assert codes == dict.fromkeys(keys, "changed") | {"much": "refused"}
    rig.has_nothing_new()
    rig.hub.clear()
    rig.ask(m.ResumeJob(id=keys["bit"]))
    assert rig.wait(keys["bit"]).state == "done"
    rig.has("bit", files)


@pytest.mark.parametrize("where", ["/api/models/*", "*/resolve/*" + WEIGHTS])
def test_refusals_are_said_at_once(rig, where):
    refusals = {
        # The client takes a bare 401 for a repository that is not there, or not for everybody.
        (401, None): ("sign-in", "missing"),
        (403, None): ("sign-in",),
        (401, "GatedRepo"): ("gated",),
        (403, "GatedRepo"): ("gated",),
        (404, "RepoNotFound"): ("missing",),
        (404, "RevisionNotFound"): ("missing",),
        (404, None): ("missing",),
        (418, None): ("failed",),
    }
    for (status, code), ends in refusals.items():
        rig.hub.fault(where, times=-1, status=status, code=code)
        began = time.monotonic()
        assert stopped(rig.get(REPO)).code in ends
        assert time.monotonic() - began < 12  # trouble that may pass is waited for 15 s
        rig.hub.clear()
    rig.has_nothing_new()


def test_a_gated_repository_says_where_to_ask(rig, files):
    rig.hub.add("bob/gated", files, gated=True)
    error = stopped(rig.get("bob/gated"))
    assert error.code == "gated" and f"{rig.hub.endpoint}/bob/gated" in error.hint
    rig.ask(m.SignIn(token=rig.hub.token))
    assert stopped(rig.get("bob/gated")).code == "gated"
    rig.hub.grant("bob/gated", "ada")
    assert rig.get("bob/gated").state == "done"
    rig.ask(m.SignOut())


def test_a_busy_server_is_waited_for_as_it_asks(rig, files):
    rig.hub.fault("/api/models/*", status=429, retry_after=1)
    rig.hub.fault("*/resolve/*" + WEIGHTS, status=500)
    rig.hub.fault(FILE, status=503, retry_after=1)
    began = time.monotonic()
    assert rig.get(REPO).state == "done" and rig.hub.clear() == []
    assert time.monotonic() - began > 2
    rig.has("new", files)


def test_trouble_that_does_not_end_pauses_and_can_be_resumed(rig, files):
    ends = {"busy": "limited", "dropping": "offline", "failing": "limited", "gone": "offline"}
    for name in ends:
        rig.hub.add(f"ada/{name}", files)
    rig.hub.fault("/api/models/ada/busy/*", times=-1, status=429, retry_after=3000)
    rig.hub.fault("/large/ada/dropping/*", times=-1, drop_at=5 << 20)
    rig.hub.fault("/large/ada/failing/*", times=-1, status=500)
    rig.hub.fault("/ada/gone/*" + WEIGHTS, times=-1, redirect="http://localhost:9/")
    keys = {name: rig.submit(f"ada/{name}", name) for name in ends}
    assert {name: stopped(rig.wait(key, "paused"), "paused").code for name, key in keys.items()} == ends
    rig.has_nothing_new()
    rig.hub.clear()
    rig.hub.forget()
    for name, key in keys.items():
        rig.ask(m.ResumeJob(id=key))
        assert rig.wait(key).state == "done"
        rig.has(name, files)
    assert rig.sent("/large/ada/dropping/*") == SIZE - (5 << 20) + (files[WEIGHTS].stat().st_size - SIZE)


def test_a_strange_host_gets_no_token_and_no_trust(rig, files, tmp_path):
    rig.ask(m.SignIn(token=rig.hub.token))
    with HubServer.start(tmp_path / "strange") as strange:
        strange.add(REPO, files)
        strange.add("ada/false", write_adapter(tmp_path / "false", MEGABYTES, seed=7))
        for repo, state in (("ada/false", "failed"), (REPO, "done")):
            there = f"{strange.endpoint}/{repo}/resolve/main/{WEIGHTS}"
            rig.hub.fault("*/resolve/*" + WEIGHTS, times=-1, redirect=there)
            assert rig.get(REPO).state == state
            rig.hub.clear()
        assert strange.requests() and not any(each["authorization"] for each in strange.requests())
    assert all(each["authorization"] for each in rig.hub.requests("*/resolve/*"))
    assert not any(each["authorization"] for each in rig.hub.requests("/large/*"))
    rig.has("new", files)
    rig.ask(m.SignOut())


def test_a_slow_server_can_be_paused_resumed_and_left(rig, files):
    rig.hub.fault(FILE, times=-1, rate=SLOW)
    key = rig.submit(REPO)
    rig.wait_until_sent(key, 4 << 20)
    rig.ask(m.PauseJob(id=key))
    job = rig.wait(key, "paused")
    assert 0 < job.step < job.steps and rig.card("new") is None
    (weights,) = [file for file in job.files if file.name == WEIGHTS]
    assert 0 < weights.done < weights.total
    rig.ask(m.ResumeJob(id=key))
    job = rig.wait(key)
    assert job.state == "done" and job.result["resumed_from"] > 2 << 20
    rig.has("new", files)
    assert refetched(rig.hub) < CHUNK
    rig.hub.forget()
    key = rig.submit(REPO, "left")
    rig.wait_until_sent(key, 2 << 20)
    rig.ask(m.CancelJob(id=key))
    rig.wait(key, "cancelled")
    assert rig.card("left") is None


def test_the_network_goes_and_comes_back(rig, files):
    rig.hub.fault(FILE, times=-1, rate=SLOW)
    key = rig.submit(REPO)
    rig.wait_until_sent(key, 5 << 20)
    rig.hub.down()
    threading.Timer(1.0, rig.hub.up).start()
    job = rig.wait(key)
    assert job.state == "done"
    rig.has("new", files)
    assert refetched(rig.hub) < CHUNK


@pytest.mark.study
def test_a_server_that_falls_silent_is_given_up_after_a_while(rig, files):
    rig.hub.fault(FILE, stall=300, stall_at=5 << 20)
    began = time.monotonic()
    assert rig.get(REPO).state == "done"
    assert 25 < time.monotonic() - began < 45
    rig.has("new", files)
    assert refetched(rig.hub) < CHUNK
