"""The score page in its window, off-screen: table and picture agree, by mouse, keyboard and screen reader."""

from __future__ import annotations

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractItemView, QWidget

from engine.messages import (
    Adapters,
    ArmScore,
    DataSets,
    Job,
    Jobs,
    ListAdapters,
    ListData,
    ListJobs,
    ListMixes,
    Mixes,
    ScoreMix,
    SubmitJob,
)
from tests.app import scripted_client as scripted
from tests.app.scripted_client import adapter, data_set, mix

NAMES = ["reverse", "sort"]
SETS = {f"{name}.heldout": f"data/{name}.heldout.jsonl" for name in NAMES}


def arm(kind, value, second, label):
    sets = dict(zip(SETS, ((value, value, value), (second, second, second)), strict=True))
    mean = (value + second) / 2
    return ArmScore(
        name=kind,
        label=label,
        arm=kind,
        value=mean,
        interval=(mean - 0.1, mean + 0.1),
        sets=sets,
        seconds=2.0,
    )


ARMS = [
    arm("base", 0.0, 0.0, "base"),
    arm("oracle", 0.9, 0.9, "oracle"),
    arm("soft", 0.95, 0.85, "mix, soft"),
    ArmScore(name="xlora", label="X-LoRA", arm="xlora", missing="There is nothing to train on."),
]
DONE = Job(
    id="1", kind="scores", name="Scores of mix-1", state="done", step=1, steps=1, message="", created=1.0,
    spec=ScoreMix(base=scripted.BASE, mix="mix-1", data=SETS),
    result={"metric": "exact", "n": 80, "arms": [msgspec.to_builtins(each) for each in ARMS]},
)  # fmt: skip


@pytest.fixture
def view(shell, client, qtbot):
    client.script |= {
        ListAdapters: Adapters(adapters=[adapter(name) for name in NAMES]),
        ListData: DataSets(sets=[data_set("mixed", 6000), *(data_set(name, 40) for name in SETS)]),
        ListMixes: Mixes(mixes=[mix("mix-1", NAMES)]),
        ListJobs: Jobs(jobs=[DONE]),
    }
    page = shell.go("mixer")
    qtbot.waitUntil(
        lambda: bool(page.mixer.stock.adapters and page.mixer.stock.sets and page.mixer.stock.mixes)
    )
    view = page.show_view("scores")
    qtbot.waitUntil(lambda: bool(view.scores._jobs))
    return view


@pytest.fixture
def scored(view):
    view._mixer.open_mix("mix-1")
    return view


def widget(view, name: str) -> QWidget:
    return view.findChild(QWidget, name)


def column(view, place):
    model = view.result.table.model()
    return [model.index(row, place).data() for row in range(model.rowCount())]


def test_without_a_mix_it_says_what_to_do_and_a_mix_is_opened_here(view, qtbot):
    assert widget(view, "mixer.scores.empty").isVisible()
    assert widget(view, "mixer.scores.empty-button").isVisible()
    assert not widget(view, "mixer.scores.run").isEnabled()
    assert widget(view, "mixer.scores.cost").text() == "Open a mix first."
    box = widget(view, "mixer.scores.mix")
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Down)
    assert view._mixer.desk.mix == "mix-1"
    assert not widget(view, "mixer.scores.empty").isVisible()


def test_everything_the_keyboard_reaches_has_a_name(scored):
    nameless = [
        f"{type(part).__name__} {part.objectName()}"
        for part in scored.findChildren(QWidget)
        if part.focusPolicy() & Qt.FocusPolicy.TabFocus
        and part.isVisible()
        and part.objectName() != "qt_spinbox_lineedit"
        and not (part.objectName() and QAccessible.queryAccessibleInterface(part).text(QAccessible.Text.Name))
    ]
    assert nameless == []


