"""A mix taken elsewhere, against a scripted engine: what is said before, what runs, what was measured."""

from __future__ import annotations

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from app.presenters.export import Export
from app.presenters.stock import Stock
from engine.messages import (
    Adapters,
    CancelJob,
    CopyMix,
    DataSets,
    Done,
    ExportMix,
    Job,
    JobChanged,
    JobProgress,
    ListAdapters,
    ListData,
    ListMixes,
    Mixes,
    SubmitJob,
)
from tests.app import scripted_client as scripted
from tests.app.scripted_client import adapter, data_set, mix

NAMES = ["reverse", "sort"]
SETS = [data_set("mixed"), *(data_set(f"{name}.train", 1500) for name in [*NAMES, "upper"])]
ERROR = {
    "kl": 0.51,
    "logits": 0.3,
    "exact_mix": 0.98,
    "exact_lora": 0.41,
    "rows": 400,
    "tokens": 2800,
    "sets": {"mixed": {"kl": 0.51}},
}


@pytest.fixture
def scripted_engine(qapp):
    return scripted.ScriptedClient()


@pytest.fixture
def export(scripted_engine, tmp_path):
    stock = Stock(scripted_engine)
    stock.refresh()
    scripted_engine.answer_all(ListAdapters, Adapters(adapters=[adapter(name) for name in NAMES]))
    scripted_engine.answer_all(ListData, DataSets(sets=SETS))
    slid = {}
    export = Export(scripted_engine, stock, lambda: slid)
    export.slid = slid
    export.notices = []
    export.noticed.connect(export.notices.append)
    export.begin(mix("mix-1", [*NAMES, "null"]), str(tmp_path))
    return export


def test_a_folder_loses_nothing_and_is_written_at_once(scripted_engine, export, tmp_path):
    assert "Nothing is lost" in export.loss
    assert export.why_not == ""
    export.run()
    call = scripted_engine.last(CopyMix)
    assert (call.body.name, call.body.folder) == ("mix-1", str(tmp_path / "mix-1"))
    assert export.busy
    export.run()
    assert len(scripted_engine.asked(CopyMix)) == 1, "once is enough"
    scripted_engine.answer(call, Done(path=str(tmp_path / "mix-1")))
    assert not export.busy
    revealed = []
    export.reveal.connect(revealed.append)
    words, show = export.notices[-1].action
    show()
    assert (words, revealed) == ("Show folder", [str(tmp_path / "mix-1")])


def test_slid_experts_leave_at_their_rank_and_what_that_loses_is_said(scripted_engine, export):
    export.slid |= {"sort": 4, "upper": 2}
    assert "What lies above rank 4 of sort is lost." in export.loss
    export.run()
    assert scripted_engine.last(CopyMix).body.ranks == {"sort": 4}, "upper is not in this mix"
    scripted_engine.answer(scripted_engine.last(CopyMix), Done(path="there"))
    export.set(kind="lora")
    assert export.full_rank == 12
    export.run()
    assert scripted_engine.last(SubmitJob).body.spec.ranks == {"sort": 4}


def test_what_a_lora_loses_is_said_before(export):
    export.set(kind="lora")
    assert "The router is lost" in export.loss
    assert [data.name for data in export.plan.data] == ["mixed"]
    assert export.full_rank == 16
    export.set(rank=4, distil=200)
    assert "Of 16 directions the strongest 4 stay" in export.loss
    assert "200 steps" in export.loss
    export.set(gates="domain")
    assert [data.name for data in export.plan.data] == ["reverse.train", "sort.train"]
    assert "a LoRA of its own" in export.loss


def test_a_lora_needs_data_and_a_whole_name_of_its_folder(export):
    export.set(kind="lora")
    export.take(SETS[0], False)
    assert export.why_not == "Choose the data to measure on."
    export.take(SETS[1], True)
    export.set(folder="mix-1")
    assert "in full" in export.why_not


def running(engine, export) -> Job:
    export.set(kind="lora", rank=8, distil=100)
    export.run()
    call = engine.last(SubmitJob)
    job = Job(
        id=call.body.id,
        kind="export",
        name="mix-1 as mix-1",
        state="running",
        step=0,
        steps=0,
        message="",
        spec=call.body.spec,
    )
    engine.answer(call, job)
    return job


