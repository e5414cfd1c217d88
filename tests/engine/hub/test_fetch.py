"""The Range writer against a Hub that misbehaves: a verified file in the end, or a clear sentence."""

import errno
import hashlib
import random
import shutil
import threading
import time

import pytest

from engine.formats.errors import StudioError
from engine.hub import fetch as fetch_room
from engine.hub import plan as plan_room
from engine.hub import source as source_room
from engine.hub.fetch import fetch
from engine.hub.plan import PlannedFile, make_plan
from engine.hub.source import Source

WEIGHTS = "adapter_model.safetensors"
BIG = random.Random(0).randbytes(3_000_000)
CONFIG = b'{"peft_type": "LORA"}' * 1000


class StopError(Exception):
    pass


class Listener:
    """A Control that remembers what it was told, and stops on demand."""

    def __init__(self):
        self.trail, self.said, self.notes, self.waits, self.count = [], [], [], [], 0
        self.stop_at = None

    def check(self):
        if self.stop_at is not None and self.trail and self.trail[-1] >= self.stop_at:
            raise StopError

    def wait(self, seconds, doing):
        self.waits.append((seconds, doing))
        self.check()

    def at(self, done):
        self.trail.append(done)

    def received(self, count):
        self.count += count

    def say(self, doing):
        self.said.append(doing)

    def note(self, sentence):
        self.notes.append(sentence)


@pytest.fixture
def ground(hub, monkeypatch, tmp_path):
    """A repository with a large and a small file on a Hub, and a place to fetch them to."""
    hub.enter(monkeypatch)
    hub.add("ada/one", {WEIGHTS: BIG, "adapter_config.json": CONFIG})
    return Ground(hub, make_plan("ada/one", "main", "adapters", ""), tmp_path)


class Ground:
    def __init__(self, hub, plan, folder):
        self.hub, self.plan, self.folder = hub, plan, folder
        self.files = {file.name: file for file in plan.files}
        self.listener = Listener()

    def target(self, name=WEIGHTS):
        return self.folder / name

    def fetch(self, name=WEIGHTS, token=""):
        self.hub.forget()
        source = Source(self.plan, token)
        try:
            return fetch(self.files[name], self.target(name), source, self.listener)
        finally:
            source.close()

    def ranges(self):
        """What the host of the large file was asked for."""
        asked = [each for each in self.hub.requests() if "localhost" in each["host"]]
        return [each["range"] for each in asked]


def whole(ground, name=WEIGHTS, content=BIG):
    digest = ground.fetch(name)
    assert digest == hashlib.sha256(content).hexdigest()
    assert ground.target(name).read_bytes() == content
    return ground.ranges()


def test_a_large_and_a_small_file_arrive(ground):
    assert whole(ground) == [None]
    whole(ground, "adapter_config.json", CONFIG)
    assert ground.listener.trail[0] == 0 and ground.listener.notes == []


@pytest.mark.parametrize(("name", "content"), [(WEIGHTS, BIG), ("adapter_config.json", CONFIG)])
def test_it_goes_on_with_the_bytes_that_lie_there(ground, name, content):
    ground.target(name).write_bytes(content[:7001])
    whole(ground, name, content)
    assert ground.listener.count == len(content) - 7001
    assert ground.listener.notes == [] and ground.listener.said[0] == f"Checking {name}"


def test_nothing_is_asked_for_a_file_that_is_whole(ground):
    ground.target().write_bytes(BIG)
    whole(ground)
    assert ground.hub.requests() == [] and ground.listener.count == 0


@pytest.mark.parametrize("at", [0, 1, 1_500_000, len(BIG) - 1])
def test_a_dropped_connection_goes_on_to_the_byte(ground, at):
    ground.hub.fault(f"*{WEIGHTS}", drop_at=at)
    asked = whole(ground)
    assert asked == ([None, f"bytes={at}-"] if at else [None, None])
    assert ground.listener.count == len(BIG)


def test_a_server_that_cannot_go_on_is_said(ground):
    ground.target().write_bytes(BIG[:1_000_000])
    ground.hub.fault(f"*{WEIGHTS}", no_range=True, times=-1)
    whole(ground)
    assert "in the middle" in ground.listener.notes[0]


def test_a_changed_version_is_said_and_begun_again(ground):
    ground.hub.fault(f"*{WEIGHTS}", drop_at=1_500_000)
    ground.hub.fault(f"*{WEIGHTS}", etag="other", times=1)
    whole(ground)


@pytest.mark.parametrize("wrong", [b"x" * 9000, b"x" * (len(BIG) + 5), b"x" * len(BIG)])
def test_wrong_bytes_on_the_disk_are_replaced(ground, wrong):
    ground.target().write_bytes(wrong)
    whole(ground)


def test_a_flipped_bit_is_found_and_fetched_again(ground):
    ground.hub.fault(f"*{WEIGHTS}", flip=2_000_000)
    assert whole(ground) == [None, None]
    assert ground.listener.notes == [f"{WEIGHTS} was not what the Hub had announced and was fetched again."]


@pytest.mark.parametrize("name", [WEIGHTS, "adapter_config.json"])
def test_content_that_stays_wrong_is_an_error_that_names_the_file(ground, name):
    ground.hub.fault(f"*{name}", flip=10, times=-1)
    with pytest.raises(StudioError, match=name) as refusal:
        ground.fetch(name)
    assert refusal.value.code == "changed" and not ground.target(name).exists()


