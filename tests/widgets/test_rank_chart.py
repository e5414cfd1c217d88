"""A chart by rank, bars by rank, and the spectrum: what they say, where things stand, by mouse and by key."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from widgets.heat import heat
from widgets.rank_bars import RankBars
from widgets.rank_chart import RankChart
from widgets.rank_lines import paint_series
from widgets.rank_series import RankSeries, RankValue, span
from widgets.spectrum import SpectrumMap
from widgets.theme import theme

LINE = RankSeries(
    "By energy",
    tuple(RankValue(rank, rank / 10, rank / 10 - 0.05, rank / 10 + 0.05) for rank in (1, 2, 4, 8)),
    1,
)
FAINT = RankSeries("As it is", tuple(RankValue(rank, rank / 20) for rank in range(1, 9)), 0, strong=False)
VALUES = [[4.0, 2.0, 1.0], [3.0, 2.5]]
ROWS = [("0", "q_proj"), ("1", "v_proj")]


@pytest.fixture
def chart(scheme: str, qtbot: QtBot) -> RankChart:
    made = RankChart("ranks.charts.quality", "Exact answers", "{:.2f}".format, 104)
    qtbot.addWidget(made)
    made.resize(500, 104)
    made.set_axis(lambda rank: 60 + 50 * (rank - 1), 1, 8)
    made.set_rank(4)
    made.show()
    return made


def at(x: float, y: float) -> QPoint:
    return QPointF(x, y).toPoint()


def test_it_reads_what_stands_at_the_hairline(chart: RankChart) -> None:
    chart.set_series([FAINT, LINE], (0.0, 1.0))
    assert chart.words == "By energy 0.40 (0.35 to 0.45); As it is 0.20"
    assert chart.accessibleDescription() == f"rank 4: {chart.words}"
    chart.set_rank(3)
    assert chart.words == "By energy not measured at this rank; As it is 0.15"


def test_the_mouse_reads_elsewhere_without_moving_the_hairline(chart: RankChart, qtbot: QtBot) -> None:
    chart.set_series([LINE], (0.0, 1.0))
    pointed: list[int] = []
    chart.pointed.connect(pointed.append)
    for x in (60, 60 + 50 * 7 + 8):
        qtbot.mouseMove(chart, QPoint(x, 60))
    assert pointed[-1] == 8
    chart.set_pointed(8)
    assert chart.words == "0.80 (0.75 to 0.85)"
    chart.set_pointed(-1)
    assert chart.words == "0.40 (0.35 to 0.45)"


def test_a_click_and_the_arrows_pick_ranks(chart: RankChart, qtbot: QtBot) -> None:
    picked: list[int] = []
    chart.picked.connect(picked.append)
    qtbot.mouseClick(chart, Qt.MouseButton.LeftButton, pos=at(60 + 50 * 1 - 20, 60))
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Home, Qt.Key.Key_End):
        qtbot.keyClick(chart, key)
    assert picked == [2, 5, 3, 1, 8]
    chart.set_rank(8)
    qtbot.keyClick(chart, Qt.Key.Key_Right)
    assert len(picked) == 5


def test_values_stand_where_the_axis_says_and_beyond_it_at_its_end(chart: RankChart) -> None:
    chart.set_series([LINE], (0.0, 1.0))
    assert chart.y_of(0.0) > chart.y_of(0.5) > chart.y_of(1.0) == chart.y_of(7.0)
    assert (chart.y_of(0.0) + chart.y_of(1.0)) / 2 == pytest.approx(chart.y_of(0.5))


def test_the_lines_and_the_hairline_are_drawn(chart: RankChart) -> None:
    chart.set_series([LINE], (0.0, 1.0))
    picture = chart.grab().toImage()
    line = QColor(theme.tokens.experts[1])
    assert picture.pixelColor(at(60 + 50 * 7, chart.y_of(0.8))) == line
    chart.set_series([], empty="Measure first.")
    plain = chart.grab().toImage()
    hairline = plain.pixelColor(60 + 50 * 3, 25)
    assert hairline != plain.pixelColor(60 + 50 * 3 + 5, 25)
    assert chart.accessibleDescription() == "Measure first."


def test_under_a_moving_hand_the_lines_are_not_drawn_again(
    chart: RankChart, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[RankSeries] = []

    def paint(painter, series, x_of, y_of) -> None:
        drawn.append(series)
        paint_series(painter, series, x_of, y_of)

    monkeypatch.setattr("widgets.rank_chart.paint_series", paint)
    chart.set_series([LINE], (0.0, 1.0))
    first = chart.grab().toImage()
    for rank in range(1, 9):
        chart.set_rank(rank)
        chart.grab()
    assert drawn == [LINE]
    chart.set_rank(4)
    assert chart.grab().toImage() == first

    def moved_axis() -> None:
        chart.set_axis(lambda rank: 80 + 40 * (rank - 1), 1, 8)

    def other_scheme() -> None:
        theme.choose("dark" if theme.tokens.name != "dark" else "light")

    for change in (
        moved_axis,
        other_scheme,
        lambda: chart.resize(500, 120),
        lambda: chart.set_series([LINE, FAINT]),
    ):
        before, count = chart.grab().toImage(), len(drawn)
        change()
        assert chart.grab().toImage() != before and len(drawn) > count


def test_the_span_covers_intervals_and_never_is_nothing() -> None:
    assert span([LINE]) == pytest.approx((0.05, 0.85))
    assert span([]) == (0.0, 1.0)
    assert span([RankSeries("", (RankValue(1, 3.0),))]) == (2.5, 3.5)


def test_bars_fill_up_as_values_come(scheme: str, qtbot: QtBot, colours) -> None:
    bars = RankBars("ranks.learning.bars", "Newest loss at each rank")
    qtbot.addWidget(bars)
    bars.resize(300, 124)
    bars.set_values({1: None, 2: None}, {1: 1.0, 2: 1.0})
    assert bars.accessibleDescription() == "rank 1: none yet, rank 2: none yet"
    assert theme.tokens.accent not in colours(bars)
    bars.set_values({1: 2.0, 2: None}, {1: 1.0, 2: 1.0})
    half = colours(bars)[theme.tokens.accent]
    bars.set_values({1: 2.0, 2: 1.0}, {1: 1.0, 2: 1.0})
    assert bars.accessibleDescription() == "rank 1: 2.00, rank 2: 1.00"
    assert colours(bars)[theme.tokens.accent] == pytest.approx(1.5 * half, rel=0.1)


def test_heat_is_the_share_of_the_largest_or_its_decades() -> None:
    even = heat([[10.0, 5.0], [1.0]], is_log=False)
    assert np.allclose(even, [[1.0, 0.5], [0.1, 0.0]])
    decades = heat([[1.0, 0.1], [0.001, 1e-9]], is_log=True)
    assert np.allclose(decades, [[1.0, 2 / 3], [0.0, 0.0]])
    assert heat([], is_log=True).shape == (0, 0) and not heat([[0.0]], is_log=True).any()


@pytest.fixture
def spectrum(scheme: str, qtbot: QtBot) -> SpectrumMap:
    made = SpectrumMap("Singular values")
    qtbot.addWidget(made)
    made.resize(300, 120)
    made.set_values(ROWS, VALUES)
    made.show()
    return made


def test_a_cell_is_read_by_mouse_and_by_keyboard(spectrum: SpectrumMap, qtbot: QtBot) -> None:
    spectrum.set_kept([2, 1])
    assert spectrum.words == "0 q_proj, direction 1: 4, 100.0 % of the largest; kept"
    qtbot.keyClick(spectrum, Qt.Key.Key_Down)
    qtbot.keyClick(spectrum, Qt.Key.Key_Right)
    assert spectrum.words == "1 v_proj, direction 2: 2.5, 62.5 % of the largest; cut off"
    qtbot.keyClick(spectrum, Qt.Key.Key_End)
    assert spectrum.words == "1 v_proj has 2 ranks"
    for column in (2, 1):
        qtbot.mouseMove(spectrum, spectrum.cell_rect(0, column).center().toPoint())
    assert spectrum.words.startswith("0 q_proj, direction 2")


def test_a_cell_is_picked(spectrum: SpectrumMap, qtbot: QtBot) -> None:
    picked: list[int] = []
    spectrum.picked.connect(picked.append)
    qtbot.mouseClick(spectrum, Qt.MouseButton.LeftButton, pos=spectrum.cell_rect(1, 2).center().toPoint())
    qtbot.keyClick(spectrum, Qt.Key.Key_Left)
    qtbot.keyClick(spectrum, Qt.Key.Key_Return)
    assert picked == [2, 1]


def test_what_is_cut_off_is_dimmed_row_by_row(spectrum: SpectrumMap) -> None:
    def colour(row: int, column: int) -> QColor:
        where = spectrum.cell_rect(row, column).center().toPoint()
        return spectrum.grab().toImage().pixelColor(where)

    spectrum.set_kept([3, 2])
    before = {(row, column): colour(row, column) for row in range(2) for column in range(2)}
    spectrum.set_kept([2, 1])
    assert colour(1, 1) != before[1, 1]
    assert colour(0, 1) == before[0, 1] and colour(0, 0) == before[0, 0]
    assert colour(0, 0) == QColor(theme.tokens.accent)


def test_no_values_are_no_trouble(spectrum: SpectrumMap, qtbot: QtBot) -> None:
    spectrum.set_values([], [])
    spectrum.grab()
    qtbot.keyClick(spectrum, Qt.Key.Key_Down)
    assert spectrum.words == "" and spectrum.cell_at(QPointF(100, 50)) is None
