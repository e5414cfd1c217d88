"""Prompts read by one router, against a scripted engine: what is asked, dropped, and how far apart."""

from __future__ import annotations

import msgspec
import pytest

from app.presenters.prompts import Prompts
from engine.messages import Route, Routing
from tests.app import scripted_client as scripted
from tests.app.scripted_client import mix
from tests.app.scripted_mixer import NAMES, connected

MODULES = ["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj"]
EVEN, REVERSE, SORT = [0.25] * 4, [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]


def routing(*gates):
    return Routing(tokens=["x"] * len(gates), modules=MODULES, experts=[*NAMES, "null"], gates=list(gates))


@pytest.fixture
def client(qapp):
    return scripted.ScriptedClient()


@pytest.fixture
def mixer(client):
    mixer = connected(client, mixes=[mix("mix-1", NAMES)])
    mixer.open_mix("mix-1")
    return mixer


@pytest.fixture
def prompts(client, mixer):
    return Prompts(client, lambda: mixer.playing, mixer)


def answered(client, routing_):
    client.answer(client.last(Route), routing_)


def test_prompts_are_put_to_the_router_as_the_desk_plays_it(client, mixer, prompts):
    mixer.set_fader("sort", 0.5)
    mixer.set_router(mode="topk", top_k=2)
    prompts.write(0, "reverse: cat")
    asked = client.last(Route).body
    assert (asked.prompt, asked.mixing.name, asked.mixing.mode, asked.mixing.top_k) == (
        "reverse: cat", "mix-1", "topk", 2,
    )  # fmt: skip
    assert {part.name: part.weight for part in asked.parts}["sort"] == 0.5
    prompts.write(0, "reverse: cat")
    assert len(client.asked(Route)) == 1, "the same question is not asked twice"
    prompts.write(1, "  ")
    assert len(client.asked(Route)) == 1


def test_an_answer_to_older_words_is_dropped(client, prompts):
    prompts.write(0, "old")
    old = client.last(Route)
    prompts.write(0, "new")
    assert client.cancelled == [old.id]
    client.answer(old, routing([SORT, SORT]))
    assert prompts.slots[0].routing is None
    answered(client, routing([REVERSE, REVERSE]))
    assert prompts.slots[0].usage == {"reverse": 1.0, "sort": 0.0, "plural": 0.0, "null": 0.0}


def test_another_desk_routes_anew_once_the_hand_rests(client, qtbot, mixer, prompts):
    mixer.desk_changed.connect(prompts.settle)
    prompts.write(0, "cat")
    answered(client, routing([REVERSE, REVERSE]))
    for level in (0.9, 0.8, 0.7):
        mixer.set_fader("sort", level)
    assert client.asked(Route) == []
    assert prompts.slots[0].is_stale, "from the first movement on"
    qtbot.waitUntil(lambda: len(client.asked(Route)) == 1)
    assert prompts.slots[0].routing is not None, "the old map stays until the new one is there"
    assert prompts.slots[0].is_stale and not prompts.slots[1].is_stale
    client.fail(client.last(Route), "crashed", "The engine stopped.")
    assert prompts.slots[0].error.message == "The engine stopped."
    client.welcomed.emit()
    assert len(client.asked(Route)) == 1
    answered(client, routing([SORT, SORT]))
    assert not prompts.slots[0].is_stale


def test_without_a_router_there_is_nothing_to_ask(client, qtbot, mixer, prompts):
    mixer.desk_changed.connect(prompts.settle)
    prompts.write(0, "cat")
    answered(client, routing([REVERSE, REVERSE]))
    mixer.close_mix()
    qtbot.waitUntil(lambda: prompts.slots[0].routing is None)
    assert client.asked(Route) == []


def test_two_to_four_prompts(client, prompts):
    prompts.suggest(["reverse: cat", "sort: cat", "plural: cat"])
    assert [slot.text for slot in prompts.slots] == ["reverse: cat", "sort: cat"]
    prompts.suggest(["upper: cat"])
    assert prompts.slots[0].text == "reverse: cat", "what is written stays"
    prompts.add("a")
    prompts.add("b")
    prompts.add("c")
    assert [slot.text for slot in prompts.slots] == ["reverse: cat", "sort: cat", "a", "b"]
    routed = []
    prompts.routed.connect(routed.append)
    calls = client.asked(Route)
    prompts.remove(1)
    assert calls[1].id in client.cancelled
    client.answer(calls[3], routing([REVERSE, REVERSE]))
    assert routed == [2], "it has moved to the left"
    prompts.remove(0)
    prompts.remove(0)
    assert len(prompts.slots) == 2


def test_how_far_apart_and_where(client, prompts):
    prompts.suggest(["one", "two"])
    first, second = client.asked(Route)
    client.answer(first, routing([EVEN, REVERSE], [EVEN, REVERSE]))
    assert prompts.apart is None
    client.answer(second, routing([EVEN, SORT], [EVEN, REVERSE], [EVEN, SORT], [EVEN, SORT]))
    apart = prompts.apart
    assert apart.by_row == (0.0, 0.75)
    assert apart.sentence == (
        "Widest apart at layer 1 q_proj (0.75); by layer most in 1 (0.75), least in 0 (0.00). "
        "Alike within 0.05 in 1 of 2 projections."
    )
    prompts.add("three")
    answered(client, routing([REVERSE, SORT]))
    assert prompts.apart.by_row == (0.75, 1.0), "of three the two farthest apart"
    prompts.write(2, "four")
    answered(client, msgspec.structs.replace(routing([REVERSE, SORT]), experts=["a", "b", "c", "null"]))
    assert prompts.apart is None, "routed by another router, they cannot be compared"
