"""The mixer's presenter against a scripted engine: desk, undo, answers that are never stale, training."""

from __future__ import annotations

import msgspec
import pytest
from PySide6.QtCore import QSettings

from app.presenters.answer import Spoken
from app.presenters.answers import MIX
from app.presenters.desk import Desk
from app.presenters.history import History
from app.presenters.mixer import Mixer
from engine.messages import (
    Adapters,
    CancelJob,
    CheckData,
    Compared,
    DataSets,
    Fit,
    Fits,
    Generate,
    Job,
    JobChanged,
    JobProgress,
    Jobs,
    JudgeAdapters,
    LibraryChanged,
    ListAdapters,
    ListData,
    ListJobs,
    ListMixes,
    Metrics,
    Mixes,
    PauseJob,
    ReadMetrics,
    ResumeJob,
    RowDone,
    SubmitJob,
    Token,
    WarmUp,
)
from tests.app import scripted_client as scripted
from tests.app.scripted_client import BASE, adapter, data_set, mix
from tests.app.scripted_mixer import GATES, NAMES, ROUTING, ask, connected, generated, lay, settled, voices


@pytest.fixture
def client(qapp):
    return scripted.ScriptedClient()


@pytest.fixture
def mixer(client):
    return connected(client)


# --- the desk ---


def test_drop_places_colours_and_says_so(client, mixer):
    said = []
    mixer.announced.connect(said.append)
    assert mixer.drop("reverse")
    assert mixer.drop("sort")
    assert mixer.drop("plural", 0)
    assert mixer.desk.experts == ["plural", "reverse", "sort"]
    assert [mixer.hue(name) for name in ("reverse", "sort", "plural")] == [0, 1, 2]
    assert said[-1] == "plural on the desk, channel 1 of 3"
    assert client.last(WarmUp).body.base == scripted.BASE


def test_colours_follow_the_expert_and_are_reused_when_free(mixer):
    lay(mixer)
    mixer.move("plural", 0)
    assert [mixer.hue(name) for name in NAMES] == [0, 1, 2]
    mixer.remove("sort")
    mixer.drop("upper")
    assert mixer.hue("upper") == 1


@pytest.mark.parametrize(
    ("slot", "order"),
    [
        (0, ["sort", "reverse", "plural"]),
        (1, ["reverse", "sort", "plural"]),
        (2, ["reverse", "sort", "plural"]),
        (3, ["reverse", "plural", "sort"]),
        (99, ["reverse", "plural", "sort"]),
    ],
)
def test_move_puts_a_strip_before_the_one_in_the_slot(mixer, slot, order):
    lay(mixer)
    mixer.move("sort", slot)
    assert mixer.desk.experts == order


def test_nudge_moves_by_places(mixer):
    lay(mixer)
    mixer.nudge("reverse", 1)
    assert mixer.desk.experts == ["sort", "reverse", "plural"]
    mixer.nudge("reverse", -1)
    assert mixer.desk.experts == NAMES
    mixer.nudge("reverse", -1)
    assert mixer.desk.experts == NAMES


def test_an_adapter_for_another_base_is_refused_with_a_next_step(mixer):
    mixer.drop("reverse")
    assert not mixer.drop("foreign")
    assert mixer.desk.experts == ["reverse"]
    assert "other-base" in mixer.notices[-1].message
    assert mixer.notices[-1].hint


def test_unknown_adapter_is_refused(mixer):
    assert not mixer.drop("nobody")
    assert "nobody" in mixer.notices[-1].message


def test_mute_and_solo_are_weights(mixer):
    lay(mixer)
    mixer.set_fader("sort", 0.6)
    assert mixer.desk.weights() == {"reverse": 1.0, "sort": 0.6, "plural": 1.0}
    mixer.mute("reverse", True)
    assert mixer.desk.weights() == {"reverse": 0.0, "sort": 0.6, "plural": 1.0}
    mixer.solo("sort", True)
    assert mixer.desk.weights() == {"reverse": 0.0, "sort": 0.6, "plural": 0.0}
    assert mixer.playing.silent == {"reverse", "plural"}
    mixer.set_fader("sort", 7.0)
    assert mixer.desk.weights()["sort"] == 2.0


