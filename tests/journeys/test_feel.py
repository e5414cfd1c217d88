"""How the window feels while a router trains: never late, and a prompt is served between two steps."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.display, pytest.mark.alone, pytest.mark.timeout(280)]

LATE_MS = 50.0
BEATS = 1500


def test_quick_and_served_while_training(window):
    window.key("ctrl+3")
    window.until("mixer is not None and len(mixer.stock.adapters) >= 5 and mixer.data is not None")
    window.look("[mixer.drop(name) for name in ('reverse', 'sort', 'upper')]")
    window.look("mixer.set_router(epochs=12)")
    window.key("ctrl+t")
    window.until("mixer.training.job is not None and mixer.training.job.step >= 3", 90)

    window.look("beat()")
    steps = []
    for prompt in ("reverse: garden", "sort: garden", "upper: garden"):
        window.look("watch_answers()")
        window.look(f"mixer.questions.ask({prompt!r})")
        window.until("all(mixer.answers.answer(pane).state == 'done' for pane in mixer.questions.panes)", 60)
        steps += window.look("list(steps_until_first_token().values())")
    assert len(steps) == 9
    assert max(steps) <= 2, f"steps trained before each answer began: {steps}"

    window.until(f"len(delays()) > {BEATS}", 90)
    late = sorted(window.look("delays()"))
    p99 = late[int(0.99 * len(late))]
    print(f"event loop: p99 {p99:.1f} ms, worst {late[-1]:.1f} ms; steps before answers: {steps}")
    assert window.look("mixer.training.is_open"), "the training ended before the measurement did"
    assert p99 < LATE_MS
    window.look("mixer.training.cancel()")
    window.until("not mixer.training.is_open", 60)
