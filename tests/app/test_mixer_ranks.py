"""Ranks on the desk: one truth for strips and panes, asked of the engine, taken back in one step."""

from __future__ import annotations

import msgspec
import pytest

from app.presenters.answers import MIX, expert_pane
from app.presenters.desk import Desk
from app.presenters.playing import Playing, Router
from engine.messages import Adapters, Compare, Generate, LibraryChanged, ListAdapters, Part
from tests.app.scripted_client import ScriptedClient, adapter, mix
from tests.app.scripted_mixer import NAMES, ask, connected, lay, settled

QUESTION = Generate(base="starter-llama", prompt="x")


@pytest.fixture
def client(qapp):
    return ScriptedClient()


@pytest.fixture
def mixer(client):
    mixer = connected(client, mixes=[mix("mix-1", NAMES)])
    cards = [adapter("reverse"), adapter("sort", kind="dylora"), adapter("plural", kind="svd", rank=4)]
    restock(client, *cards)
    lay(mixer)
    return mixer


def restock(client, *cards) -> None:
    client.tell(LibraryChanged(what="adapters"))
    client.answer_all(ListAdapters, Adapters(adapters=list(cards)))


def ranks(mixer) -> list[tuple[int | None, str]]:
    return [(strip.rank, strip.order) for strip in mixer.desk.strips]


def test_a_plain_lora_is_put_in_order_and_a_trained_order_stays(mixer):
    for name in NAMES:
        mixer.set_rank(name, 3)
    assert ranks(mixer) == [(3, "energy"), (3, ""), (3, "")]
    mixer.set_rank("reverse", 99)
    mixer.set_rank("sort", 0)
    mixer.set_rank("plural", 4)
    assert ranks(mixer) == [(None, ""), (1, ""), (None, "")], "all of it is the adapter as it is"


def test_a_drag_is_one_step(mixer):
    for rank in (7, 6, 5):
        mixer.set_rank("reverse", rank)
    mixer.release()
    mixer.set_rank("reverse", 2)
    mixer.undo()
    assert (ranks(mixer)[0], mixer.undo_label) == ((5, "energy"), "Rank of reverse")
    mixer.undo()
    assert (ranks(mixer)[0], mixer.undo_label) == ((None, ""), "Add plural")


def test_ranks_are_kept_with_the_desk_and_an_old_desk_opens(mixer):
    mixer.set_rank("reverse", 2)
    assert Desk.from_json(mixer.desk.to_json()) == mixer.desk
    old = Desk.from_json('{"base": "b", "strips": [{"adapter": "reverse", "hue": 0, "fader": 0.5}]}')
    assert old.parts() == [Part(name="reverse", weight=0.5)]


def test_only_the_panes_that_a_rank_is_heard_in_are_asked_anew(mixer, client, qtbot):
    mixer.questions.compare("reverse", True)
    mixer.questions.compare("sort", True)
    first = ask(client, qtbot, mixer)
    mixer.set_rank("reverse", 4)
    settled(qtbot, mixer)
    again = client.last(Compare).body
    assert again is not first.body
    alone, together = again.voices
    cut = Part(name="reverse", rank=4, order="energy")
    assert (alone.parts, together.parts) == ([cut], [cut, Part(name="sort"), Part(name="plural")])
    assert mixer.answers.answer(expert_pane("sort")).state == "waiting", "still the first round's"
    assert mixer.answers.answer(MIX).state == "waiting"


def test_under_a_router_only_this_experts_part_changes(mixer):
    mixer.open_mix("mix-1")
    before = mixer.playing.request(QUESTION)
    mixer.set_rank("sort", 4)
    after = mixer.playing.request(QUESTION)
    changed = [part for part, other in zip(after.parts, before.parts, strict=True) if part != other]
    assert changed == [Part(name="sort", rank=4)]
    assert after.mixing == before.mixing


def test_an_expert_that_only_the_mix_has_slides_there(mixer, client, qtbot):
    client.answer_all(ListAdapters, Adapters(adapters=[]))
    mixer.stock.mixes["own"] = msgspec.structs.replace(
        mix("own", ["reverse", "blend"]),
        ranks={"reverse": (1, 8), "blend": (2, 6)},
        kinds={"reverse": "lora", "blend": "lora"},
    )
    mixer.open_mix("own")
    assert mixer.ranks("blend") == (2, 6)
    mixer.set_rank("blend", 1)
    asked = mixer.playing.alone(QUESTION, "blend")
    assert asked.parts == [Part(name="blend", rank=2, order="energy")]
    assert asked.mixing is not None
    assert asked.mixing.muted == ["reverse"]


def test_a_router_that_learns_has_its_experts_in_their_own_order(mixer):
    mixer.set_rank("reverse", 4)
    mixer.set_rank("sort", 4)
    learning = Playing(mixer.desk, Router("mix-2", tuple(NAMES), True, job="7"), frozenset(NAMES))
    assert learning.request(QUESTION).parts == [
        Part(name="reverse"),
        Part(name="sort", rank=4),
        Part(name="plural"),
    ]
    assert learning.wait == "Until it has learned, every rank of reverse plays."
    assert Playing(mixer.desk, None, frozenset(NAMES)).wait == ""
    assert learning.alone(QUESTION, "reverse").parts[0].rank == 4, "from the library, as its strip says"


def test_what_knows_nothing_of_ranks_is_said(mixer):
    assert mixer.playing.whole("training") == ""
    mixer.set_rank("reverse", 4)
    mixer.set_rank("sort", 4)
    assert mixer.playing.whole("training") == (
        "The training takes every rank of reverse and sort: sliders are for playing."
    )


def test_another_adapter_in_its_place_has_ranks_of_its_own(mixer, client):
    mixer.set_rank("reverse", 6)
    mixer.set_rank("sort", 6)
    mixer.set_rank("plural", 2)
    restock(client, adapter("reverse", kind="svd"), adapter("sort", rank=4), adapter("plural", rank=4))
    assert ranks(mixer) == [(6, ""), (None, ""), (2, "energy")]
    restock(client, *mixer.stock.adapters.values(), adapter("upper", rank=16))
    mixer.swap("reverse", "upper")
    assert ranks(mixer)[0] == (None, "")
    mixer.undo()
    assert ranks(mixer)[0] == (6, "")


def test_a_blank_expert_has_no_rank(mixer):
    mixer.lay_blank("fresh")
    assert mixer.ranks("fresh") == (0, 0)
    mixer.set_rank("fresh", 2)
    assert mixer.desk.strip("fresh").rank is None