def test_undo_and_redo_of_everything_a_hand_did(mixer):
    lay(mixer)
    mixer.set_fader("sort", 0.9)
    mixer.set_fader("sort", 0.5)
    mixer.release()
    mixer.set_fader("sort", 0.4)
    mixer.mute("plural", True)
    mixer.remove("reverse")
    final = mixer.desk
    seen = [mixer.undo_label]
    for _ in range(4):
        mixer.undo()
        seen.append(mixer.undo_label)
    assert seen == ["Remove reverse", "Mute plural", "Fader of sort", "Fader of sort", "Add plural"]
    assert mixer.desk.weights() == {"reverse": 1.0, "sort": 1.0, "plural": 1.0}
    for _ in range(4):
        mixer.redo()
    assert mixer.desk == final
    mixer.redo()
    assert mixer.desk == final


def test_a_new_step_ends_what_could_be_redone(mixer):
    lay(mixer)
    mixer.undo()
    mixer.mute("sort", True)
    assert mixer.redo_label == ""


def test_history_keeps_its_limit():
    history = History(Desk(), limit=3)
    for number in range(6):
        history.record(Desk(base=str(number)), str(number))
    assert [history.undo() for _ in range(5)] == [True, True, True, False, False]
    assert history.now.base == "2"


def test_values_equal_to_the_old_emit_nothing(mixer):
    lay(mixer)
    changes = []
    mixer.desk_changed.connect(lambda: changes.append(1))
    mixer.set_fader("sort", 1.0)
    mixer.mute("sort", False)
    mixer.move("sort", 1)
    assert changes == []


def test_an_adapter_that_leaves_the_library_leaves_the_desk(client, mixer):
    lay(mixer)
    client.tell(LibraryChanged(what="adapters"))
    client.answer_all(ListAdapters, Adapters(adapters=[adapter("reverse"), adapter("plural")]))
    assert mixer.desk.experts == ["reverse", "plural"]
    assert "sort" in mixer.notices[-1].message


def test_the_desk_is_there_again_after_a_restart(client, tmp_path):
    store = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
    first = connected(client, store)
    lay(first)
    first.set_fader("sort", 0.3)
    again = connected(scripted.ScriptedClient(), store)
    assert again.desk == first.desk
    store.setValue("mixer/desk", "{broken")
    assert connected(scripted.ScriptedClient(), store).desk.strips == ()


# --- data ---


def test_the_widest_starter_set_is_chosen_and_others_can_be(client, mixer):
    assert mixer.data.name == "mixed"
    mixer.choose_data("data/reverse.train.jsonl")
    assert mixer.data.rows == 1500
    assert mixer.examples[0] == "reverse: planet"
    mixer.undo()
    assert mixer.data.name == "mixed"


def test_examples_are_unseen_words_of_the_experts_on_the_desk(client):
    mixer = Mixer(client)
    unseen = data_set("sort.heldout", 150)
    client.answer_all(ListAdapters, Adapters(adapters=[adapter("sort")]))
    client.answer_all(ListData, DataSets(sets=[data_set("mixed"), unseen]))
    assert mixer.examples == [prompt for prompt, _ in data_set("mixed").sample]
    mixer.drop("sort")
    assert mixer.examples == ["sort: planet"]


def test_a_file_is_read_before_it_is_taken(client, mixer):
    mixer.choose_data("/home/someone/own.jsonl")
    assert mixer.data.name == "mixed"
    call = client.last(CheckData)
    assert call.body.path == "/home/someone/own.jsonl"
    client.fail(call, "data", "Line 7 is not JSON.", "Mend the line.")
    assert (mixer.notices[-1].message, mixer.notices[-1].hint) == ("Line 7 is not JSON.", "Mend the line.")
    assert mixer.data.name == "mixed"
    mixer.choose_data("/home/someone/own.jsonl")
    client.answer(client.last(CheckData), data_set("own", 12))
    assert mixer.data.name == "own"
    assert mixer.desk.data == "/home/someone/own.jsonl"


# --- the mix ---


@pytest.fixture
def mixed(client):
    mixer = connected(client, mixes=[mix("mix-1", NAMES, {"reverse": 0.5, "null": 0.5})])
    mixer.open_mix("mix-1")
    return mixer


def test_opening_a_mix_lays_out_its_experts(client, mixed):
    assert mixed.desk.experts == NAMES
    assert mixed.playing.has_router
    assert mixed.playing.has_null
    assert mixed.usage == {"reverse": 0.5, "null": 0.5}
    assert "mix-1 plays" in mixed.playing.sentence
    mixed.undo()
    assert mixed.desk.strips == ()


