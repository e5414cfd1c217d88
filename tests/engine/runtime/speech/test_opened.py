"""Which speech models stay loaded, and what is done aside."""

import os
import threading
import time

import pytest

from engine.runtime.speech.aside import Aside
from engine.runtime.speech.opened import Opened


@pytest.fixture
def folders(tmp_path):
    made = []
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.json").write_text(name)
        made.append(str(tmp_path / name))
    return made


def opened(left=lambda: 1.0):
    loaded = []
    models = Opened("cpu", lambda folder, device: loaded.append(folder) or object(), left)
    return models, loaded


def test_the_last_two_stay(folders):
    models, loaded = opened()
    a, b, c = folders
    first = models.model(a)
    models.model(b)
    assert models.model(a) is first
    models.model(c)  # for b, which was not used for longest
    assert models.model(a) is first and loaded == [a, b, c]
    models.model(b)
    assert loaded == [a, b, c, b]


def test_scarce_memory_holds_one(folders):
    left = [1.0]
    models, loaded = opened(lambda: left[0])
    a, b, _ = folders
    models.model(a)
    left[0] = 0.1
    models.model(b)
    models.model(b)
    models.model(a)
    assert loaded == [a, b, a]


def test_another_model_in_the_same_place_is_loaded(folders):
    models, loaded = opened()
    models.model(folders[0])
    os.utime(f"{folders[0]}/model.json", ns=(1, 1))
    models.model(folders[0])
    assert len(loaded) == 2


def slow(log, steps=3, gate=None):
    try:
        for step in range(steps):
            log.append(threading.current_thread().name)
            if gate:
                gate.wait(10)
            yield step
        return "done"
    finally:
        log.append("closed")


def run(steps):
    said = []
    while True:
        try:
            said.append(next(steps))
        except StopIteration as end:
            return [one for one in said if one is not None], end.value


def test_work_aside_says_and_returns_the_same():
    log = []
    assert run(Aside("aside").steps(slow(log))) == ([0, 1, 2], "done")
    assert {name for name in log if name != "closed"} == {"aside_0"}


def test_turns_go_on_while_a_step_is_made_and_what_is_given_up_is_closed():
    log, gate = [], threading.Event()
    steps = Aside("aside").steps(slow(log, gate=gate))
    assert [next(steps) for _ in range(3)] == [None] * 3  # it hangs, we do not
    steps.close()
    assert "closed" not in log
    gate.set()
    until = time.monotonic() + 60
    while "closed" not in log:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_error_aside_is_raised_here():
    def broken():
        yield 1
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run(Aside("aside").steps(broken()))
