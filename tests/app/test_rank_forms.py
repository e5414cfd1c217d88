"""Charts, spectrum and forms of the ranks page off-screen: named, by keyboard, and on the slider's axis."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.pages.ranks.charts import RankCharts
from app.pages.ranks.making import RankMakingForm
from app.pages.ranks.spectrum import SpectrumView, named
from app.pages.ranks.training import RankTrainingForm
from app.presenters.rank_curve import RankCurves
from app.presenters.rank_making import RankMaking
from app.presenters.rank_training import RankTraining
from app.presenters.ranks import Ranks
from app.presenters.spectrum_cut import as_read
from engine.messages import (
    BakeRank,
    Job,
    JobChanged,
    JobProgress,
    Jobs,
    ListJobs,
    MeasureRanks,
    Scoring,
    SubmitJob,
)
from tests.app.scripted_client import ScriptedClient
from tests.app.scripted_ranks import NESTED, SORT, curve, sliding, spectrum
from widgets.rank_slider import RankSlider


@pytest.fixture
def client(dressed: QApplication) -> ScriptedClient:
    return ScriptedClient()


class Stand(QWidget):
    """A slider and the charts under it, as on the page."""

    def __init__(self, ranks: Ranks, curves: RankCurves) -> None:
        super().__init__()
        self.ranks = ranks
        self.slider = RankSlider()
        self.slider.set_ranks(ranks.state.low, ranks.state.highest)
        self.charts = RankCharts(curves, self.slider)
        column = QVBoxLayout(self)
        column.setContentsMargins(30, 0, 10, 0)
        column.addWidget(self.slider)
        column.addWidget(self.charts)


@pytest.fixture
def stand(client: ScriptedClient, qtbot: QtBot) -> Stand:
    ranks = sliding(client)
    made = Stand(ranks, RankCurves(client, ranks))
    qtbot.addWidget(made)
    made.resize(900, 460)
    with qtbot.waitActive(made):
        made.show()
    qtbot.wait(1)
    return made


def child(parent: QWidget, name: str) -> QWidget:
    found = parent.findChild(QWidget, name)
    assert found is not None, name
    return found


def words(parent: QWidget, name: str) -> str:
    label = child(parent, name)
    assert isinstance(label, QLabel)
    return label.text()


def measure(stand: Stand, client: ScriptedClient) -> None:
    stand.charts.bar.measure.click()
    client.answer(call := client.last(MeasureRanks), curve(call.body))


def test_charts_stand_on_the_sliders_axis(stand: Stand, qtbot: QtBot) -> None:
    for size in (900, 1300):
        stand.resize(size, 460)
        qtbot.wait(1)
        for rank in (1, 5, 8):
            there = stand.slider.mapTo(stand, stand.slider.rect().topLeft()).x() + stand.slider.x_of(rank)
            chart = stand.charts.energy
            x = there - chart.mapTo(stand, chart.rect().topLeft()).x()
            assert chart.rank_at(x) == rank
            assert abs(chart.rank_at(x + 3) - rank) == 0


def test_a_click_in_a_chart_slides_there_and_all_hairlines_follow(stand: Stand, qtbot: QtBot) -> None:
    ranks = stand.ranks
    x = stand.slider.x_of(6)
    qtbot.mouseClick(
        stand.charts.bytes,
        Qt.MouseButton.LeftButton,
        pos=QPoint(int(x), 30),
    )
    assert ranks.state.rank == 6
    assert stand.charts.energy.words.startswith("By energy 98 %")
    assert stand.charts.bytes.words == "60 kB"
    qtbot.keyClick(stand.charts.quality, Qt.Key.Key_Left)
    assert ranks.state.rank == 5
    ranks.undo()
    assert ranks.state.rank == 6  # a click and a step are two


def test_pointing_into_one_chart_reads_all_of_them(stand: Stand) -> None:
    stand.charts.energy.pointed.emit(2)
    assert stand.charts.bytes.words == "20 kB"
    stand.charts.energy.pointed.emit(-1)
    assert stand.charts.bytes.words == "40 kB"


def test_energy_is_there_before_anything_was_measured(stand: Stand) -> None:
    ranks = stand.ranks
    ranks.slide(2)
    assert stand.charts.energy.words == "By energy 70 %; Shared out 75 %; As the file has it 40 %"
    assert "Press Measure" in stand.charts.quality.words
    assert stand.charts.speed.words == "measured together with quality"


def test_a_dylora_has_no_energy_to_show(client: ScriptedClient, qtbot: QtBot) -> None:
    ranks = sliding(client, NESTED)
    made = Stand(ranks, RankCurves(client, ranks))
    qtbot.addWidget(made)
    assert "trained as they stand" in made.charts.energy.words


def test_measuring_shows_its_progress_and_what_it_found(stand: Stand, client: ScriptedClient) -> None:
    bar = stand.charts.bar
    bar.measure.click()
    client.progress(client.last(MeasureRanks), Scoring(done=400, total=1600, value=0.5))
    assert bar.progress.value() == 400 and bar.progress.maximum() == 1600
    assert words(bar, "ranks.measuring.doing") == "sort, by energy: 400 of 1,600 answers"
    call = client.last(MeasureRanks)
    client.answer(call, curve(call.body))
    assert bar.measure.isVisible()
    assert words(bar, "ranks.measuring.sentence").startswith("200 rows of sort.heldout.")
    assert child(bar, "ranks.measuring.aurac").accessibleName() == "AURAC: By energy 0.490"
    stand.charts.quality.set_rank(3)
    assert stand.charts.quality.words == "0.45 (0.40 to 0.50)"
    assert stand.charts.speed.words == "380"


@pytest.mark.parametrize("wide", [720, 1000])
def test_the_measuring_bar_shows_every_word_of_its_buttons(stand: Stand, wide: int, qtbot: QtBot) -> None:
    stand.resize(wide, 700)
    qtbot.waitUntil(lambda: stand.charts.bar.width() <= wide)
    buttons = stand.charts.bar.findChildren(QPushButton)
    seen = [button for button in buttons if button.isVisible()]
    assert [button.text() for button in seen if button.width() < button.sizeHint().width()] == []
    assert len(seen) == 3


def test_measuring_is_given_up_by_its_button(stand: Stand, client: ScriptedClient) -> None:
    stand.charts.bar.measure.click()
    call = client.last(MeasureRanks)
    stand.charts.bar.cancel.click()
    assert client.cancelled == [call.id] and not stand.charts.bar.cancel.isEnabled()
    client.fail(call, "cancelled")
    assert stand.charts.bar.measure.isVisible() and stand.charts.bar.measure.isEnabled()


def test_the_spectrum_is_cut_differently_in_each_row_when_shared_out(
    client: ScriptedClient, qtbot: QtBot
) -> None:
    ranks = sliding(client)
    view = SpectrumView(ranks)
    qtbot.addWidget(view)
    ranks.set_order("spread")
    ranks.slide(3)
    qtbot.keyClick(view.map, Qt.Key.Key_Right)
    qtbot.keyClick(view.map, Qt.Key.Key_Right)
    assert words(view, "ranks.spectrum.read").endswith("cut off")  # row 0 keeps 2, row 1 keeps 4
    qtbot.keyClick(view.map, Qt.Key.Key_Down)
    assert words(view, "ranks.spectrum.read").endswith("kept")
    qtbot.keyClick(view.map, Qt.Key.Key_Return)
    assert ranks.state.rank == 3
    ranks.set_order("energy")
    ranks.slide(1)
    assert words(view, "ranks.spectrum.read").endswith("cut off")


def test_a_dylora_says_what_its_line_means(client: ScriptedClient, qtbot: QtBot) -> None:
    view = SpectrumView(sliding(client, NESTED))
    qtbot.addWidget(view)
    assert "as trained" in words(view, "ranks.spectrum.notes")


@pytest.mark.parametrize(
    ("module", "row"),
    [
        ("model.layers.3.self_attn.q_proj", ("3", "q_proj")),
        ("transformer.h.11.attn.c_attn", ("11", "c_attn")),
        ("classifier", ("", "classifier")),
    ],
)
def test_modules_are_called_by_layer_and_projection(module: str, row: tuple[str, str]) -> None:
    assert named(module) == row


def test_projections_stand_as_a_model_computes_them() -> None:
    """A file has its modules by the alphabet: 10 before 2, down before q."""
    inside = ("mlp.down_proj", "mlp.gate_proj", "mlp.odd", "self_attn.k_proj", "self_attn.q_proj")
    modules = [f"model.layers.{layer}.{name}" for layer in (10, 2) for name in inside] + ["head"]
    values = [[float(place)] for place in range(len(modules))]
    shown = as_read(replace(spectrum(), modules=modules, values=values))
    order = ["q_proj", "k_proj", "gate_proj", "down_proj", "odd"]
    expected = [("", "head"), *((layer, name) for layer in ("2", "10") for name in order)]
    assert [named(module) for module in shown.modules] == expected
    assert [modules[int(row[0])] for row in shown.values] == shown.modules


@pytest.fixture
def form(client: ScriptedClient, qtbot: QtBot) -> RankTrainingForm:
    made = RankTrainingForm(RankTraining(client, sliding(client)))
    client.answer_all(ListJobs, Jobs(jobs=[]))
    qtbot.addWidget(made)
    made.resize(300, 900)
    with qtbot.waitActive(made):
        made.show()
    return made


def begin(form: RankTrainingForm, client: ScriptedClient) -> Job:
    form.train.click()
    call = client.last(SubmitJob)
    spec = call.body.spec
    job = Job(
        id=call.body.id, kind="t", name=spec.out, state="running", step=0, steps=9, message="", spec=spec
    )
    client.answer(call, job)
    return job


def test_the_form_makes_the_job_and_gives_its_place_to_it(
    form: RankTrainingForm, client: ScriptedClient
) -> None:
    form.highest.setValue(4)
    child(form, "ranks.training.draw.geometric").click()
    child(form, "ranks.training.mode.frozen").click()
    form.train.setFocus()
    job = begin(form, client)
    assert (job.spec.rank, job.spec.draw, job.spec.mode) == (4, "geometric", "frozen")
    assert not form.train.isVisible() and form.learning.steering.pause.isVisible()
    assert form.focusWidget() is form.learning.steering.pause


def test_what_is_learned_is_drawn_as_it_comes(form: RankTrainingForm, client: ScriptedClient) -> None:
    form.highest.setValue(3)
    job = begin(form, client)
    progress = JobProgress(
        id=job.id, step=1, steps=9, message="", seconds_left=8.0, metrics={"loss": 2.0, "loss at 2": 2.0}
    )
    client.measure(progress)
    assert list(form.learning.loss.series) == ["2"]
    bars = child(form, "ranks.learning.bars")
    assert bars.accessibleDescription() == "rank 1: none yet, rank 2: 2.00, rank 3: none yet"
    assert form.learning.steering.progress.accessibleDescription() == "11 %, 0:08 left"
    client.tell(JobChanged(job=replace(job, state="paused", step=1)))
    assert form.learning.steering.pause.text() == "Resume"


def test_a_form_made_later_shows_the_same_training(form: RankTrainingForm, client: ScriptedClient) -> None:
    job = begin(form, client)
    client.measure(
        JobProgress(id=job.id, step=1, steps=9, message="", seconds_left=None, metrics={"loss at 8": 2.0})
    )
    again = RankTrainingForm(form._training)
    assert list(again.learning.loss.series) == ["8"]
    again.deleteLater()


def test_baking_from_the_form_says_sizes_and_place(client: ScriptedClient, qtbot: QtBot) -> None:
    ranks = sliding(client)
    made = RankMakingForm(RankMaking(client, ranks))
    qtbot.addWidget(made)
    made.show()
    ranks.slide(4)
    assert made.bake.text() == "Bake rank 4" and made.baked.placeholderText() == "sort-r4"
    assert words(made, "ranks.making.heard").startswith("An ordinary adapter of what is heard now")
    made.bake.click()
    assert not made.bake.isEnabled()
    made.outcome.cancel.click()
    assert client.cancelled == [client.last(BakeRank).id] and not made.outcome.cancel.isEnabled()
    client.fail(client.last(BakeRank), "cancelled")
    assert not made.outcome.isVisible()
    made.bake.click()
    assert made.outcome.cancel.isEnabled()
    card = replace(SORT, name="sort-r4", bytes=40_000, path="home/adapters/sort-r4")
    client.answer(client.last(BakeRank), card)
    assert words(made, "ranks.outcome.path") == "home/adapters/sort-r4"
    assert made.outcome.undo.isVisible() and made.bake.isEnabled()


def test_everything_to_press_has_a_name_for_people_and_for_tests(
    stand: Stand, form: RankTrainingForm, client: ScriptedClient, qtbot: QtBot
) -> None:
    making = RankMakingForm(RankMaking(client, sliding(ScriptedClient())))
    view = SpectrumView(stand.ranks)
    for widget in (making, view):
        qtbot.addWidget(widget)
    seen = 0
    for root in (stand.charts, form, making, view):
        for widget in root.findChildren(QWidget):
            name = widget.objectName()
            is_qts_own = name.startswith("qt_") or isinstance(widget, QAbstractItemView)
            if widget.focusPolicy() == Qt.FocusPolicy.NoFocus or is_qts_own:
                continue
            assert name.startswith(("ranks.", "curve-log-")), (type(widget), name)
            assert widget.accessibleName() or getattr(widget, "text", str)(), name
            seen += 1
    assert seen > 30
