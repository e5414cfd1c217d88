"""The verbs and the progress of a job, wherever one is followed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from pytestqt.qtbot import QtBot

from app.pages.steering import Steering
from engine.messages import Job, ScoreMix

JOB = Job(
    id="1", kind="scores", name="mine", state="running", step=3, steps=12, message="reading",
    spec=ScoreMix(base="base", mix="mix", data={}),
)  # fmt: skip


class Followed:
    """Notes what is asked of it; as with those that follow a job, what else is handed over has a meaning."""

    def __init__(self) -> None:
        self.job: Job | None = JOB
        self.asked: list[str] = []

    def pause(self) -> None:
        self.asked.append("pause")

    def resume(self) -> None:
        self.asked.append("resume")

    def cancel(self, then: Callable[[], object] | None = None) -> None:
        assert then is None
        self.asked.append("cancel")

    def stop_and_keep(self) -> None:
        self.asked.append("keep")


def test_each_verb_asks_for_itself_and_a_halted_job_goes_on(qtbot: QtBot) -> None:
    followed = Followed()
    steering = Steering("job", followed, "keeps")
    qtbot.addWidget(steering)
    for button in steering.verbs:
        button.click()
    followed.job = replace(JOB, state="held")
    steering.show_job(followed.job, "")
    steering.pause.click()
    assert steering.pause.text() == "Resume"
    assert followed.asked == ["pause", "keep", "cancel", "resume"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "25 %, 3 of 12"),
        ({"seconds_left": 75.0}, "25 %, 1:15 left"),
        ({"seconds_left": 75.0, "state": "paused"}, "Paused, 3 of 12"),
        ({"step": 0, "steps": 0}, "25 %, reading"),
        ({"step": 0, "steps": 0, "message": "25 %"}, "25 %, "),
    ],
)
def test_how_far_it_is(qtbot: QtBot, changes: dict[str, object], said: str) -> None:
    steering = Steering("job", Followed(), "keeps", is_narrow=True)
    qtbot.addWidget(steering)
    steering.show_job(replace(JOB, **changes), "25 %")
    assert steering.progress.accessibleDescription() == said
    assert steering.pause.isEnabled()
