"""Ranks on the desk: one truth for strips and panes, asked of the engine, taken back in one step."""

from __future__ import annotations

import msgspec
import pytest

from app.presenters.answers import MIX, expert_pane
from app.presenters.desk import Desk
from app.presenters.playing import Playing, Router
from engine.messages import Adapters, Compare, Generate, LibraryChanged, ListAdapters, Part
from tests.app.scripted_client import ScriptedClient, adapter, data_set, mix
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
    router = Router("mix-2", tuple(NAMES), True, job="7")
    learning = Playing(mixer.desk, router, dict.fromkeys(NAMES, ""))
    assert learning.request(QUESTION).parts == [
        Part(name="reverse"),
        Part(name="sort", rank=4),
        Part(name="plural"),
    ]
    assert learning.wait == "Until it has learned, it plays every rank of reverse."
    assert Playing(mixer.desk, None, dict.fromkeys(NAMES, "")).wait == ""
    assert learning.alone(QUESTION, "reverse").parts[0].rank == 4, "from the library, as its strip says"


def test_a_router_that_learns_with_cut_experts_plays_no_more_than_these(mixer):
    mixer.set_rank("reverse", 4)
    mixer.set_rank("sort", 6)
    router = Router("mix-2", tuple(NAMES), True, job="7", ranks={"reverse": 4, "sort": 3, "plural": 2})
    learning = Playing(mixer.desk, router, dict.fromkeys(NAMES, ""))
    assert [(part.name, part.rank) for part in learning.request(QUESTION).parts] == [
        ("reverse", None),
        ("sort", None),
        ("plural", None),
    ]
    assert learning.wait == "Until it has learned, it plays rank 3 of sort and rank 2 of plural."
    mixer.set_rank("reverse", 2)
    part = Playing(mixer.desk, router, dict.fromkeys(NAMES, "")).request(QUESTION).parts[0]
    assert part == Part(name="reverse", rank=2), "a cut expert is in order"


def test_what_is_trained_and_scored_is_what_the_strips_show(mixer):
    assert mixer.lesson.ranks == {}
    mixer.set_rank("reverse", 4)
    mixer.set_rank("sort", 2)
    assert mixer.lesson.ranks == mixer.lesson.job("new").ranks == {"reverse": 4, "sort": 2}
    assert mixer.playing.account("training", mixer.lesson.ranks) == (
        "The training takes reverse at rank 4 and sort at rank 2."
    )
    mixer.mute("plural", True)
    mixer.set_fader("sort", 0.5)
    assert mixer.playing.account("scoring", {}) == (
        "Faders and mute are for playing: it takes every expert at full strength."
    )
    mixer.open_mix("mix-1")
    assert mixer.ranks_of_mix == {}
    mixer.set_rank("sort", 2)
    assert mixer.ranks_of_mix == {"sort": 2}


def test_experts_together_begin_where_the_strips_stand(mixer, client):
    mixer.stock.sets = [data_set(f"{name}.train") for name in NAMES]
    mixer.set_lesson("joint")
    mixer.set_rank("sort", 2)
    assert [(part.expert, part.rank) for part in mixer.lesson.job("new").domains] == [
        ("reverse", None),
        ("sort", 2),
        ("plural", None),
    ]


def test_a_mix_of_cut_experts_shows_all_of_them_and_its_ranks_stay_when_it_is_closed(mixer):
    cut = {"reverse": (1, 4), "sort": (1, 8), "plural": (1, 4)}
    kinds = {"reverse": "svd", "sort": "dylora", "plural": "svd"}
    mixer.stock.mixes["cut"] = msgspec.structs.replace(mix("cut", NAMES), ranks=cut, kinds=kinds)
    mixer.set_rank("reverse", 4)
    mixer.open_mix("cut")
    assert ranks(mixer) == [(None, "")] * 3
    assert mixer.lesson.ranks == {"reverse": 4}, "trained again, it would be of the same ranks"
    mixer.close_mix()
    assert ranks(mixer) == [(4, "energy"), (None, ""), (None, "")]
    mixer.undo()
    assert (mixer.desk.mix, ranks(mixer)[0]) == ("cut", (None, ""))


def test_newcomers_join_at_their_rank_and_old_experts_at_that_of_the_mix(mixer):
    mixer.stock.mixes["two"] = msgspec.structs.replace(
        mix("two", NAMES[:2]),
        ranks={"reverse": (1, 6), "sort": (1, 8)},
        kinds={"reverse": "svd", "sort": "dylora"},
    )
    mixer.open_mix("two")
    mixer.drop("plural")
    mixer.set_rank("plural", 2)
    mixer.set_rank("sort", 5)
    job = mixer.lesson.extension(mixer.playing.router, ["plural"], "three")
    assert job.ranks == {"sort": 5, "plural": 2}, "reverse is of rank 6 there already"


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