def test_a_lora_is_a_job_whose_measured_error_is_told(scripted_engine, export, tmp_path):
    job = running(scripted_engine, export)
    assert job.spec == ExportMix(
        base=scripted.BASE,
        mix="mix-1",
        folder=str(tmp_path / "mix-1"),
        data={"mixed": "data/mixed.jsonl"},
        rank=8,
        distill_steps=100,
    )
    scripted_engine.tell(JobChanged(job=job))
    gauge = JobProgress(id=job.id, step=30, steps=120, message="Distilling.", seconds_left=None, metrics={})
    export.progressed(gauge)
    assert (export.job.step, export.job.steps, export.job.message) == (30, 120, "Distilling.")
    result = {"kind": "lora", "rank": 8, "error": ERROR, "path": job.spec.folder}
    export.job_changed(msgspec.structs.replace(job, state="done", result=result))
    assert not export.busy
    assert export.path == job.spec.folder
    assert "exact answers: 41 % as LoRA, 98 % as mix" in export.measured
    assert "0.51 nats" in export.measured
    assert export.measured in export.notices[-1].hint


def test_a_failed_export_says_why_and_can_be_tried_again(scripted_engine, export):
    export.run()
    scripted_engine.fail(
        scripted_engine.last(CopyMix), "usage", "The folder already exists.", "Choose another."
    )
    assert export.error.message == "The folder already exists."
    export.set(folder=export.plan.folder + "-2")
    export.run()
    assert export.error is None
    assert scripted_engine.last(CopyMix).body.folder.endswith("-2")


def test_a_running_export_is_cancelled_and_not_forgotten_by_another_look(scripted_engine, export):
    job = running(scripted_engine, export)
    export.begin(mix("mix-2", NAMES))
    assert export.mix.name == "mix-1"
    export.cancel()
    assert scripted_engine.last(CancelJob).body.id == job.id
    export.job_changed(msgspec.structs.replace(job, state="cancelled"))
    assert not export.busy
    export.begin(mix("mix-2", NAMES))
    assert export.mix.name == "mix-2"


# --- the form ---


@pytest.fixture
def page(shell, client, qtbot):
    client.script |= {
        ListAdapters: Adapters(adapters=[adapter(name) for name in NAMES]),
        ListData: DataSets(sets=SETS),
        ListMixes: Mixes(mixes=[mix("mix-1", NAMES)]),
        CopyMix: lambda request: Done(path=request.folder),
    }
    page = shell.go("mixer")
    qtbot.waitUntil(lambda: bool(page.mixer.stock.adapters and page.mixer.data and page.mixer.stock.mixes))
    return page


def widget(page, name: str) -> QWidget:
    return page.findChild(QWidget, f"mixer.{name}")


def test_the_way_out_is_offered_for_a_mix_alone(page):
    assert not widget(page, "router.export").isVisible()
    page.mixer.open_mix("mix-1")
    assert widget(page, "router.export").isVisible()


def test_a_folder_is_exported_with_the_keyboard(page, qtbot, tmp_path, shell):
    page.mixer.open_mix("mix-1")
    QTest.keyClick(
        page.view.desk, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    )
    form = widget(page, "export")
    qtbot.waitUntil(form.isVisible)
    folder = widget(form, "export.folder")
    folder.selectAll()
    QTest.keyClicks(folder, str(tmp_path / "out"))
    QTest.keyClick(folder, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: widget(form, "export.show").isVisible())
    assert page.mixer.export.path == str(tmp_path / "out")
    assert f"exported to {tmp_path / 'out'}" in shell.notice.text
    QTest.keyClick(form, Qt.Key.Key_Escape)
    assert not form.isVisible()


def test_the_form_shows_only_what_the_choice_needs(page, qtbot):
    page.mixer.open_mix("mix-1")
    QTest.mouseClick(widget(page, "router.export"), Qt.MouseButton.LeftButton)
    form = widget(page, "export")
    qtbot.waitUntil(form.isVisible)
    assert not widget(form, "export.rank").isVisible()
    QTest.mouseClick(widget(form, "export.kind.lora"), Qt.MouseButton.LeftButton)
    assert widget(form, "export.rank").isVisible()
    assert widget(form, "export.rank").maximum() == 16
    rows = widget(form, "export.data")
    assert [rows.item(row).text() for row in range(rows.count())] == [data.name for data in SETS]
    rows.item(1).setCheckState(Qt.CheckState.Checked)
    assert [data.name for data in page.mixer.export.plan.data] == ["mixed", "reverse.train"]
    assert "The router is lost" in widget(form, "export.loss").text()
