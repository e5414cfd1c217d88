"""An expert of a mix slid in the real window: on its strip and over its answer, by mouse and by keyboard."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.display

PROMPT = "sort: the quick brown fox jumps over the lazy dog"
STRIP = "mixer.desk.strip.nested"
TRAINING = (
    "messages.SubmitJob(id='nested', spec=messages.TrainDylora(base='starter-llama', data=next(data.path for "
    "data in mixer.stock.sets if data.name == 'sort.train'), out='nested', rank=8, steps=16))"
)


def with_a_dylora_in_a_mix(window):
    """Trained for every rank in a few steps, and a router over it and another in a few more."""
    window.key("ctrl+3")
    window.until("mixer is not None and len(mixer.stock.adapters) >= 5 and mixer.data is not None")
    window.look(f"shell.client.ask({TRAINING})")
    window.until("'nested' in mixer.stock.adapters")
    window.look("[mixer.drop(name) for name in ('reverse', 'nested')]")
    heldout = "next(data.path for data in mixer.stock.sets if data.name == 'sort.heldout')"
    window.look(f"(mixer.choose_data({heldout}), mixer.set_router(epochs=1), mixer.train())")
    window.until("mixer.desk.mix == 'mix-1'")


def answered(window):
    window.until(
        "not mixer.questions.is_settling"
        " and all(mixer.answers.answer(pane).state == 'done' for pane in mixer.questions.panes)",
        60,
    )


def said(window):
    return window.look("{pane: mixer.answers.answer(pane).text for pane in mixer.questions.panes}")


def ranks(window):
    return window.look("{strip.adapter: [strip.rank, strip.order] for strip in mixer.desk.strips}")


def alone(window, rank):
    """What the engine says at a rank, asked as a question of its own."""
    part = f"messages.Part(name='nested', rank={rank})"
    question = f"messages.Generate(base='starter-llama', prompt={PROMPT!r}, parts=[{part}])"
    window.look("setattr(shell, 'truth', None)")
    window.look(f"shell.client.ask({question}, lambda body: setattr(shell, 'truth', body.text))")
    return window.until("shell.truth")


def at(window, name, rank):
    """The middle of a rank's cell on the screen."""
    x = f"(named({name!r}).x_of({rank}) + named({name!r}).x_of({rank} - 1)) / 2"
    return window.look(f"point({name!r}, {x}, named({name!r}).bar_rect().center().y())")


def first_gates(window):
    """Of every token of the prompt the gates of the first projection, which reads what no expert changes."""
    prompt = "mixer.routing.gates[:mixer.answers.answer('mix').prompt_tokens]"
    return np.array(window.look(f"[gates[0] for gates in {prompt}]"))


def test_by_mouse_and_by_keyboard(window):
    with_a_dylora_in_a_mix(window)
    window.look("[mixer.questions.compare(name, name == 'nested') for name in mixer.desk.experts]")
    window.click("mixer.prompt")
    window.write(PROMPT)
    window.key("Return")
    answered(window)
    whole, gates = said(window), first_gates(window)
    assert ranks(window) == {"reverse": [None, ""], "nested": [None, ""]}

    window.drag(at(window, f"{STRIP}.rank", 8), at(window, f"{STRIP}.rank", 1))
    window.until("mixer.desk.strip('nested').rank == 1")
    answered(window)
    assert ranks(window)["reverse"] == [None, ""]
    slid = said(window)
    assert slid["expert:nested"] == alone(window, 1) != whole["expert:nested"]
    assert slid["base"] == whole["base"], "asked once, and never again by sliding"
    assert np.abs(first_gates(window) - gates).max() < 1e-5
    assert window.look("set(mixer.usage) == {'reverse', 'nested', 'null'}")
    assert window.look("abs(sum(mixer.usage.values()) - 1) < 1e-3")

    window.drag(at(window, "mixer.answer.nested.rank", 1), at(window, "mixer.answer.nested.rank", 6))
    window.until(f"named('{STRIP}.rank').words == 'r 6/8'")
    window.look(f"named({STRIP!r}).setFocus()")
    window.key("bracketleft")
    window.until("named('mixer.answer.nested.rank').words == 'r 5/8'")
    window.key("braceleft")
    window.until("mixer.desk.strip('nested').rank == 4")
    answered(window)
    assert said(window)["expert:nested"] == alone(window, 4)
    window.key("ctrl+z", "ctrl+z")
    window.until("mixer.desk.strip('nested').rank == 1")
    window.key("ctrl+z")
    window.until("mixer.desk.strip('nested').rank is None")
    answered(window)
    assert said(window) == whole
