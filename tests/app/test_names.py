"""Whatever a hand or a reader can reach on the mixer and ranks pages has a name of its own for both."""

from __future__ import annotations

import msgspec
import pytest
from PySide6.QtCore import Qt, SignalInstance
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QScrollBar,
    QWidget,
)

from engine.messages import (
    Adapters,
    ArmScore,
    Compare,
    DataSets,
    Job,
    Jobs,
    ListAdapters,
    ListData,
    ListJobs,
    ListMixes,
    Mixes,
    Route,
    Routing,
    ScoreMix,
)
from tests.app import scripted_client as scripted
from tests.app.scripted_client import adapter, data_set, mix
from tests.app.scripted_mixer import NAMES, ROUTING, generated, in_rows
from widgets.share_rows import ShareRows

TOUCHED = (QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit)
SET = "sort.heldout"
SCORED = Job(
    id="1", kind="scores", name="Scores of mix-1", state="done", step=1, steps=1, message="", created=1.0,
    spec=ScoreMix(base=scripted.BASE, mix="mix-1", data={SET: f"data/{SET}.jsonl"}),
    result={
        "metric": "exact",
        "n": 40,
        "arms": [msgspec.to_builtins(ArmScore(name="soft", label="mix", arm="soft", value=0.9))],
    },
)  # fmt: skip


def routed(request: Route) -> Routing:
    return ROUTING


@pytest.fixture
def page(shell, client, qtbot):
    client.script |= {
        ListAdapters: Adapters(adapters=[adapter(name) for name in [*NAMES, "upper"]]),
        ListData: DataSets(sets=[data_set("mixed"), data_set(SET, 40), data_set("sort.train")]),
        ListMixes: Mixes(mixes=[mix("mix-1", NAMES, {"reverse": 0.9, "null": 0.1})]),
        ListJobs: Jobs(jobs=[SCORED]),
        Compare: in_rows(lambda request: [generated("ab", ROUTING if request.mixing else None)]),
        Route: routed,
    }
    page = shell.go("mixer")
    qtbot.waitUntil(lambda: bool(page.mixer.stock.adapters and page.mixer.data and page.mixer.stock.mixes))
    page.mixer.open_mix("mix-1")
    return page


def desk(page, qtbot) -> None:
    """Everything at once: top-k, a why pane, the settings, joint training, the form before an export."""
    page.mixer.questions.ask("x")
    qtbot.waitUntil(lambda: page.mixer.routing is not None)
    page.mixer.set_router(mode="topk")
    page.mixer.set_lesson("joint")
    page.view.router.lesson.fold.setChecked(True)
    page.view.router.form.present()
    page.view.score._explain(0)


def prompts(page, qtbot) -> None:
    page.view.prompts.write(0, "sort: ab")
    page.view.prompts.write(1, "reverse: ab")
    qtbot.waitUntil(lambda: page.view.prompts.apart is not None)


def scores(page, qtbot) -> None:
    qtbot.waitUntil(lambda: page.view.scores.standings is not None)


def reached(view: QWidget) -> list[QWidget]:
    """What can be touched or tabbed to, without the parts that Qt builds into its own widgets."""
    found = []
    for part in view.findChildren(QWidget):
        is_qts = part.objectName().startswith("qt_") or isinstance(part, QScrollBar)
        is_inside = isinstance(
            part.parentWidget(), QComboBox | QAbstractSpinBox | QAbstractItemView | QLineEdit
        )
        is_touched = isinstance(part, TOUCHED) or bool(part.focusPolicy() & Qt.FocusPolicy.TabFocus)
        if is_touched and not (is_qts or is_inside or _is_in_combo(part)):
            found.append(part)
    return found


def _is_in_combo(part: QWidget) -> bool:
    """The list that drops down from a combo box, and its frame."""
    parent = part.parentWidget()
    return parent is not None and (isinstance(parent, QComboBox) or _is_in_combo(parent))


@pytest.mark.parametrize(("name", "fill"), [("desk", desk), ("prompts", prompts), ("scores", scores)])
def test_everything_that_can_be_touched_is_called_something(page, qtbot, name, fill):
    view = page.show_view(name)
    fill(page, qtbot)
    check_names(view)
    assert name != "desk" or view.findChildren(ShareRows), "the pane that says why was part of it"


def test_everything_on_the_ranks_page_too(page, shell, qtbot):
    ranks = shell.go("ranks")
    ranks.choose("reverse")
    qtbot.waitUntil(lambda: ranks.ranks.state.adapter is not None)
    for rank in (1, 2, 3):
        ranks.ranks.pin(rank)
    check_names(ranks)
    check_names(ranks.head, least=2)
    said = {button.accessibleName() for button in ranks.instrument.panes.findChildren(QAbstractButton)}
    assert said == {"Unpin rank 8", "Unpin rank 1", "Unpin rank 2", "Unpin rank 3", "Pin rank 4"}


def check_names(view: QWidget, least: int = 11) -> None:
    parts = reached(view)
    assert len(parts) >= least, "the walk sees something"
    unnamed = [
        f"{type(part).__name__} in {part.parentWidget().objectName()}"
        for part in parts
        if not part.objectName()
    ]
    mute = [
        part.objectName()
        for part in parts
        if not QAccessible.queryAccessibleInterface(part).text(QAccessible.Text.Name)
    ]
    assert (unnamed, mute) == ([], [])
    names = [part.objectName() for part in parts]
    assert [name for name in names if names.count(name) > 1] == [], "a name is one widget's"


@pytest.mark.parametrize("name", ["desk", "prompts", "scores"])
def test_no_part_is_called_as_something_that_qt_calls_itself(page, name):
    """An attribute in the place of a virtual method, such as ``metric``, ends the process."""
    view = page.show_view(name)
    taken = [
        f"{type(part).__name__}.{attribute}"
        for part in [view, *view.findChildren(QWidget)]
        for attribute, value in vars(part).items()
        if hasattr(_qts(type(part)), attribute) and not isinstance(value, SignalInstance)
    ]
    assert taken == []


def _qts(kind: type) -> type:
    """The first of Qt's own classes that ``kind`` is made from."""
    return next(each for each in kind.__mro__ if each.__module__.startswith("PySide6"))
