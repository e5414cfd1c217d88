"""The first mix by command: one model without a task label, as good as the best expert of each task."""

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.timeout(600)
def test_the_mix_matches_the_best_expert_of_every_task(tmp_path):
    """Without a display the bare command says so and runs the demo."""
    command = [sys.executable, "-m", "engine", "--home", str(tmp_path / "home"), "--json"]
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    environment = {name: value for name, value in os.environ.items() if name not in screens}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=590)
    assert done.returncode == 0, done.stderr
    assert "no display" in done.stderr
    demo = json.loads(done.stdout)
    mean = demo["mean"]
    assert set(mean) >= {"base", "best_expert", "uniform", "mix"}
    assert mean["mix"] >= 0.97 * mean["best_expert"] >= 0.87
    assert mean["base"] < 0.1 and mean["uniform"] < 0.5 * mean["mix"]
    assert len(demo["experts"]) >= 5 and set(demo["tasks"]) == set(demo["experts"])
    for name in demo["experts"]:
        alone = sum(task["experts"][name] for task in demo["tasks"].values()) / len(demo["tasks"])
        assert alone < 0.5 * mean["mix"]
    for task in demo["tasks"].values():
        assert task["best_expert"] == max(task["experts"].values())
    assert demo["router_steps"] > 0 and demo["seconds"] > 0
