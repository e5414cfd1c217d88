"""Live curves: the ring buffer against the obvious version, and when the picture is painted."""

from __future__ import annotations

import gc
import sys
import threading

import numpy as np

from widgets.curve_plot import CurvePlot, preload
from widgets.series import SMOOTHING, Series
from widgets.theme import theme


def test_series_is_the_newest_points_and_their_running_mean():
    series = Series(capacity=7)
    values = [float(np.sin(step)) for step in range(40)]
    smoothed, everything = values[0], []
    for step, value in enumerate(values):
        smoothed = SMOOTHING * smoothed + (1 - SMOOTHING) * value
        everything.append((step, value, smoothed))
        series.append(step, value)
        wanted = np.array(everything[-7:]).T
        np.testing.assert_allclose(series.points, wanted)
        assert len(series) == min(step + 1, 7)
    assert series.points.base is not None, "a view, not a copy"


def test_the_unit_gives_way_whole_where_it_is_narrow(qtbot):
    plot = CurvePlot("Gate entropy", "nats by step")
    qtbot.addWidget(plot)
    plot.show()
    plot.resize(320, 150)
    assert "nats by step" in plot._head.text()
    plot.resize(130, 150)
    assert "nats by step" not in plot._head.text()
    assert "nats by step" in plot._head.toolTip()


def test_nothing_is_painted_until_something_is_new(qtbot):
    plot = CurvePlot("Loss", "nats")
    qtbot.addWidget(plot)
    plot.resize(300, 200)
    plot.show()
    assert plot._plot is None, "pyqtgraph waits for the first point"
    for step in range(50):
        plot.append("loss", step, 2.0 / (step + 1))
    qtbot.waitUntil(lambda: not plot._is_dirty)
    raw, smooth = plot._curves["loss"]
    assert len(raw.xData) == 50
    assert smooth.yData[-1] == plot.series["loss"].points[2, -1]
    assert not plot._timer.isActive()
    assert raw.opts["pen"].width() == smooth.opts["pen"].width() == 1
    assert raw.opts["pen"].color().alphaF() < smooth.opts["pen"].color().alphaF()
    assert raw.opts["autoDownsample"]
    assert raw.opts["downsampleMethod"] == "peak"


def test_many_appends_are_one_repaint(qtbot, monkeypatch):
    plot = CurvePlot("Load", "share", floor=0.0)
    qtbot.addWidget(plot)
    plot.show()
    plot.append("a", 0, 0.5)
    qtbot.waitUntil(lambda: not plot._is_dirty)
    painted = []
    curve = plot._curves["a"][0]
    monkeypatch.setattr(curve, "setData", lambda x, y: painted.append(len(x)))
    for step in range(1, 500):
        plot.append("a", step, 0.5)
    qtbot.waitUntil(lambda: not plot._is_dirty)
    assert painted == [500]


def test_hidden_plots_wait_until_they_are_seen(qtbot):
    plot = CurvePlot("Loss", "nats")
    qtbot.addWidget(plot)
    plot.append("loss", 0, 1.0)
    assert not plot._timer.isActive()
    plot.show()
    qtbot.waitUntil(lambda: plot._plot is not None)


def test_log_scale_experts_colours_legend_and_clear(qtbot, scheme):
    plot = CurvePlot("Load", "share")
    qtbot.addWidget(plot)
    plot.set_hues({"sort": 1, "null": -1})
    plot.show()
    for name in ("sort", "null"):
        plot.append(name, 0, 0.25)
        plot.append(name, 1, 0.75)
    qtbot.waitUntil(lambda: not plot._is_dirty)
    assert plot._curves["sort"][1].opts["pen"].color().name() == theme.expert(1).name()
    assert plot._curves["null"][1].opts["pen"].color().name() == theme.colour("null").name()
    assert "sort" in plot._legend.text()
    assert "sort 0.45" in plot.accessibleDescription()
    plot.log.setChecked(True)
    qtbot.waitUntil(lambda: not plot._is_dirty)
    assert plot._curves["sort"][1].opts["logMode"] == [False, True]
    plot.clear()
    qtbot.waitUntil(lambda: not plot._is_dirty)
    assert plot.series == {}
    assert plot.accessibleDescription() == ""


def test_preloading_leaves_pyqtgraph_there_and_the_collector_on():
    preload()
    for thread in threading.enumerate():
        if thread.name == "preload":
            thread.join(30)
    assert "pyqtgraph" in sys.modules
    assert gc.isenabled()
