"""Jobs: followed by the presenter, shown and steered on the page."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QApplication, QPlainTextEdit, QProgressBar
from pytestqt.qtbot import QtBot

from app.pages.activity import VERBS, ActivityPage
from app.presenters.activity import Activity, Curve
from app.presenters.frame import Frame
from engine import messages
from engine.messages import Error, Job, JobProgress, LogLine, Metrics, TrainDylora, TrainLora
from tests.app import scripted_hub
from tests.app.fake_client import FakeClient
from tests.app.scripted_client import BASE


def job(name: str, created: float = 0.0, **changes: Any) -> Job:
    known: dict[str, Any] = {
        "kind": "lora",
        "state": "running",
        "step": 10,
        "steps": 100,
        "message": "",
        **changes,
    }
    spec = TrainLora(base=BASE, data="d", out=name)
    return Job(id=name, name=name, spec=spec, created=created, **known)


def progress(name: str, step: int, left: float | None = 22.0) -> JobProgress:
    return JobProgress(id=name, step=step, steps=100, message="", seconds_left=left, metrics={"loss": 1.0})


@pytest.fixture
def client(qapp: QApplication) -> FakeClient:
    ready = FakeClient(
        {
            messages.ListJobs: messages.Jobs(jobs=[job("old", 1.0, state="done"), job("new", 2.0)]),
            messages.ReadLog: messages.Log(lines=[LogLine(time=0.0, level="info", text="started")]),
            messages.ReadMetrics: lambda request: Metrics(
                id=request.id, steps=[1, 2], series={"loss": [2.0, 1.5]}
            ),
        }
    )
    ready.welcome()
    return ready


@pytest.fixture
def activity(client: FakeClient, qtbot: QtBot) -> Activity:
    presenter = Activity(client)
    qtbot.waitUntil(lambda: presenter.state.known)
    return presenter


# --- the presenter ---


def test_the_newest_comes_first(activity: Activity) -> None:
    assert [job.id for job in activity.state.jobs] == ["new", "old"]
    assert activity.state.running is not None
    assert activity.state.running.id == "new"


def test_gauges_move_a_running_job_only(activity: Activity, client: FakeClient) -> None:
    client.measure(progress("new", 42))
    client.measure(progress("old", 42))
    new, old = activity.state.jobs
    assert (new.step, new.seconds_left, new.metrics) == (42, 22.0, {"loss": 1.0})
    assert old.step == 10


def test_a_late_gauge_does_not_revive_an_ended_job(activity: Activity, client: FakeClient) -> None:
    client.tell(messages.JobChanged(job=job("new", 2.0, state="done", step=100)))
    client.measure(progress("new", 99))
    assert activity.state.jobs[0].step == 100


def test_jobs_come_and_go_by_events(activity: Activity, client: FakeClient) -> None:
    client.tell(messages.JobChanged(job=job("third", 3.0, state="queued")))
    assert [job.id for job in activity.state.jobs] == ["third", "new", "old"]
    activity.choose("old")
    client.tell(messages.JobRemoved(id="old"))
    assert [job.id for job in activity.state.jobs] == ["third", "new"]
    assert activity.state.chosen == ""


def test_the_chosen_job_brings_its_log_and_curve(
    activity: Activity, client: FakeClient, qtbot: QtBot
) -> None:
    activity.choose("new")
    qtbot.waitUntil(lambda: bool(activity.state.log and activity.state.curve.steps))
    assert activity.state.curve.series == {"loss": (2.0, 1.5)}
    client.script[messages.ReadMetrics] = lambda request: Metrics(
        id=request.id, steps=[2, 3], series={"loss": [1.5, 1.2], "load": [None, 0.5]}
    )
    client.measure(progress("new", 43))
    qtbot.waitUntil(lambda: len(activity.state.curve.steps) == 3)
    assert client.requests(messages.ReadMetrics)[-1].since == 2
    assert activity.state.curve.series == {"loss": (2.0, 1.5, 1.2), "load": (None, None, 0.5)}


def test_a_curve_grows_by_what_is_new_only() -> None:
    more = Metrics(id="a", steps=[1, 2], series={"loss": [3.0, 2.0]})
    once = Curve().extended(more)
    assert once.extended(more) is once


def test_a_refused_verb_is_told(activity: Activity, client: FakeClient, qtbot: QtBot) -> None:
    client.script[messages.PauseJob] = Error(code="usage", message="old is done and cannot be paused.")
    with qtbot.waitSignal(activity.noticed) as told:
        activity.pause("old")
    assert told.args[0].message == "old is done and cannot be paused."


def test_the_status_line_follows_the_running_job(activity: Activity, client: FakeClient) -> None:
    frame = Frame(client, activity)
    client.measure(progress("new", 41))
    assert frame.state.job == ("Training new", 0.41, "41 %  0:22 left")
    client.tell(messages.JobChanged(job=job("new", 2.0, kind="export")))
    assert frame.state.job[0] == "Exporting new"
    client.tell(messages.JobChanged(job=job("new", 2.0, state="done", step=100)))
    assert frame.state.job == ("", 0.0, "")


# --- the page ---


@pytest.fixture
def page(dressed: QApplication, activity: Activity, qtbot: QtBot) -> ActivityPage:
    widget = ActivityPage(activity)
    qtbot.addWidget(widget)
    widget.resize(1200, 700)
    widget.show()
    return widget


def visible_verbs(page: ActivityPage) -> set[str]:
    names = [verb for verbs in VERBS.values() for verb in verbs]
    return {name for name in names if page.findChild(QAbstractButton, f"job-{name}").isVisible()}


def test_the_running_job_is_looked_at_first(page: ActivityPage, activity: Activity) -> None:
    assert activity.state.chosen == "new"
    assert page.list.currentIndex().data() == "new"


@pytest.mark.parametrize("state", list(VERBS))
def test_only_what_can_be_done_is_offered(page: ActivityPage, client: FakeClient, state: str) -> None:
    client.tell(messages.JobChanged(job=job("new", 2.0, state=state)))
    assert visible_verbs(page) == set(VERBS[state])


def test_half_an_export_is_not_kept(page: ActivityPage, client: FakeClient) -> None:
    client.tell(messages.JobChanged(job=job("new", 2.0, kind="export")))
    assert visible_verbs(page) == {"pause", "cancel"}


@pytest.mark.parametrize(
    ("verb", "request_"),
    [
        ("pause", messages.PauseJob(id="new")),
        ("keep", messages.CancelJob(id="new", keep=True)),
        ("cancel", messages.CancelJob(id="new")),
    ],
)
def test_buttons_are_verbs(
    page: ActivityPage, client: FakeClient, qtbot: QtBot, verb: str, request_: Any
) -> None:
    qtbot.mouseClick(page.findChild(QAbstractButton, f"job-{verb}"), Qt.MouseButton.LeftButton)
    assert client.requests(type(request_)) == [request_]


def test_progress_changes_one_row_and_keeps_the_place(
    page: ActivityPage, client: FakeClient, qtbot: QtBot
) -> None:
    page.list.setCurrentIndex(page.jobs.index(1))
    changed: list[int] = []
    page.jobs.dataChanged.connect(lambda first, _: changed.append(first.row()))
    client.measure(progress("new", 50))
    assert changed == [0]
    assert page.list.currentIndex().row() == 1


def test_the_log_grows_without_moving_what_was_read(
    page: ActivityPage, activity: Activity, client: FakeClient, qtbot: QtBot
) -> None:
    log = page.findChild(QPlainTextEdit, "job-log")
    lines = [LogLine(time=float(i), level="info", text=f"line {i}") for i in range(200)]
    client.script[messages.ReadLog] = messages.Log(lines=lines)
    client.measure(progress("new", 51))
    qtbot.waitUntil(lambda: log.blockCount() == 200)
    log.verticalScrollBar().setValue(20)
    client.script[messages.ReadLog] = messages.Log(
        lines=[*lines, LogLine(time=0.0, level="info", text="one more")]
    )
    client.measure(progress("new", 52))
    qtbot.waitUntil(lambda: log.blockCount() == 201)
    assert log.verticalScrollBar().value() == 20


def test_the_details_of_an_error_can_be_copied(page: ActivityPage, client: FakeClient, qtbot: QtBot) -> None:
    error = Error(code="disk", message="The disk is full.", hint="Free some space.", detail="ENOSPC")
    client.tell(messages.JobChanged(job=job("new", 2.0, state="failed", error=error)))
    qtbot.mouseClick(page.findChild(QAbstractButton, "job-copy"), Qt.MouseButton.LeftButton)
    copied = QGuiApplication.clipboard().text()
    assert copied.startswith("The disk is full.\n\nFree some space.\n\nENOSPC")


def test_a_download_shows_its_files_and_its_speed_in_bytes(
    page: ActivityPage, client: FakeClient, qtbot: QtBot
) -> None:
    client.script[messages.ReadMetrics] = lambda request: Metrics(
        id=request.id, steps=[1_000_000, 2_000_000], series={"speed": [500_000.0, 1_000_000.0]}
    )
    fetching = scripted_hub.download("sorts", created=9.0)
    client.tell(messages.JobChanged(job=fetching))
    page.activity.choose(fetching.id)
    assert page.details._figures.text() == "3.0 MB of 12 MB   1.0 MB/s   0:09 left"
    qtbot.waitUntil(lambda: bool(bars(page)))
    (name, share), *rest = [(bar.accessibleName(), bar.value()) for bar in bars(page)]
    assert (name, share, rest) == ("Progress of adapter_model.safetensors", 250, [])
    qtbot.waitUntil(lambda: len(page.details._speed.series.get("speed", ())) == 2)
    assert page.details._speed.isVisible()
    assert page.details._speed.accessibleName() == "Speed, MB/s, over MB"
    assert page.details._speed.series["speed"].points[1].tolist() == [0.5, 1.0]
    small = msgspec.structs.replace(fetching, steps=336_000)
    client.tell(messages.JobChanged(job=small))
    assert page.details._speed.accessibleName() == "Speed, kB/s, over kB"
    assert page.details._speed.series["speed"].points[1].tolist() == [500.0, 1000.0]
    assert not page.details._curve.isVisible()
    assert visible_verbs(page) == {"pause", "cancel"}
    failed = Error(code="offline", message="The Hub cannot be reached.")
    client.tell(messages.JobChanged(job=msgspec.structs.replace(fetching, state="failed", error=failed)))
    assert page.findChild(QAbstractButton, "job-resume").text() == "Try again"
    page.activity.choose("new")
    assert page.details._curve.isVisible()
    assert page.findChild(QAbstractButton, "job-pause").toolTip() == ""


def bars(page: ActivityPage) -> list[QProgressBar]:
    found = page.details._files.findChildren(QProgressBar)
    return [bar for bar in found if bar.isVisible()]


def test_a_training_for_every_rank_says_at_which(page: ActivityPage, client: FakeClient) -> None:
    spec = TrainDylora(base=BASE, data="d", out="nested", rank=8, low=2)
    nested = msgspec.structs.replace(job("nested", 3.0), kind="dylora", spec=spec)
    client.tell(messages.JobChanged(job=nested))
    page.activity.choose("nested")
    assert page.details._kind.text().startswith(f"DyLoRA training at ranks 2 to 8 on {BASE}")
