"""Mixes on the desk against a scripted engine: who is locked or muted, joins or leaves, what is undone."""

from __future__ import annotations

import msgspec
import pytest

from engine.messages import (
    Done,
    DropExpert,
    FindUses,
    LibraryChanged,
    ListMixes,
    Mixes,
    RemoveMix,
    Rename,
    RestoreMix,
    SubmitJob,
    TrainRouter,
    Uses,
)
from tests.app import scripted_client as scripted
from tests.app.scripted_client import mix
from tests.app.scripted_mixer import NAMES, ask, connected, voices


@pytest.fixture
def client(qapp):
    return scripted.ScriptedClient()


@pytest.fixture
def mixed(client):
    mixer = connected(client, mixes=[mix("mix-1", NAMES, {"reverse": 0.5, "null": 0.5})])
    mixer.open_mix("mix-1")
    return mixer


def mixing(client, qtbot, mixer):
    """How the mix's answer is asked for."""
    return next(voice.mixing for voice in voices(ask(client, qtbot, mixer)).values() if voice.mixing)


def test_a_muted_expert_leaves_the_choice_and_a_closed_fader_does_not(client, qtbot, mixed):
    mixed.mute("plural", True)
    mixed.set_fader("sort", 0.0)
    voice = voices(ask(client, qtbot, mixed))[(("reverse", 1.0), ("sort", 0.0), ("plural", 1.0))]
    assert voice.mixing.muted == ["plural"]
    assert mixed.playing.silent == {"plural", "sort"}


def test_solo_mutes_the_others_but_not_who_is_locked(client, qtbot, mixed):
    mixed.lock("sort", True)
    mixed.solo("reverse", True)
    asked = mixing(client, qtbot, mixed)
    assert (asked.muted, asked.locked) == (["plural"], ["sort"])
    assert mixed.desk.weights() == {"reverse": 1.0, "sort": 1.0, "plural": 0.0}


def test_mute_is_stronger_than_lock_and_both_are_undone(client, qtbot, mixed):
    mixed.lock("sort", True)
    mixed.mute("sort", True)
    asked = mixing(client, qtbot, mixed)
    assert (asked.muted, asked.locked) == (["sort"], [])
    assert mixed.undo_label == "Mute sort"
    mixed.undo()
    assert mixing(client, qtbot, mixed).locked == ["sort"]
    mixed.undo()
    assert mixing(client, qtbot, mixed).locked == []
    mixed.redo()
    assert mixed.desk.locked == ["sort"]


@pytest.mark.parametrize("mode", ["soft", "topk", "hard"])
def test_every_way_to_play_is_asked_for_as_set(client, qtbot, mixed, mode):
    mixed.set_router(mode=mode, top_k=2, renormalise=False, strength=1.5)
    asked = mixing(client, qtbot, mixed)
    assert (asked.mode, asked.top_k, asked.renormalise, asked.strength) == (mode, 2, False, 1.5)


def test_a_stranger_is_brought_in_by_training_its_column_alone(client, mixed):
    mixed.drop("upper")
    assert mixed.playing.strangers == ["upper"]
    assert not mixed.playing.has_router
    assert mixed.bring_in()
    spec = client.last(SubmitJob).body.spec
    assert isinstance(spec, TrainRouter)
    assert (spec.extend, spec.experts, spec.out) == ("mix-1", [*NAMES, "upper"], "mix-2")
    assert (spec.start, spec.data) == ("zero", "data/mixed.jsonl")


def test_nobody_is_brought_in_where_there_is_nobody(client, mixed):
    assert not mixed.bring_in()
    assert client.asked(SubmitJob) == []


def test_a_mix_without_the_one_who_left_is_made_and_played(client, mixed):
    mixed.remove("plural")
    assert mixed.playing.absent == ["plural"]
    mixed.leave_out("plural")
    call = client.last(DropExpert)
    assert (call.body.mix, call.body.expert, call.body.out) == ("mix-1", "plural", "mix-1-without-plural")
    client.answer(call, Done())
    both = [mix("mix-1", NAMES), mix("mix-1-without-plural", NAMES[:2])]
    client.answer_all(ListMixes, Mixes(mixes=both))
    assert mixed.desk.mix == "mix-1-without-plural"
    assert mixed.playing.absent == []
    mixed.undo()
    assert mixed.desk.mix == "mix-1"


def test_a_refused_departure_says_why(client, mixed):
    mixed.remove("plural")
    mixed.leave_out("plural")
    client.fail(client.last(DropExpert), "usage", "The gate reads what only plural adapts.", "Train again.")
    assert mixed.notices[-1].message == "The gate reads what only plural adapts."
    assert mixed.desk.mix == "mix-1"


def test_a_removed_mix_leaves_the_desk_and_undo_brings_both_back(client, mixed):
    mixed.remove_mix("mix-1")
    client.answer(client.last(FindUses), Uses())
    assert mixed.desk.mix == "mix-1", "not before the engine says so"
    client.answer(client.last(RemoveMix), Done())
    assert mixed.desk.mix == ""
    assert mixed.notices[-1].action[0] == "Undo"
    client.tell(LibraryChanged(what="mixes"))
    client.answer_all(ListMixes, Mixes(mixes=[]))
    mixed.undo()
    assert client.last(RestoreMix).body.name == "mix-1"
    assert not mixed.playing.has_router
    client.tell(LibraryChanged(what="mixes"))
    client.answer_all(ListMixes, Mixes(mixes=[mix("mix-1", NAMES)]))
    assert mixed.playing.has_router
    mixed.redo()
    assert client.last(RemoveMix).body.name == "mix-1"
    assert mixed.desk.mix == ""


