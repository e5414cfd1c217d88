"""Turns: who works when, with a clock that only moves when work is done."""

import pytest

from engine.runtime.scheduler import Piece, Scheduler


class Room:
    """A scheduler, a log of who worked, and time that passes by working."""

    def __init__(self):
        self.now = 0.0
        self.log = []
        self.answers = {}
        self.scheduler = Scheduler(lambda: self.now)

    def add(self, name, kind, steps, seconds=1.0, error=None):
        def work():
            try:
                for step in range(steps):
                    self.now += seconds
                    self.log.append(name)
                    yield step
                if error:
                    raise error
                return f"{name} done"
            finally:
                self.log.append(f"{name} closed")

        def note(answer):
            self.answers[name] = answer

        self.scheduler.add(Piece(name, kind, work(), ended=note, failed=note))

    def turns(self, count):
        for _ in range(count):
            self.scheduler.turn()
        return [name for name in self.log if "closed" not in name]


@pytest.fixture
def room():
    return Room()


def test_a_prompt_waits_for_one_micro_step_at_most(room):
    room.add("training", "training", 100)
    room.turns(3)
    room.add("prompt", "live", 5)
    room.log.clear()
    assert room.turns(1)[0] == "prompt"


def test_answers_go_side_by_side_and_training_goes_on(room):
    room.add("training", "training", 100, seconds=4.0)
    room.turns(1)
    room.log.clear()
    room.add("a", "live", 100)
    room.add("b", "live", 100)
    assert room.turns(2) == ["a", "b", "a", "b", "training"] * 2
    assert room.scheduler.busy == "training"


def test_a_score_waits_for_answers_and_not_for_training(room):
    room.add("score", "score", 3)
    room.add("training", "training", 9, seconds=0.5)
    room.add("a", "live", 2)
    assert " ".join(room.turns(5)) == "a training a training training score training score training"


def test_ends_failures_and_removal(room):
    room.add("good", "live", 1)
    room.add("bad", "score", 1, error=ValueError("no"))
    room.add("gone", "training", 50)
    room.turns(6)
    assert room.answers["good"] == "good done"
    assert isinstance(room.answers["bad"], ValueError)
    assert room.scheduler.remove("gone").id == "gone"
    assert room.scheduler.remove("gone") is None
    assert room.log[-1] == "gone closed"
    assert room.scheduler.busy == ""
    room.scheduler.turn()
