"""kill -9 of the runtime and of the engine under a training: the window lives on and says what happened."""

from __future__ import annotations

import json

import psutil
import pytest

pytestmark = [pytest.mark.alone, pytest.mark.display]

FROZEN_MS = 500.0


def test_the_window_lives_and_tells(window, tmp_path):
    window.key("ctrl+3")
    window.until("mixer is not None and len(mixer.stock.adapters) >= 5 and mixer.data is not None")
    window.look("[mixer.drop(name) for name in ('reverse', 'sort', 'upper')]")
    window.key("ctrl+t")
    window.until("mixer.training.job is not None and mixer.training.job.step >= 5")
    job = window.look("mixer.training.job.id")
    window.look("beat()")

    engine = psutil.Process(json.loads((tmp_path / "home" / "engine.json").read_text())["pid"])
    (runtime,) = engine.children()
    step = window.look("mixer.training.job.step")
    runtime.kill()
    window.until("any('killed by signal 9' in sentence for sentence in said())")
    window.until(f"mixer.training.job.step > {step}")

    step = window.look("mixer.training.job.step")
    engine.kill()
    window.until("any('was interrupted; it goes on from step' in sentence for sentence in said())")
    window.until("shell.frame.state.engine[2] == 'Engine ready'")
    window.until(f"mixer.training.job.step > {step}")
    assert window.look("mixer.training.job.id") == job

    assert max(window.look("delays()")) < FROZEN_MS
    window.look("mixer.training.cancel()")
    window.until("not mixer.training.is_open")
    assert all(sentence.strip().endswith(".") for sentence in window.look("said()"))
    print(window.look("said()"), f"worst delay {max(window.look('delays()')):.0f} ms")