@pytest.mark.parametrize("length", [len(BIG) - 1000, len(BIG) + 1000])
def test_a_wrong_length_is_no_answer(ground, length):
    ground.hub.fault(f"*{WEIGHTS}", length=length)
    whole(ground)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_waited_for_as_it_says(ground, status):
    ground.hub.fault(f"*{WEIGHTS}", status=status, retry_after=7, times=2)
    whole(ground)
    assert ground.listener.waits == [(7.0, "Waiting for the Hub")] * 2


def test_patience_ends(ground):
    ground.hub.fault(f"*{WEIGHTS}", status=503, times=-1)
    with pytest.raises(StudioError) as refusal:
        ground.fetch()
    assert refusal.value.code == "limited" and len(ground.listener.waits) == fetch_room.TRIES - 1


def test_a_wait_that_is_too_long_is_told_at_once(ground):
    ground.hub.fault(f"*{WEIGHTS}", status=429, retry_after=86400)
    with pytest.raises(StudioError, match="pause") as refusal:
        ground.fetch()
    assert refusal.value.code == "limited" and "1440 min" in refusal.value.hint


def test_without_a_network_it_gives_up_and_keeps_the_bytes(ground):
    ground.target().write_bytes(BIG[:1000])
    ground.hub.down()
    with pytest.raises(StudioError) as refusal:
        ground.fetch()
    assert refusal.value.code == "offline" and ground.target().read_bytes() == BIG[:1000]
    ground.hub.up()
    assert whole(ground) == ["bytes=1000-"]


def test_as_long_as_bytes_come_it_goes_on(ground):
    for at in range(100_000, len(BIG), 200_000):
        ground.hub.fault(f"*{WEIGHTS}", drop_at=at)
    whole(ground)
    assert ground.listener.count == len(BIG)


def test_a_dead_connection_is_given_up(ground, monkeypatch):
    monkeypatch.setattr(source_room, "TIMES", source_room.httpx2.Timeout(0.5, connect=5.0))
    ground.hub.fault(f"*{WEIGHTS}", stall=20.0, stall_at=1_000_000)
    began = time.monotonic()
    whole(ground)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [(403, "GatedRepo", "gated"), (401, "RepoNotFound", "missing"), (404, "EntryNotFound", "missing")],
)
def test_what_trying_again_does_not_mend_is_told_at_once(ground, status, code, expected):
    ground.hub.fault("*adapter_config.json", status=status, code=code, times=-1)
    with pytest.raises(StudioError) as refusal:
        ground.fetch("adapter_config.json")
    assert refusal.value.code == expected and ground.listener.waits == [] and refusal.value.hint


def test_the_token_goes_to_the_hub_alone(ground):
    ground.fetch(token=ground.hub.token)
    asked = ground.hub.requests()
    assert [(("localhost" in each["host"]), each["authorization"]) for each in asked] == [
        (False, True),
        (True, False),
    ]


def test_no_redirect_out_of_a_secure_connection_is_followed(ground):
    ground.hub.fault("*adapter_config.json", redirect="ftp://localhost/config")
    with pytest.raises(StudioError, match="not secure") as refusal:
        ground.fetch("adapter_config.json")
    assert refusal.value.code == "refused"


def test_redirects_in_a_circle_end(ground):
    path = ground.plan.address(ground.files["adapter_config.json"]).removeprefix(ground.hub.endpoint)
    ground.hub.fault("*adapter_config.json", redirect=path, times=-1)
    with pytest.raises(StudioError, match="circles"):
        ground.fetch("adapter_config.json")


def test_a_word_frees_the_connection_at_once_and_keeps_the_bytes(ground):
    ground.hub.fault(f"*{WEIGHTS}", stall=60.0, stall_at=2_000_000)
    ground.listener.stop_at = 1_900_000
    before = threading.active_count()
    began = time.monotonic()
    with pytest.raises(StopError):
        ground.fetch()
    assert time.monotonic() - began < 20
    there = ground.target().stat().st_size
    assert 1_900_000 <= there <= 2_000_000
    while threading.active_count() > before:
        assert time.monotonic() - began < 40
        time.sleep(0.01)
    ground.listener.stop_at = None
    ground.hub.clear()
    assert whole(ground) == [f"bytes={there}-"]


def test_a_full_disk_is_told_before_and_while_it_fills(ground, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(plan_room.shutil, "disk_usage", lambda path: usage._replace(free=25 << 20))
    monkeypatch.setattr(plan_room, "RESERVE", 16 << 20)
    monkeypatch.setattr(fetch_room, "LOOK_AT_DISK", 1)
    whole(ground)  # 3 MB have room
    ground.target().unlink()
    monkeypatch.setattr(plan_room.shutil, "disk_usage", lambda path: usage._replace(free=15 << 20))
    with pytest.raises(StudioError, match="missing") as refusal:
        ground.fetch()
    assert refusal.value.code == "disk"


def test_a_write_that_the_disk_refuses_is_told(ground, monkeypatch):
    def refuse(writer, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(ground.target()))

    monkeypatch.setattr(fetch_room._Writer, "write", refuse)
    with pytest.raises(StudioError, match="disk is full") as refusal:
        ground.fetch()
    assert refusal.value.code == "disk" and ground.target().exists()


def test_an_empty_file_needs_nothing(ground):
    empty = PlannedFile(name="empty", size=0, etag="e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
    source = Source(ground.plan, "")
    assert fetch(empty, ground.target("empty"), source, ground.listener) == hashlib.sha256().hexdigest()
