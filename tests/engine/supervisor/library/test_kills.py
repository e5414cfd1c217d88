"""Real kills between any two steps of what changes the library: the old or the new, nothing broken."""

import os
import signal
import sys
from pathlib import Path

import pytest

from engine.formats import files
from engine.supervisor.store import Store
from tests.engine.supervisor.library.conftest import COMMIT, WEIGHTS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")


def kill_at(step):
    """From now on, this process ends itself before its ``step``-th change of a folder or of the store."""
    left = [step]

    def counted(change):
        def wrapped(*arguments, **options):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments, **options)

        return wrapped

    for owner, name in [
        (Path, "rename"),
        (Path, "replace"),
        (Path, "unlink"),
        (Store, "save_entry"),
        (Store, "drop_entry"),
        (files, "sync_folder"),
    ]:
        setattr(owner, name, counted(getattr(owner, name)))


def killed_everywhere(room, act):
    """Do ``act`` again and again, killed a step later each time, with a fresh start in between; yields after
    each, and ends after the first that was not killed."""
    for step in range(1, 60):
        room.close()
        child = os.fork()
        if child == 0:
            room.open()
            kill_at(step)
            act()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
        room.open()
        assert room.complaints == []
        yield not os.WIFSIGNALED(status)
        if not os.WIFSIGNALED(status):
            assert step > 3
            return
    raise AssertionError("it never ends")


def whole(room, name):
    """Whether an adapter is there, and then that all is well with it."""
    cards = [card for card in room.library.adapters() if card.name == name]
    for card in cards:
        assert not card.missing
        (verdict,) = room.do("verify", name)
        assert verdict.ok, verdict.detail
        assert Path(card.path) == room.home.adapters / name and Path(card.path, WEIGHTS).is_file()
    return bool(cards)


def nothing_left(room):
    assert list(room.home.tmp.iterdir()) == []
    known = {card.name for card in room.library.adapters()}
    assert {path.name for path in room.home.adapters.iterdir()} <= known


def test_import(room):
    source = room.make("mine", factor=2.0)

    def act():
        room.bring(source)

    for done in killed_everywhere(room, act):
        there = whole(room, "mine")
        assert there or not done
        nothing_left(room)
        if there:
            assert room.library._entry("adapters", "mine").origin.path == str(source)
            room.do("remove", "adapters", "mine")
            room.do("empty_trash", [])


def test_replacing_by_a_download(room):
    first, second = room.make("first", factor=1.5), room.make("second", factor=1.75)
    room.fetched("tune", folder=first)
    room.library.describe("tune", True, ["mine"], None)

    def act():
        room.fetched("tune", commit="b" * 40, folder=second)

    for done in killed_everywhere(room, act):
        assert whole(room, "tune")
        card = room.library.adapter("tune")
        assert card.favourite and card.tags == ["mine"] and card.repo == "ada/tune"
        assert card.commit == "b" * 40 if done else card.commit in (COMMIT, "b" * 40)
        nothing_left(room)
        act()  # what a job does again that had not heard of its end
        assert room.library.adapter("tune").commit == "b" * 40
        room.do("remove", "adapters", "tune")
        room.do("empty_trash", [])
        room.fetched("tune", folder=first)
        room.library.describe("tune", True, ["mine"], None)


def test_removing_and_restoring(room):
    source = room.make("mine", factor=2.0)
    room.bring(source)
    room.library.describe("mine", None, None, "a note")

    def act():
        room.do("remove", "adapters", "mine")
        room.do("restore", "adapters", "mine")

    for _ in killed_everywhere(room, act):
        if not whole(room, "mine"):
            room.do("restore", "adapters", "mine")
        assert whole(room, "mine") and room.library.adapter("mine").note == "a note"
        nothing_left(room)


def test_renaming(room):
    room.bring(room.make("mine", factor=2.0))
    room.library.describe("mine", None, ["kept"], None)

    def act():
        room.do("rename", "adapters", "mine", "yours")

    for done in killed_everywhere(room, act):
        new, old = whole(room, "yours"), whole(room, "mine")
        assert new != old and (new or not done)
        assert room.library.adapter("yours" if new else "mine").tags == ["kept"]
        nothing_left(room)
        if new:
            room.do("rename", "adapters", "yours", "mine")


def test_renaming_a_base(room):
    def act():
        room.do("rename", "bases", "starter-llama", "small")

    for done in killed_everywhere(room, act):
        names = [card.name for card in room.library.bases()]
        assert len(names) == 1 and (names == ["small"] or not done)
        assert room.library.base("starter-llama").name == names[0]
        assert room.library.adapter("reverse").base == names[0]
        if names == ["small"]:
            room.do("rename", "bases", "small", "starter-llama")
