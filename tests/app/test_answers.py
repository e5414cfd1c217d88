"""Answers side by side against a scripted engine: rows of one batch, never a stale token, failures apart."""

from __future__ import annotations

import msgspec
import pytest

from app.presenters.answers import BASE, MIX, Answers, expert_pane
from engine.messages import (
    Adapters,
    Compare,
    Compared,
    Generate,
    Job,
    JobChanged,
    JobProgress,
    LibraryChanged,
    ListAdapters,
    RowDone,
    SubmitJob,
    Token,
)
from tests.app import scripted_client as scripted
from tests.app.scripted_mixer import ask, connected, generated, lay, settled, voices


@pytest.fixture
def client(qapp):
    return scripted.ScriptedClient()


@pytest.fixture
def mixer(client):
    mixer = connected(client)
    lay(mixer)
    return mixer


REVERSE = expert_pane("reverse")


def test_base_expert_and_sum_are_rows_of_one_batch(client, qtbot, mixer):
    mixer.set_fader("sort", 0.5)
    call = ask(client, qtbot, mixer)
    assert list(voices(call)) == [
        (),
        (("reverse", 1.0),),
        (("reverse", 1.0), ("sort", 0.5), ("plural", 1.0)),
    ]
    assert all(voice.mixing is None and not voice.record for voice in call.body.voices)
    assert (call.body.base, call.body.prompt) == (scripted.BASE, "reverse: abc")
    assert client.asked(Generate) == []
    assert "Static faders" in mixer.playing.sentence


def test_tokens_stream_into_their_own_pane_and_a_short_row_is_done_before_the_others(client, qtbot, mixer):
    call = ask(client, qtbot, mixer)
    for index, (one, other) in enumerate(zip("abc", "cba", strict=True)):
        client.progress(call, Token(index=index, text=one, row=0))
        client.progress(call, Token(index=index, text=other, row=1))
    client.progress(call, RowDone(row=0, answer=generated("abc")))
    assert mixer.answers.answer(BASE).text == "abc"
    assert mixer.answers.answer(REVERSE).text == "cba"
    assert mixer.answers.answer(BASE).state == "done"
    assert mixer.answers.answer(REVERSE).state == "streaming"
    assert mixer.answers.busy
    client.answer(call, Compared(answers=[generated("abc"), generated("cba"), generated("d")]))
    assert mixer.answers.answer(MIX).text == "d", "a row whose tokens were never heard shows its answer"
    assert not mixer.answers.busy


def test_no_pane_ever_shows_a_token_of_a_stale_question(client, qtbot, mixer):
    old = ask(client, qtbot, mixer, "first")
    spoken = []
    mixer.answers.spoke.connect(lambda pane, token: spoken.append((pane, token.text)))
    client.progress(old, Token(index=0, text="old", row=0))
    mixer.questions.ask("second")
    assert client.cancelled == [old.id]
    new = client.last(Compare)
    client.progress(old, Token(index=1, text="OLD", row=0))
    assert mixer.answers.answer(BASE).text == "old", "still readable"
    assert mixer.answers.answer(BASE).stale
    client.progress(new, Token(index=0, text="new", row=0))
    client.progress(old, Token(index=2, text="OLD", row=0))
    client.progress(old, RowDone(row=0, answer=generated("oldOLD")))
    client.fail(old, "cancelled")
    assert mixer.answers.answer(BASE).text == "new"
    assert not mixer.answers.answer(BASE).stale
    assert mixer.answers.answer(REVERSE).state == "waiting"
    assert (BASE, "OLD") not in spoken
    assert mixer.notices == []


def test_a_moved_fader_asks_the_mix_again_once_and_only_the_mix(client, qtbot, mixer):
    client.answer(ask(client, qtbot, mixer), Compared(answers=[generated()] * 3))
    for level in (0.9, 0.8, 0.7, 0.6):
        mixer.set_fader("sort", level)
    assert client.asked(Generate) == []
    settled(qtbot, mixer)
    (again,) = client.asked(Generate)
    assert [part.weight for part in again.body.parts] == [1.0, 0.6, 1.0]
    mixer.set_fader("sort", 0.5)
    settled(qtbot, mixer)
    assert again.id in client.cancelled
    assert [part.weight for part in client.last(Generate).body.parts] == [1.0, 0.5, 1.0]
    assert sum(isinstance(call.body, Compare) for call in client.calls) == 1


def test_a_batch_goes_on_for_the_rows_that_are_still_awaited(client, qtbot, mixer):
    call = ask(client, qtbot, mixer)
    client.progress(call, Token(index=0, text="m", row=2))
    mixer.set_fader("sort", 0.6)
    settled(qtbot, mixer)
    again = client.last(Generate)
    assert client.cancelled == [], "base and expert are still being said by it"
    client.progress(call, Token(index=1, text="OLD", row=2))
    client.progress(call, Token(index=0, text="b", row=0))
    client.progress(again, Token(index=0, text="new"))
    client.answer(call, Compared(answers=[generated("b"), generated("r"), generated("mOLD")]))
    assert mixer.answers.answer(BASE).text == "b"
    assert mixer.answers.answer(REVERSE).text == "r"
    assert (mixer.answers.answer(MIX).text, mixer.answers.answer(MIX).state) == ("new", "streaming")
    mixer.answers.stop(MIX)
    assert client.cancelled == [again.id]


