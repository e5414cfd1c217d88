"""Downloads as a person follows them: the presenter over the jobs, the strip on top of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QProgressBar, QVBoxLayout, QWidget

from app.models.downloads import face
from app.pages.discover.strip import Strip
from app.presenters.activity import Activity
from app.presenters.downloads import SAMPLES, Downloads
from engine.messages import (
    CancelJob,
    Download,
    Error,
    JobChanged,
    Jobs,
    ListJobs,
    PauseJob,
    ResumeJob,
    SubmitJob,
)
from tests.app.scripted_client import ScriptedClient
from tests.app.scripted_hub import download, progress
from tests.app.test_models import job as training

RESULT = {"name": "sort", "path": "/x", "revision": "a" * 40, "bytes": 5, "resumed_from": 0, "sha256": {}}


@pytest.fixture
def client(qapp) -> ScriptedClient:
    return ScriptedClient()


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def downloads(client, now) -> Downloads:
    activity = Activity(client)
    held = Downloads(client, activity, clock=lambda: now[0])
    activity.setParent(held)
    return held


def begin(client: ScriptedClient, *jobs: Any) -> None:
    client.answer(client.last(ListJobs), Jobs(jobs=list(jobs)))


def states(downloads: Downloads) -> dict[str, str]:
    return {fetch.spec.out: fetch.job.state for fetch in downloads.fetches}


def test_a_download_is_a_job_of_its_own_name(downloads, client):
    job = downloads.start("user/model", "mine", "adapters", "v1", replace=True)
    asked = client.last(SubmitJob).body
    spec = Download(repo="user/model", out="mine", revision="v1", replace=True)
    assert (asked.id, asked.spec) == (job, spec)


def test_only_downloads_are_followed_and_old_ones_that_ended_are_not(downloads, client):
    begin(client, training("lora"), download("a"), download("b", state="done"), download("c", state="paused"))
    assert states(downloads) == {"a": "running", "c": "paused"}


def test_one_that_ends_in_sight_stays_until_it_is_dismissed(downloads, client):
    arrived = []
    downloads.arrived.connect(lambda room, name: arrived.append((room, name)))
    begin(client, download("sort"))
    client.tell(JobChanged(job=download("sort", state="done", result=RESULT)))
    assert states(downloads) == {"sort": "done"}
    assert arrived == [("adapters", "sort")]
    downloads.dismiss("sort-job")
    assert states(downloads) == {}
    client.tell(JobChanged(job=download("other")))
    assert states(downloads) == {"other": "running"}


def test_one_that_was_dismissed_and_goes_on_is_in_sight_again(downloads, client):
    begin(client, download("sort", state="failed"))
    downloads.dismiss("sort-job")
    client.tell(JobChanged(job=download("sort", state="failed")))
    assert states(downloads) == {}
    client.tell(JobChanged(job=download("sort")))
    assert states(downloads) == {"sort": "running"}


def test_the_speed_is_sampled_twice_a_second_and_not_for_ever(downloads, client, now):
    job = download("sort")
    begin(client, job)
    for number in range(200):
        now[0] += 0.125
        client.measure(progress(job, 3_000_000 + number, speed=number))
    speeds = downloads.fetches[0].speeds
    assert len(speeds) == 1 + 200 / 4
    for number in range(1000):
        now[0] += 0.5
        client.measure(progress(job, 4_000_000 + number, speed=number))
    assert len(downloads.fetches[0].speeds) == SAMPLES
    assert downloads.fetches[0].speeds[-1] == 999


def test_files_move_with_the_gauge(downloads, client):
    job = download("sort")
    begin(client, job)
    client.measure(progress(job, 6_000_000))
    shown = face(downloads.fetches[0])
    assert shown.share == 0.5
    assert shown.files == (("adapter_model.safetensors", 0.5, "6.0 MB of 12 MB"),)
    assert shown.figures == "6.0 MB of 12 MB   1.0 MB/s   0:01 left"


def test_what_was_for_the_desk_is_told_once_it_is_here(downloads, client):
    laid = []
    downloads.wanted_arrived.connect(laid.append)
    begin(client)
    job = downloads.start("user/sort", "sort", "adapters", for_desk=True)
    client.tell(JobChanged(job=download("sort", id=job, state="queued")))
    client.tell(JobChanged(job=download("sort", id=job, state="failed")))
    client.tell(JobChanged(job=download("sort", id=job)))
    client.tell(JobChanged(job=download("sort", id=job, state="done", result=RESULT)))
    assert laid == ["sort"]


def test_one_that_was_cancelled_goes_nowhere(downloads, client):
    laid = []
    downloads.wanted_arrived.connect(laid.append)
    begin(client)
    job = downloads.start("user/sort", "sort", "adapters", for_desk=True)
    client.tell(JobChanged(job=download("sort", id=job)))
    client.tell(JobChanged(job=download("sort", id=job, state="cancelled")))
    client.tell(JobChanged(job=download("sort", id=job, state="done", result=RESULT)))
    assert laid == []


def test_a_refusal_is_said(downloads, client):
    said = []
    downloads.noticed.connect(said.append)
    downloads.start("user/sort", "sort", "adapters")
    client.fail(client.last(SubmitJob), "disk", "The disk is full.", "Free some space.")
    assert (said[0].level, said[0].message, said[0].hint) == ("bad", "The disk is full.", "Free some space.")


# --- the strip ---


@pytest.fixture
def strip(dressed, downloads, qtbot) -> Iterator[Strip]:
    page = QWidget()
    qtbot.addWidget(page)
    column = QVBoxLayout(page)
    strip = Strip(downloads)
    column.addWidget(strip)
    page.resize(1200, 300)
    page.show()
    yield strip  # the page lives as long as the test


def seen(strip: Strip, kind: type) -> list[Any]:
    return [part for part in strip.findChildren(kind) if part.isVisibleTo(strip)]


def verbs(strip: Strip) -> list[str]:
    return [button.text() for button in seen(strip, QAbstractButton) if button.text()]


def press(strip: Strip, qtbot, words: str) -> None:
    button = next(button for button in seen(strip, QAbstractButton) if button.text() == words)
    qtbot.waitUntil(button.isVisible)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_without_downloads_there_is_no_strip(strip, client):
    begin(client)
    assert strip.isHidden()


def test_what_can_be_done_depends_on_where_it_is(strip, client, qtbot):
    begin(client, download("sort"))
    assert verbs(strip) == ["Pause", "Cancel"]
    press(strip, qtbot, "Pause")
    assert client.last(PauseJob).body.id == "sort-job"
    client.tell(JobChanged(job=download("sort", state="paused")))
    assert verbs(strip) == ["Resume", "Cancel"]
    press(strip, qtbot, "Resume")
    assert client.last(ResumeJob).body.id == "sort-job"
    press(strip, qtbot, "Cancel")
    assert client.last(CancelJob).body.id == "sort-job"
    error = Error(code="offline", message="The Hub cannot be reached.", hint="Look at the network.")
    client.tell(JobChanged(job=download("sort", state="failed", error=error)))
    assert verbs(strip) == ["Try again", "Dismiss"]


def test_what_has_come_can_be_put_to_use(strip, client, qtbot):
    begin(client, download("sort"))
    client.tell(JobChanged(job=download("sort", state="done", result=RESULT)))
    assert verbs(strip) == ["Put on the desk", "Show in library", "Dismiss"]
    with qtbot.waitSignal(strip.desk_wanted) as laid:
        press(strip, qtbot, "Put on the desk")
    assert laid.args == ["sort"]
    with qtbot.waitSignal(strip.shown_in_library) as shown:
        press(strip, qtbot, "Show in library")
    assert shown.args == ["adapters", "sort"]
    press(strip, qtbot, "Dismiss")
    assert strip.isHidden()


def test_a_base_that_has_come_can_be_used(strip, client, qtbot):
    spec = Download(repo="user/base", out="base", room="bases")
    begin(client, download("base", spec=spec))
    client.tell(JobChanged(job=download("base", spec=spec, state="done", result={"name": "base"})))
    with qtbot.waitSignal(strip.base_chosen) as chosen:
        press(strip, qtbot, "Use this base")
    assert chosen.args == ["base"]


def test_its_files_can_be_unfolded(strip, client, qtbot):
    begin(client, download("sort"))
    fold = next(b for b in strip.findChildren(QAbstractButton) if b.objectName().endswith("-files"))
    bars = seen(strip, QProgressBar)
    fold.click()
    unfolded = seen(strip, QProgressBar)
    assert len(unfolded) == len(bars) + 1
    assert unfolded[-1].accessibleName() == "Progress of adapter_model.safetensors"


def test_the_keyboard_is_never_left_on_cancel_by_chance(strip, client, qtbot):
    begin(client, download("sort"))
    button = next(b for b in strip.findChildren(QAbstractButton) if b.text() == "Pause")
    qtbot.waitUntil(button.isVisible)
    button.setFocus()
    client.tell(JobChanged(job=download("sort", state="paused")))
    assert next(b for b in strip.findChildren(QAbstractButton) if b.hasFocus()).text() == "Resume"
