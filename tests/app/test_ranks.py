"""The ranks presenter against a scripted engine: an answer that slides, pins asked once, steps taken back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as but
from PySide6.QtCore import QSettings

from app.presenters.answers import BASE
from app.presenters.rank_scene import LIVE, orders_of
from app.presenters.ranks import Ranks
from engine.messages import (
    Adapters,
    Compare,
    Compared,
    Done,
    Generate,
    Generated,
    LibraryChanged,
    ListAdapters,
    ReadSpectrum,
    RowDone,
    Slide,
    Spectrum,
    Token,
)
from tests.app import scripted_client as scripted

KINDS = {"plain": "lora", "nested": "dylora", "ordered": "svd"}


@pytest.fixture
def client(qapp):
    return scripted.ScriptedClient()


@pytest.fixture
def store(tmp_path):
    return QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)


def listed(client, highest=8) -> None:
    """The library has one adapter of each kind, and one for another base."""
    cards = [but(scripted.adapter(name, rank=highest), kind=kind) for name, kind in KINDS.items()]
    client.answer_all(
        ListAdapters, Adapters(adapters=[*cards, scripted.adapter("foreign", base="other-base")])
    )


def opened(client, store=None, adapter="plain", highest=8) -> Ranks:
    ranks = Ranks(client, store)
    ranks.notices = []
    ranks.noticed.connect(ranks.notices.append)
    listed(client, highest)
    ranks.use_base(scripted.BASE)
    if adapter:
        ranks.choose(adapter)
    return ranks


@pytest.fixture
def ranks(client):
    return opened(client)


def live(client):
    """The newest live question that is still open."""
    return [call for call in client.asked(Generate) if call.body.live][-1]


def say(client, call, text, generation=None) -> None:
    """The engine streams ``text`` letter by letter."""
    generation = call.body.generation if generation is None else generation
    for index, letter in enumerate(text):
        client.progress(call, Token(index=index, text=letter, generation=generation))


def end(client, call, text, generation=None) -> None:
    generation = call.body.generation if generation is None else generation
    client.answer(call, generated(text, generation))


def generated(text, generation=0) -> Generated:
    return Generated(
        text=text,
        tokens=len(text),
        tokens_per_second=50.0,
        first_token_seconds=0.1,
        generation=generation,
    )


def text(ranks, pane=LIVE) -> str:
    return ranks.answers.answer(pane).text


# what stands on the page


def test_only_adapters_that_play_on_the_base_are_offered(ranks):
    assert [card.name for card in ranks.state.adapters] == list(KINDS)
    ranks.choose("foreign")
    assert ranks.state.adapter.name == "plain"
    assert "foreign was made for other-base" in ranks.notices[-1].message


def test_a_plain_lora_slides_by_energy_a_dylora_only_as_it_was_trained(client, ranks):
    assert (ranks.state.order, ranks.state.orders) == ("energy", ("energy", "spread", ""))
    ranks.choose("nested")
    assert (ranks.state.order, ranks.state.orders) == ("", ("",))
    ranks.set_order("energy")
    assert ranks.state.order == "", "an order that this adapter cannot have is none"
    assert orders_of(but(scripted.adapter("a"), kind="svd")) == ("", "spread")


def test_a_dylora_starts_at_its_lowest_trained_rank(client, ranks):
    cards = [but(scripted.adapter("nested"), kind="dylora", low=2)]
    client.tell(LibraryChanged(what="adapters"))
    client.answer(client.last(ListAdapters), Adapters(adapters=cards))
    ranks.choose("nested")
    assert (ranks.state.low, ranks.state.rank, ranks.state.highest) == (2, 2, 8)
    ranks.slide(1)
    assert ranks.state.rank == 2, "below it nothing was trained"


def test_an_adapter_that_is_not_known_yet_is_listed_first(client, ranks):
    ranks.choose("fresh")
    client.answer(client.last(ListAdapters), Adapters(adapters=[scripted.adapter("fresh", rank=4)]))
    assert (ranks.state.adapter.name, ranks.state.highest) == ("fresh", 4)
    ranks.choose("never")
    client.answer(client.last(ListAdapters), Adapters(adapters=[scripted.adapter("fresh", rank=4)]))
    assert ranks.notices[-1].message == "The library has no adapter called never."


def test_an_adapter_of_a_single_rank_says_so(client):
    ranks = opened(client, highest=1)
    assert ranks.state.problem == "plain has a single rank, so there is nothing to slide."
    assert ranks.panes == [BASE, LIVE]


def test_an_adapter_that_leaves_the_library_leaves_the_page(client, ranks):
    ranks.ask("reverse: abc")
    client.tell(LibraryChanged(what="adapters"))
    client.answer(client.last(ListAdapters), Adapters(adapters=[]))
    assert ranks.state.adapter is None
    assert ranks.panes == []


def test_energy_follows_the_order(client, ranks):
    assert ranks.energy(2) is None
    spectrum = Spectrum(
        kind="lora",
        modules=["q"],
        values=[[2.0, 1.0]],
        energy=[0.8, 1.0],
        spread=[0.9, 1.0],
        kept=[-0.1, 1.0],
        bytes=[1, 2],
    )
    client.answer(client.last(ReadSpectrum), spectrum)
    assert ranks.energy(1) == 0.8
    ranks.set_order("spread")
    assert ranks.energy(1) == 0.9
    ranks.set_order("")
    assert ranks.energy(1) is None, "a negative share is none"
    assert ranks.energy(3) is None


# asking


def test_base_and_pins_are_rows_of_one_batch_beside_one_live_answer(client, ranks):
    ranks.pin(2)
    ranks.ask("reverse: abc")
    (rows,) = client.asked(Compare)
    assert [[(part.rank, part.order) for part in voice.parts] for voice in rows.body.voices] == [
        [],
        [(8, "energy")],
        [(2, "energy")],
    ]
    call = live(client)
    assert [(part.name, part.rank, part.order) for part in call.body.parts] == [("plain", 4, "energy")]
    assert ranks.panes == [BASE, "rank 8", "rank 2", LIVE]


def test_a_slide_asks_neither_base_nor_pins_again(client, ranks):
    ranks.ask("reverse: abc")
    rows = len(client.asked(Compare))
    say(client, live(client), "cb")
    for rank in (5, 6, 7, 1):
        ranks.slide(rank)
    assert len(client.asked(Compare)) == rows
    assert len([call for call in client.calls if isinstance(call.body, Generate)]) == 1


def test_one_slide_is_under_way_and_the_newest_follows_it(client, ranks):
    ranks.ask("reverse: abc")
    call = live(client)
    for rank in (5, 6, 7, 3):
        ranks.slide(rank)
    (first,) = client.asked(Slide)
    assert (first.body.rank, first.body.adapter, first.body.live) == (5, "plain", call.body.live)
    client.answer(first, Done())
    (second,) = client.asked(Slide)
    assert second.body.rank == 3
    assert second.body.generation > first.body.generation > call.body.generation
    client.answer(second, Done())
    assert client.asked(Slide) == []


def test_old_generations_are_never_written(client, ranks):
    ranks.ask("reverse: abc")
    call = live(client)
    say(client, call, "old")
    ranks.slide(2)
    slide = client.last(Slide)
    assert (text(ranks), ranks.answers.answer(LIVE).stale) == ("old", True)
    client.answer(slide, Done())
    client.progress(call, Token(index=3, text="OLD", generation=call.body.generation))
    assert text(ranks) == "old", "still readable, and no longer growing"
    say(client, call, "new", slide.body.generation)
    assert (text(ranks), ranks.answers.answer(LIVE).stale) == ("new", False)
    client.progress(call, Token(index=4, text="OLD", generation=call.body.generation))
    end(client, call, "new", slide.body.generation)
    assert (text(ranks), ranks.answers.answer(LIVE).state) == ("new", "done")


def test_an_answer_that_ended_before_it_heard_of_the_slide_is_asked_anew(client, ranks):
    ranks.ask("reverse: abc")
    call = live(client)
    say(client, call, "old")
    ranks.slide(2)
    slide = client.last(Slide)
    end(client, call, "old")
    again = live(client)
    assert again.body.parts[0].rank == 2
    assert again.body.live != call.body.live, "the engine may still know the other by its name"
    client.fail(slide, "missing")
    assert live(client) is again, "what was refused is about an answer that nobody awaits"
    say(client, again, "new")
    assert text(ranks) == "new"


def test_a_slide_that_comes_before_the_answer_began_is_told_again(client, ranks):
    ranks.ask("reverse: abc")
    call = live(client)
    ranks.slide(2)
    client.fail(client.last(Slide), "missing")
    assert client.asked(Slide) == []
    client.progress(call, Token(index=0, text="o", generation=call.body.generation))
    slide = client.last(Slide)
    assert (slide.body.rank, text(ranks)) == (2, "")
    client.answer(slide, Done())
    say(client, call, "new", slide.body.generation)
    assert text(ranks) == "new"


def test_a_slide_that_is_refused_says_why_in_its_pane(client, ranks):
    ranks.ask("reverse: abc")
    call = live(client)
    ranks.slide(2)
    client.fail(client.last(Slide), "adapter", "plain has no rank 2.")
    answer = ranks.answers.answer(LIVE)
    assert (answer.state, answer.error.message) == ("failed", "plain has no rank 2.")
    assert call.id in client.cancelled
    ranks.slide(3)
    assert live(client).body.parts[0].rank == 3


def test_another_order_or_prompt_is_another_question(client, ranks):
    ranks.ask("reverse: abc")
    first = live(client)
    ranks.set_order("spread")
    assert first.id in client.cancelled
    second = live(client)
    assert second.body.parts[0].order == "spread"
    ranks.ask("reverse: abd")
    assert second.id in client.cancelled
    assert live(client).body.prompt == "reverse: abd"


def test_what_was_heard_to_the_end_is_shown_at_once(client, ranks):
    ranks.ask("reverse: abc")
    call = live(client)
    say(client, call, "four")
    end(client, call, "four")
    ranks.slide(5)
    say(client, live(client), "fi")
    asked = len(client.calls)
    started = []
    ranks.answers.started.connect(lambda pane: started.append((pane, text(ranks, pane))))
    ranks.slide(4)
    assert (text(ranks), ranks.answers.answer(LIVE).state) == ("four", "done")
    assert started == [(LIVE, "four")]
    assert len(client.calls) == asked
    ranks.pin(4)
    assert text(ranks, "rank 4") == "four"
    ranks.slide(5)
    assert live(client).body.parts[0].rank == 5, "what was cut off is not known"


def test_kept_answers_are_those_of_the_same_files_and_few(client, ranks, monkeypatch):
    ranks.ask("reverse: abc")
    end(client, live(client), "four")
    other = but(scripted.adapter("plain"), kind="lora", sha256="other")
    client.tell(LibraryChanged(what="adapters"))
    client.answer(client.last(ListAdapters), Adapters(adapters=[other]))
    assert text(ranks) == "", "another file under the same name has other answers"
    ranks.ask("reverse: abc")
    assert live(client).body.parts[0].rank == 4
    monkeypatch.setattr("app.presenters.rank_questions.KEPT", 3)
    for rank in range(1, 9):
        ranks.slide(rank)
        if ranks.answers.answer(LIVE).state != "done":
            end(client, live(client), "x", ranks.answers._generation)
    assert ranks.questions.kept == 3


def test_the_engine_dies_and_comes_back(client, ranks):
    ranks.ask("reverse: abc")
    client.die()
    ranks.slide(7)
    assert ranks.answers.answer(BASE).state == "failed"
    client.come_back()
    assert live(client).body.parts[0].rank == 7
    assert ranks.answers.answer(LIVE).state == "waiting"
    assert ranks.answers.answer(BASE).state == "waiting"


def gone(client, *cards) -> None:
    """Somebody changed the library: these are its adapters now."""
    client.tell(LibraryChanged(what="adapters"))
    client.answer(client.last(ListAdapters), Adapters(adapters=list(cards)))


def test_an_adapter_that_comes_back_is_asked_again_where_the_slider_stands(client, ranks):
    ranks.ask("reverse: abc")
    ranks.slide(6)
    gone(client)
    assert (ranks.state.adapter, ranks.panes, ranks.answers.busy) == (None, [], False)
    assert ranks.notices[-1].message == "plain is no longer in the library."
    gone(client, scripted.adapter("plain"))
    assert live(client).body.parts[0].rank == ranks.state.rank == 6
    assert client.last(Compare).body.prompt == "reverse: abc"


def test_files_that_are_gone_are_told_of(client, ranks):
    gone(client, but(scripted.adapter("plain"), missing=True))
    assert ranks.state.adapter is None
    assert ranks.notices[-1].message == "The files of plain are gone."


def test_an_adapter_keeps_its_place_under_another_name(client, ranks):
    gone(client, but(scripted.adapter("plain"), sha256="p1"))
    ranks.pin(2)
    ranks.slide(6)
    ranks.ask("reverse: abc")
    gone(client, but(scripted.adapter("fine"), sha256="p1"), but(scripted.adapter("other"), sha256="p2"))
    assert (ranks.state.adapter.name, ranks.state.rank, ranks.state.pinned) == ("fine", 6, (8, 2))
    assert ranks.notices[-1].message == "plain is no longer in the library; fine has the same files."
    assert live(client).body.parts[0].name == "fine"
    ranks.undo()
    assert (ranks.state.adapter.name, ranks.state.rank) == ("fine", 4), "steps before it are about it, too"
    gone(client, but(scripted.adapter("plain"), sha256="p3"), but(scripted.adapter("fine"), sha256="p1"))
    assert ranks.state.adapter.name == "fine", "what has the old name now is another one"


def test_another_base_and_back_asks_again(client, ranks):
    ranks.ask("reverse: abc")
    call = live(client)
    ranks.use_base("other-base")
    assert (ranks.panes, ranks.answers.busy) == ([], False)
    assert call.id in client.cancelled
    assert ranks.notices == [], "the hand that changed the base knows"
    ranks.use_base(scripted.BASE)
    assert live(client).body.base == scripted.BASE


def crash(client) -> None:
    """The runtime dies over everything it was asked."""
    for call in [*client.asked(Generate), *client.asked(Compare), *client.asked(Slide)]:
        client.fail(call, "crashed", "The runtime stopped unexpectedly.")


def test_a_runtime_that_dies_under_the_hand_is_asked_again_where_the_slider_stands(client, ranks):
    ranks.ask("reverse: abc")
    say(client, live(client), "old")
    for rank in (5, 6, 7):
        ranks.slide(rank)
    crash(client)
    assert (text(ranks), ranks.answers.answer(LIVE).state) == ("old", "waiting")
    assert len(client.asked(Compare)) == 1, "base and pins are rows of one batch again"
    assert live(client).body.parts[0].rank == 7
    end(client, live(client), "seven")
    assert text(ranks) == "seven"


def test_a_question_that_kills_the_runtime_twice_is_not_asked_a_third_time(client, ranks):
    ranks.ask("reverse: abc")
    crash(client)
    crash(client)
    assert client.asked(Generate) == client.asked(Compare) == []
    assert ranks.answers.answer(LIVE).error.message == "The runtime stopped unexpectedly."
    ranks.slide(5)
    assert live(client).body.parts[0].rank == 5, "another question may be asked"
    ranks.ask("reverse: abc")
    assert client.last(Compare).body.prompt == "reverse: abc", "and a person may insist"


def test_two_hundred_moves_send_what_the_engine_can_take(client, ranks):
    ranks.ask("reverse: abc")
    call = live(client)
    for move in range(200):
        ranks.slide(1 + move % 8)
        if move % 20 == 19:
            client.answer(client.last(Slide), Done())
    sent = [call for call in client.calls if isinstance(call.body, Slide)]
    assert len(sent) == 11
    client.answer(client.last(Slide), Done())
    newest = [call for call in client.calls if isinstance(call.body, Slide)][-1]
    assert newest.body.rank == 8
    end(client, call, "eight", newest.body.generation)
    assert text(ranks) == "eight"


# pins


def test_pins_are_at_most_four_and_change_their_rank_in_place(client, ranks):
    for rank in (1, 2, 3):
        ranks.pin(rank)
    ranks.pin(3)
    assert ranks.state.pinned == (8, 1, 2, 3)
    ranks.pin(5)
    assert ranks.state.pinned == (8, 1, 2, 3)
    assert ranks.notices[-1].message == "4 ranks are pinned already."
    ranks.repin(1, 2)
    assert ranks.state.pinned == (8, 4, 2, 3), "the first above that is free"
    ranks.repin(8, 9)
    assert ranks.state.pinned == (8, 4, 2, 3)
    ranks.unpin(8)
    assert ranks.panes == [BASE, "rank 4", "rank 2", "rank 3", LIVE]


def test_a_new_pin_asks_only_for_itself(client, ranks):
    ranks.ask("reverse: abc")
    rows = client.last(Compare)
    ranks.pin(2)
    (alone,) = [call for call in client.asked(Generate) if not call.body.live]
    assert alone.body.parts[0].rank == 2
    assert rows.id not in client.cancelled
    ranks.unpin(2)
    assert alone.id in client.cancelled


# difference


def compared(client, ranks, others, said):
    """The panes say ``others`` from left to right, the live one ``said``."""
    ranks.ask("reverse: abc")
    rows = client.last(Compare)
    for row, words in enumerate(others):
        for index, letter in enumerate(words):
            client.progress(rows, Token(index=index, text=letter, row=row))
        client.progress(rows, RowDone(row=row, answer=generated(words)))
    client.answer(rows, Compared(answers=[generated(words) for words in others]))
    say(client, live(client), said)
    return ranks.difference


def test_the_first_differing_token_and_what_agrees(client, ranks):
    found = compared(client, ranks, ["abXd", "abcd"], "abcd")
    end(client, live(client), "abcd")
    found = ranks.difference
    assert (found[BASE].first, found[BASE].agrees) == (2, (True, True, False, True))
    assert (found["rank 8"].first, found["rank 8"].agrees) == (-1, (True,) * 4)
    assert found[LIVE].parts == (2,)


def test_what_the_live_answer_has_not_said_yet_is_no_difference(client, ranks):
    found = compared(client, ranks, ["abcd", "Xbcd"], "ab")
    assert found[BASE].agrees == (True,) * 4
    assert found["rank 8"].parts == (0,)
    end(client, live(client), "ab")
    found = ranks.difference
    assert found[BASE].parts == (2,), "the live answer has ended, the other goes on"
    assert found[LIVE].parts == (0, 2)


def test_where_the_other_ends_the_live_answer_parts(client, ranks):
    compared(client, ranks, ["ab", "abcd"], "abcd")
    end(client, live(client), "abcd")
    assert ranks.difference[LIVE].parts == (2,)


def test_answers_to_different_prompts_are_not_compared(client, ranks):
    compared(client, ranks, ["abc", "abc"], "abc")
    ranks.ask("another")
    assert all(not agreement.agrees for agreement in ranks.difference.values())


# taking back, and coming back


def test_a_drag_is_one_step(client, ranks):
    moved = []
    ranks.slid.connect(moved.append)
    for rank in (5, 6, 7):
        ranks.slide(rank)
    ranks.settle()
    ranks.slide(2)
    ranks.settle()
    ranks.pin(2)
    ranks.undo()
    assert ranks.state.pinned == (8,)
    ranks.undo()
    assert ranks.state.rank == 7
    ranks.undo()
    assert ranks.state.rank == 4
    ranks.redo()
    assert ranks.state.rank == 7
    assert moved == [5, 6, 7, 2, 7, 4, 7]


def test_the_choice_of_an_adapter_is_a_step_too(client, ranks):
    ranks.slide(6)
    ranks.choose("ordered")
    assert (ranks.state.adapter.name, ranks.state.order) == ("ordered", "")
    ranks.undo()
    assert (ranks.state.adapter.name, ranks.state.order, ranks.state.rank) == ("plain", "energy", 6)


def test_the_page_comes_back_as_it_was_left_and_asks_nothing_by_itself(client, store):
    ranks = opened(client, store)
    ranks.slide(3)
    ranks.settle()
    ranks.pin(5)
    ranks.ask("reverse: abc")
    before = ranks.state
    again = scripted.ScriptedClient()
    other = opened(again, store, adapter="")
    assert replace(other.state, adapters=()) == replace(before, adapters=())
    assert other.panes == ranks.panes
    assert again.asked(Generate) == again.asked(Compare) == []
    other.use_base("other-base")
    assert other.state.adapter is None
    other.use_base(scripted.BASE)
    assert other.state.pinned == (8, 5)


def test_a_state_of_another_version_is_an_empty_page(client, store):
    store.setValue("ranks", '{"scenes": {"starter-llama": 3}}')
    assert opened(client, store, adapter="").state.adapter is None