def test_faders_mute_and_solo_play_over_the_mix(client, qtbot, mixed):
    mixed.set_fader("sort", 1.5)
    mixed.mute("plural", True)
    mixed.set_router(mode="topk", top_k=2, strength=1.2)
    voice = voices(ask(client, qtbot, mixed))[(("reverse", 1.0), ("sort", 1.5), ("plural", 1.0))]
    mixing = voice.mixing
    assert (mixing.name, mixing.mode, mixing.top_k, mixing.strength) == ("mix-1", "topk", 2, 1.2)
    assert (mixing.muted, mixing.locked) == (["plural"], [])
    assert voice.record


def test_an_expert_taken_off_the_desk_is_silent_and_it_says_so(client, qtbot, mixed):
    mixed.remove("plural")
    assert mixed.playing.has_router
    assert "without plural" in mixed.playing.sentence
    voice = voices(ask(client, qtbot, mixed))[(("reverse", 1.0), ("sort", 1.0))]
    assert voice.mixing.muted == ["plural"], "the router shares its part out among the others"


def test_a_stranger_on_the_desk_means_static_faders_and_it_says_so(client, qtbot, mixed):
    mixed.drop("upper")
    assert not mixed.playing.has_router
    assert "trained without upper" in mixed.playing.sentence
    assert all(voice.mixing is None for voice in ask(client, qtbot, mixed).body.voices)


def test_who_spoke_and_how_much(client, qtbot, mixed):
    spoken = []
    mixed.answers.spoke.connect(lambda pane, token: spoken.append((pane, token)))
    call = ask(client, qtbot, mixed)
    client.progress(call, Token(index=0, text="c", gates=GATES[2], row=2))
    assert spoken == [(MIX, Spoken("c", 0, pytest.approx(0.9)))]
    client.progress(call, RowDone(row=2, answer=generated("c", ROUTING)))
    assert mixed.playing.voices == [*NAMES, "null"]
    assert mixed.usage["reverse"] == pytest.approx((0.1 + 0.7 + 0.9) / 3)
    assert mixed.usage["null"] == pytest.approx((0.6 + 0.1 + 0.02) / 3)
    mixed.mute("reverse", True)
    assert mixed.playing.silent == {"reverse"}


# --- training ---


def submitted(client, mixer, **changes):
    mixer.train()
    call = client.last(SubmitJob)
    fields = dict(
        id=call.body.id,
        kind="router",
        name=call.body.spec.out,
        state="running",
        step=0,
        steps=100,
        message="",
        spec=call.body.spec,
        created=1.0,
    )
    job = Job(**(fields | changes))
    client.answer(call, job)
    return job


def became(client, job, **changes):
    job = msgspec.structs.replace(job, **changes)
    client.tell(JobChanged(job=job))
    return job


def progress(job, step, **metrics):
    return JobProgress(id=job.id, step=step, steps=100, message="", seconds_left=9.0, metrics=metrics)


def test_training_wants_two_experts_and_data(client, mixer):
    mixer.train()
    assert client.asked(SubmitJob) == []
    assert mixer.notices[-1].hint == "Put at least two adapters on the desk."
    lay(mixer)
    assert mixer.why_not_train == ""


def test_training_is_submitted_as_the_desk_says(client, mixer):
    lay(mixer)
    mixer.set_router(router_input="local")
    mixer.set_router(epochs=3)
    spec = submitted(client, mixer).spec
    assert (spec.experts, spec.base, spec.out) == (NAMES, scripted.BASE, "mix-1")
    assert (spec.router_input, spec.epochs, spec.data) == ("local", 3, "data/mixed.jsonl")
    assert mixer.why_not_train == "A mix is being trained."


def test_curves_grow_from_gauges_and_usage_follows_the_load(client, mixer):
    lay(mixer)
    job = submitted(client, mixer)
    points = []
    mixer.training.curve_grew.connect(lambda step, metrics: points.append((step, metrics["loss"])))
    client.measure(progress(job, 1, loss=2.0, **{"load.sort": 0.4}))
    client.measure(progress(job, 4, loss=1.5, **{"load.sort": 0.6}))
    client.measure(
        JobProgress(id="other", step=9, steps=9, message="", seconds_left=None, metrics={"loss": 0.0})
    )
    assert points == [(1, 2.0), (4, 1.5)]
    assert mixer.training.job.step == 4
    assert mixer.usage == {"sort": 0.6}