def test_table_and_picture_have_one_order_and_one_current_row(scored):
    chart, table = scored.result.chart, scored.result.table
    assert column(scored, 0) == ["oracle", "mix, soft", "base", "X-LoRA"]
    assert [row.label for row in chart._rows] == column(scored, 0)
    assert [f"{row.value:.2f}" for row in chart._rows[:3]] == column(scored, 1)[:3]
    assert column(scored, 1)[3] == "There is nothing to train on."
    table.sortByColumn(5, Qt.SortOrder.AscendingOrder)
    assert column(scored, 0) == ["base", "mix, soft", "oracle", "X-LoRA"], "no number, last either way"
    assert [row.label for row in chart._rows] == column(scored, 0)
    assert table.columnSpan(3, 1) > 1
    chart.setFocus()
    QTest.keyClick(chart, Qt.Key.Key_End)
    assert table.currentIndex().row() == 3
    assert chart.accessibleDescription() == "X-LoRA: There is nothing to train on."
    QTest.keyClick(table, Qt.Key.Key_Home, Qt.KeyboardModifier.ControlModifier)
    assert chart.current == "base"
    assert table.selectionBehavior() == QAbstractItemView.SelectionBehavior.SelectRows
    model = table.model()
    assert model.index(1, 1).data(Qt.ItemDataRole.AccessibleTextRole) == "mix, soft, Mean 0.90"


def test_the_sentence_and_copies_say_the_same(scored):
    sentence = widget(scored, "mixer.scores.sentence").text()
    assert sentence.startswith("Mix, soft (0.90) cannot be told apart from the oracle (0.90)")
    QTest.mouseClick(widget(scored, "mixer.scores.markdown"), Qt.MouseButton.LeftButton)
    copied = QGuiApplication.clipboard().text()
    assert sentence in copied
    assert "| mix, soft | 0.90 |" in copied
    QTest.mouseClick(widget(scored, "mixer.scores.csv"), Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text().startswith("Arm,Mean,95 % low,95 % high,reverse,sort")


def test_a_test_set_is_brought_out_one_at_a_time(scored):
    first, second = (widget(scored, f"mixer.scores.part.{name}") for name in NAMES)
    QTest.mouseClick(first, Qt.MouseButton.LeftButton)
    assert scored.result.chart._part == "reverse"
    QTest.mouseClick(second, Qt.MouseButton.LeftButton)
    assert scored.result.chart._part == "sort"
    assert not first.isChecked()
    QTest.mouseClick(second, Qt.MouseButton.LeftButton)
    assert scored.result.chart._part == ""


def test_sets_and_arms_are_chosen_and_the_run_takes_their_place(scored, client, qtbot):
    client.script[SubmitJob] = lambda request: Job(
        id=request.id, kind="scores", name="Scores of mix-1", state="running", step=3, steps=40,
        message="sort alone on reverse", spec=request.spec, created=9.0, seconds_left=61.0,
    )  # fmt: skip
    remove = widget(scored, "mixer.scores.remove.sort.heldout")
    remove.setFocus()
    QTest.keyClick(remove, Qt.Key.Key_Space)
    assert [data.name for data in scored.scores.sets] == ["reverse.heldout"]
    assert widget(scored, "mixer.scores.add").hasFocus(), "the keyboard is not lost with the row"
    assert not widget(scored, "mixer.scores.train").isVisible()
    QTest.keyClick(widget(scored, "mixer.scores.arm.lora"), Qt.Key.Key_Space)
    assert widget(scored, "mixer.scores.train").isVisible()
    widget(scored, "mixer.scores.examples").setValue(300)
    QTest.mouseClick(widget(scored, "mixer.scores.metric.loss"), Qt.MouseButton.LeftButton)
    score = widget(scored, "mixer.scores.run")
    score.setFocus()
    QTest.keyClick(score, Qt.Key.Key_Space)
    qtbot.waitUntil(widget(scored, "mixer.scores.pause").isVisible)
    spec = client.requests(SubmitJob)[-1].spec
    assert spec.data == {"reverse.heldout": SETS["reverse.heldout"]}
    assert (spec.metric, spec.max_examples) == ("loss", 300)
    assert widget(scored, "mixer.scores.state").text() == "sort alone on reverse"
    assert widget(scored, "mixer.scores.progress").accessibleDescription().endswith("1:01 left")
    assert widget(scored, "mixer.scores.pause").hasFocus()
    assert widget(scored, "mixer.scores.chart").isVisible(), "the earlier result stays readable"
