"""Whether a machine holds a base, and what can be known of its memory without torch."""

import pytest

from engine.formats.footprint import RUNTIME, Footprint
from engine.supervisor.machine import Machine, memory_fit, this_machine

GB = 10**9
MODEL = Footprint(weights=2 * GB, kv_cache=GB // 2, training=3 * GB)


@pytest.mark.parametrize(
    ("total", "free", "verdict", "word"),
    [
        (16, 12, "green", "12.0 GB free."),
        (16, 4, "amber", "not for training"),
        (16, 1, "amber", "close other programs"),
        (2, 1, "red", "2.0 GB in all"),
    ],
)
def test_the_verdict_names_what_is_needed_and_what_is_there(total, free, verdict, word):
    fit = memory_fit(MODEL, Machine(total=total * GB, free=free * GB))
    assert fit.verdict == verdict and word in fit.reason
    answer, train = 2.5 + RUNTIME / GB, 5 + RUNTIME / GB
    assert f"{answer:.1f} GB to answer and {train:.1f} GB to train" in fit.reason


def test_the_memory_of_this_machine(monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.13.0+cpu")
    machine = this_machine()
    assert not machine.gpu and 0 < machine.free <= machine.total


@pytest.fixture
def card(tmp_path, monkeypatch):
    """Puts an nvidia-smi in the way that does as told, and a torch that could use its card."""

    def put(script):
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        monkeypatch.setattr("importlib.metadata.version", lambda name: "2.13.0")

    return put


def test_the_card_with_the_most_free_memory_counts(card):
    card("printf '1024, 8192\\n6000, 24576\\n'")
    assert this_machine() == Machine(total=24576 << 20, free=6000 << 20, gpu=True)
    assert "graphics card" in memory_fit(MODEL, this_machine()).reason


@pytest.mark.parametrize("script", ["exit 9", "echo '[N/A], [N/A]'", "echo no devices", "true"])
def test_a_card_that_does_not_answer_is_none(card, script):
    card(script)
    assert not this_machine().gpu


def test_a_driver_that_hangs_is_not_waited_for(card, monkeypatch):
    card("exec sleep 60")
    monkeypatch.setattr("engine.supervisor.machine.ANSWER", 0.2)
    assert not this_machine().gpu


def test_a_torch_without_cuda_uses_no_card(card, monkeypatch):
    card("printf '6000, 24576\\n'")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.13.0+cpu")
    assert not this_machine().gpu