def test_the_button_of_the_notice_undoes_too_also_later(client, mixed):
    mixed.remove_mix_now("mix-1")
    client.answer(client.last(RemoveMix), Done())
    undo = mixed.notices[-1].action[1]
    mixed.mute("sort", True)
    undo()
    assert client.last(RestoreMix).body.name == "mix-1"
    assert mixed.desk.strip("sort").muted, "what was done since stays"


def test_what_depends_on_a_mix_is_said_before_it_goes(client, mixed):
    doubts = []
    mixed.doubted.connect(doubts.append)
    mixed.remove_mix("mix-1")
    uses = Uses(mixes=["mix-2"], sentence="mix-2 keeps playing: it has a copy of its own.")
    client.answer(client.last(FindUses), uses)
    assert (doubts[0].name, doubts[0].uses) == ("mix-1", uses)
    assert client.asked(RemoveMix) == [], "nothing is removed before it is agreed to"
    mixed.remove_mix_now("mix-1")
    assert client.last(RemoveMix).body.name == "mix-1"


def renamed(client, mixer, to, *former):
    """The engine has given the mix on the desk another name."""
    card = msgspec.structs.replace(mix(to, NAMES), former=list(former))
    client.tell(LibraryChanged(what="mixes"))
    client.answer_all(ListMixes, Mixes(mixes=[card]))


def test_a_renamed_mix_stays_on_the_desk_and_undo_takes_the_name_back(client, mixed):
    mixed.mute("sort", True)
    mixed.rename_mix("mix-1", " vowels ")
    call = client.last(Rename)
    assert (call.body.kind, call.body.name, call.body.to) == ("mixes", "mix-1", "vowels")
    client.answer(call, Done())
    renamed(client, mixed, "vowels", "mix-1")
    assert (mixed.desk.mix, mixed.playing.has_router) == ("vowels", True)
    assert (mixed.notices[-1].message, mixed.notices[-1].action[0]) == ("mix-1 is called vowels now.", "Undo")
    mixed.undo()
    call = client.last(Rename)
    assert (call.body.name, call.body.to) == ("vowels", "mix-1")
    client.answer(call, Done())
    renamed(client, mixed, "mix-1", "vowels")
    assert (mixed.desk.mix, mixed.desk.strip("sort").muted) == ("mix-1", True)
    mixed.undo()
    assert (mixed.desk.mix, mixed.desk.strip("sort").muted) == ("mix-1", False), (
        "older steps know the name too"
    )


def test_a_name_that_is_taken_is_refused_and_the_same_name_asks_nothing(client, mixed):
    mixed.rename_mix("mix-1", "mix-1")
    mixed.rename_mix("mix-1", "  ")
    assert client.asked(Rename) == []
    mixed.rename_mix("mix-1", "other")
    client.fail(client.last(Rename), "usage", "There already is a mix called other.", "Choose another name.")
    assert mixed.notices[-1].message == "There already is a mix called other."
    assert (mixed.desk.mix, mixed.undo_label) == ("mix-1", "Open mix-1")


def test_an_expert_that_only_the_mix_has_stays_on_the_desk_and_speaks_alone_through_it(client, qtbot):
    mixer = connected(client, mixes=[mix("duo", ["sort", "morse"])])
    mixer.open_mix("duo")
    client.tell(LibraryChanged(what="mixes"))
    client.answer_all(ListMixes, Mixes(mixes=[mix("duo", ["sort", "morse"])]))
    assert mixer.desk.experts == ["sort", "morse"]
    mixer.questions.compare("morse", True)
    alone = voices(ask(client, qtbot, mixer))[(("morse", 1.0),)]
    assert (alone.mixing.muted, alone.mixing.locked) == (["sort"], ["morse"])
    assert not alone.record
    mixer.close_mix()
    assert mixer.desk.experts == ["sort"], "static faders have no morse to play"
    mixer.undo()
    assert mixer.desk.experts == ["sort", "morse"]


def test_a_mix_without_null_has_no_null_strip(client):
    cards = [msgspec.structs.replace(mix("bare", NAMES), null_expert=False), mix("full", NAMES)]
    mixer = connected(client, mixes=cards)
    mixer.open_mix("bare")
    assert not mixer.playing.has_null
    mixer.open_mix("full")
    assert mixer.playing.has_null


def test_the_warning_of_a_mix_is_said_while_it_plays(client):
    mixer = connected(
        client, mixes=[msgspec.structs.replace(mix("mix-1", NAMES), warning="sort has 97 % of the weight.")]
    )
    assert mixer.collapse == ""
    mixer.open_mix("mix-1")
    assert mixer.collapse == "sort has 97 % of the weight."
    mixer.train_evener()
    spec = client.last(SubmitJob).body.spec
    assert spec.balance_weight == 0.05


def test_a_mix_is_opened_as_it_was_trained(client):
    hard = msgspec.structs.replace(mix("firm", NAMES), gates="hard")
    mixer = connected(client, mixes=[hard, mix("mix-1", NAMES)])
    mixer.open_mix("firm")
    assert mixer.desk.router.mode == "hard"
    mixer.open_mix("mix-1")
    assert mixer.desk.router.mode == "soft", "it learned with all experts at once"
    mixer.set_router(mode="topk")
    mixer.open_mix("mix-1")
    assert mixer.desk.router.mode == "topk", "a person's choice among the soft ones"
    mixer.undo()
    mixer.undo()
    assert (mixer.desk.mix, mixer.desk.router.mode) == ("firm", "hard"), "one step with the mix"