def test_compare_adds_and_removes_panes(client, qtbot, mixer):
    ask(client, qtbot, mixer)
    assert mixer.questions.panes == [BASE, REVERSE, MIX]
    mixer.questions.compare("sort", True)
    assert mixer.questions.panes == [BASE, REVERSE, expert_pane("sort"), MIX]
    assert [part.name for part in client.last(Generate).body.parts] == ["sort"]
    mixer.questions.compare("reverse", False)
    assert mixer.questions.panes == [BASE, expert_pane("sort"), MIX]


def test_one_voice_that_cannot_speak_fails_alone(client, qtbot, mixer):
    call = ask(client, qtbot, mixer)
    client.progress(call, RowDone(row=0, answer=generated("abc")))
    client.fail(call, "adapter", "reverse is damaged.", "Verify it.")
    expert, whole = client.asked(Generate)
    assert [part.name for part in expert.body.parts] == ["reverse"]
    client.fail(expert, "adapter", "reverse is damaged.", "Verify it.")
    client.answer(whole, generated("x"))
    assert mixer.answers.answer(BASE).text == "abc", "what was said stays said"
    assert mixer.answers.answer(REVERSE).error.message == "reverse is damaged."
    assert mixer.answers.answer(MIX).text == "x"
    assert not mixer.answers.busy


def test_failure_is_shown_in_every_pane_and_asked_again_when_the_engine_is_back(client, qtbot, mixer):
    ask(client, qtbot, mixer)
    client.die()
    assert mixer.answers.answer(BASE).error.message == "The engine stopped."
    assert client.asked(Compare) == []
    client.come_back()
    assert len(client.last(Compare).body.voices) == 3
    assert mixer.answers.answer(BASE).state == "waiting"


def test_what_a_runtime_died_over_is_asked_once_more(client, qtbot, mixer):
    first = ask(client, qtbot, mixer)
    client.progress(first, RowDone(row=0, answer=generated("abc")))
    client.fail(first, "crashed", "The runtime stopped.")
    again = client.last(Compare)
    assert len(again.body.voices) == 2, "what was said stays said"
    assert mixer.answers.answer(MIX).state == "waiting"
    client.fail(again, "crashed", "The runtime stopped.")
    assert mixer.answers.answer(MIX).error.message == "The runtime stopped."
    assert client.asked(Compare) == [], "what kills two of them is left to a person"


def test_a_router_in_training_is_asked_on_its_own(client, qtbot, mixer):
    mixer.train()
    call = client.last(SubmitJob)
    job = Job(
        id=call.body.id, kind="router", name="mix-1", state="running", step=1, steps=9, message="",
        spec=call.body.spec,
    )  # fmt: skip
    client.answer(call, job)
    client.tell(JobChanged(job=job))
    client.measure(JobProgress(id=job.id, step=2, steps=9, message="", seconds_left=None, metrics={}))
    batch = ask(client, qtbot, mixer)
    assert list(voices(batch)) == [(), (("reverse", 1.0),)]
    assert client.last(Generate).body.mixing.job == job.id
    client.fail(client.last(Generate), "missing", "The training has ended.")
    assert mixer.answers.answer(MIX).error.message == "The training has ended."
    assert mixer.answers.answer(BASE).state == "waiting", "the others are not its concern"


def test_an_adapter_called_mix_has_a_pane_of_its_own():
    assert expert_pane("mix") != MIX
    assert expert_pane("base") != BASE


def test_a_cleared_pane_forgets_and_gives_up(client):
    answers = Answers(client)
    answers.ask({BASE: Generate(base="b", prompt="p"), MIX: Generate(base="b", prompt="p", seed=1)})
    (call,) = client.asked(Compare)
    answers.clear(BASE)
    assert client.cancelled == []
    answers.clear(MIX)
    assert client.cancelled == [call.id]
    client.progress(call, Token(index=0, text="late", row=1))
    assert answers.answer(MIX).text == ""


def test_what_was_said_before_the_desk_moved_is_old_at_once_and_nothing_is_added_to_it(client, qtbot, mixer):
    call = ask(client, qtbot, mixer)
    for row, word in enumerate(("base", "alone", "sum")):
        client.progress(call, Token(index=0, text=word, row=row))
    mixer.set_fader("sort", 0.5)
    assert mixer.questions.is_settling, "nobody has been asked yet"
    client.progress(call, Token(index=1, text="!", row=0))
    client.progress(call, Token(index=1, text="!", row=2))
    panes = [mixer.answers.answer(pane) for pane in (BASE, REVERSE, MIX)]
    assert [(pane.text, pane.stale) for pane in panes] == [("base!", False), ("alone", False), ("sum", True)]
    mixer.undo()
    settled(qtbot, mixer)
    again = client.last(Compare if len(client.asked(Compare)) > 1 else Generate)
    assert again.body.prompt == "reverse: abc", "asked again, though the desk is what it was"
    client.answer(again, generated("new"))
    assert (mixer.answers.answer(MIX).text, mixer.answers.answer(MIX).stale) == ("new", False)


def test_another_adapter_under_a_name_is_asked_anew(client, qtbot, mixer):
    call = ask(client, qtbot, mixer)
    client.answer(call, Compared(answers=[generated("a"), generated("b"), generated("c")]))
    cards = [msgspec.structs.replace(card, sha256="1" * 64) for card in mixer.stock.adapters.values()]
    client.tell(LibraryChanged(what="adapters"))
    client.answer_all(ListAdapters, Adapters(adapters=cards))
    assert [mixer.answers.answer(pane).stale for pane in (BASE, REVERSE, MIX)] == [False, True, True]
    settled(qtbot, mixer)
    assert len(client.last(Compare).body.voices) == 2, "the base is what it was"