def test_a_trained_router_is_taken_up_and_undo_takes_it_back(client, mixer):
    lay(mixer)
    job = submitted(client, mixer)
    became(client, job, state="done", step=100)
    client.answer_all(ListMixes, Mixes(mixes=[mix("mix-1", NAMES, {"sort": 1.0})]))
    assert mixer.desk.mix == "mix-1"
    assert mixer.playing.has_router
    read = client.last(ReadMetrics)
    client.answer(read, Metrics(id=job.id, steps=[1, 2], series={"loss": [2.0, None]}))
    assert mixer.training.curve == {"loss": [(1, 2.0)]}
    mixer.undo()
    assert not mixer.playing.has_router
    mixer.train()
    assert client.last(SubmitJob).body.spec.out == "mix-2"


def test_a_desk_that_changed_meanwhile_is_left_alone(client, mixer):
    lay(mixer)
    job = submitted(client, mixer)
    mixer.drop("upper")
    became(client, job, state="done", step=100)
    client.answer_all(ListMixes, Mixes(mixes=[mix("mix-1", NAMES)]))
    assert mixer.desk.mix == ""


def test_steering(client, mixer):
    lay(mixer)
    job = submitted(client, mixer)
    mixer.training.pause()
    assert client.last(PauseJob).body.id == job.id
    job = became(client, job, state="paused")
    mixer.training.resume()
    assert client.last(ResumeJob).body.id == job.id
    mixer.training.stop_and_keep()
    assert client.last(CancelJob).body.keep
    mixer.training.cancel()
    assert not client.last(CancelJob).body.keep
    became(client, job, state="cancelled")
    assert mixer.why_not_train == ""


def test_a_failed_training_says_why(client, mixer):
    from engine.messages import Error

    lay(mixer)
    job = submitted(client, mixer)
    became(
        client, job, state="failed", error=Error(code="disk", message="The disk is full.", hint="Make room.")
    )
    assert mixer.notices[-1].message == "The disk is full."


def test_a_refused_submission_says_why(client, mixer):
    lay(mixer)
    mixer.train()
    client.fail(client.last(SubmitJob), "disk", "The disk is full.", "Make room.")
    assert mixer.notices[-1].message == "The disk is full."
    assert not mixer.training.is_open


def test_a_training_is_found_again_by_a_new_window(client, mixer, tmp_path):
    lay(mixer)
    mixer.set_rank("sort", 3)
    job = submitted(client, mixer)
    second = scripted.ScriptedClient()
    again = connected(second, jobs=[job])
    assert again.desk.experts == NAMES
    assert (again.desk.strip("sort").rank, again.desk.strip("sort").order) == (3, "energy")
    assert again.training.job == job
    second.measure(progress(job, 7, loss=1.0))
    assert again.training.curve["loss"] == [(7, 1.0)]


def test_a_training_that_ended_while_the_window_was_closed_is_taken_up(client, tmp_path):
    store = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
    first = connected(client, store)
    lay(first)
    job = submitted(client, first)
    ended = msgspec.structs.replace(job, state="done", step=100)
    second = scripted.ScriptedClient()
    again = connected(second, store, jobs=[ended])
    second.answer_all(ListMixes, Mixes(mixes=[mix("mix-1", NAMES)]))
    assert again.desk.mix == "mix-1"


def test_a_crash_of_the_engine_keeps_the_training(client, mixer):
    lay(mixer)
    job = submitted(client, mixer)
    client.measure(progress(job, 30, loss=1.0))
    client.welcomed.emit()
    client.answer_all(ListJobs, Jobs(jobs=[msgspec.structs.replace(job, step=25, attempt=1)]))
    assert mixer.training.is_open
    assert mixer.training.job.attempt == 1


def test_repeated_steps_are_drawn_once(client, mixer):
    lay(mixer)
    job = submitted(client, mixer)
    for step in (10, 20, 30):
        client.measure(progress(job, step, loss=1.0))
    replaced = []
    mixer.training.curve_replaced.connect(lambda: replaced.append(1))
    became(client, job, step=15, attempt=1)
    client.measure(progress(job, 16, loss=1.1))
    client.measure(progress(job, 21, loss=0.9))
    assert mixer.training.curve["loss"] == [(10, 1.0), (16, 1.1), (21, 0.9)]
    assert len(replaced) == 1


def test_the_router_is_heard_while_it_learns(client, qtbot, mixer):
    lay(mixer)
    ask(client, qtbot, mixer)
    job = submitted(client, mixer)
    assert mixer.playing.title[0] == "sum"
    client.measure(progress(job, 1, loss=2.0))
    assert mixer.playing.title[0] == "mix, still training"
    settled(qtbot, mixer)
    mixing = client.last(Generate).body.mixing
    assert (mixing.job, mixing.top_k) == (job.id, 3)
    became(client, job, state="paused", step=1)
    assert mixer.playing.title[0] == "sum"
    became(client, job, state="running", step=1)
    mixer.remove("sort")
    assert mixer.playing.title[0] == "sum", "the desk is another one now"


@pytest.mark.parametrize(
    ("step", "metrics", "words"),
    [
        (
            30,
            {"load.sort": 0.95, "load.reverse": 0.05, "entropy": 0.3},
            "sort has 95 % of the load",
        ),
        (24, {"load.sort": 0.5, "load.reverse": 0.5, "entropy": 0.01}, "decided almost at once"),
        (60, {"load.sort": 0.5, "load.reverse": 0.5, "entropy": 0.01}, ""),
        (5, {"load.sort": 0.95, "entropy": 0.01}, ""),
    ],
)
def test_a_collapsing_router_says_so(client, mixer, step, metrics, words):
    lay(mixer)
    job = submitted(client, mixer)
    client.measure(progress(job, step, **metrics))
    assert words in mixer.training.collapse
    assert bool(words) == bool(mixer.training.collapse)


def test_a_mix_is_named_by_the_person_or_by_number(client, mixed):
    mixed.train("evening")
    assert client.last(SubmitJob).body.spec.out == "evening"
    assert not mixed.train("mix-1")
    assert "already" in mixed.notices[-1].message


def test_map_and_meters_fill_while_the_mix_speaks(client, qtbot, mixed):
    call = ask(client, qtbot, mixed)
    heard = []
    mixed.answers.heard.connect(lambda pane: heard.append(len(mixed.routing.tokens)))
    begun = msgspec.structs.replace(ROUTING, tokens=["a", "b"], gates=GATES[:2], row=2)
    client.progress(call, begun)
    assert mixed.answers.answer(MIX).prompt_tokens == 2
    assert mixed.usage["reverse"] == pytest.approx((0.1 + 0.7) / 2)
    client.progress(call, Token(index=0, text="c", gates=GATES[2], row=2))
    assert mixed.routing == msgspec.structs.replace(ROUTING, row=2)
    assert mixed.usage["reverse"] == pytest.approx((0.1 + 0.7 + 0.9) / 3)
    assert mixed.usage_of == "this prompt and answer, 3 tokens"
    client.answer(call, Compared(answers=[generated(), generated(), generated("c", ROUTING)]))
    assert heard == [2, 3, 3]


def test_what_is_on_the_desk_already_stays_where_it_is(mixer):
    lay(mixer)
    assert mixer.drop("reverse")
    assert mixer.desk.experts == NAMES
    assert mixer.notices[-1].message == "reverse is on the desk already, channel 1 of 3."


def test_an_empty_desk_refuses_what_is_not_for_the_chosen_base(mixer):
    mixer.use_base(scripted.BASE)
    assert not mixer.drop("foreign")
    assert "at the top" in mixer.notices[-1].hint
    assert "foreign" not in mixer.starters


def test_the_engines_verdict_decides_what_lies_on_the_desk(client, qapp):
    """Red is refused at once with its sentence; amber is laid and its doubt said; names decide nothing."""
    mixer = connected(client)
    mixer.use_base(BASE)
    call = client.last(JudgeAdapters)
    assert call.body == JudgeAdapters(base=BASE)
    why = {"red": "Its q_proj reads 512 numbers, that of the base 128.", "amber": "Not all could be seen."}
    fits = {"reverse": "green", "sort": "red", "foreign": "amber"}
    judged = {name: Fit(verdict=verdict, reason=why.get(verdict, "")) for name, verdict in fits.items()}
    client.answer(call, Fits(fits=judged))
    assert not mixer.drop("sort")
    assert mixer.notices[-1].message == f"sort does not fit {BASE}. {why['red']}"
    assert mixer.notices[-1].hint
    assert mixer.drop("foreign") and mixer.drop("reverse")
    assert [(notice.level, notice.hint) for notice in mixer.notices[1:]] == [("warn", why["amber"])]
    assert mixer.desk.experts == ["foreign", "reverse"]
    assert mixer.desk.base == BASE


def test_an_answer_about_another_base_is_no_verdict(client, qapp):
    mixer = connected(client)
    mixer.use_base("one")
    late = client.last(JudgeAdapters)
    mixer.use_base("two")
    client.answer(late, Fits(fits={"sort": Fit(verdict="green", reason="")}))
    assert mixer.stock.fits == {}
