"""The comparison of prompts in its window, off-screen: maps on one axis, differences, data rows, why."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu, QWidget

from engine.messages import (
    Adapters,
    DataSets,
    Error,
    ListAdapters,
    ListData,
    ListMixes,
    Mixes,
    Route,
    Routing,
)
from tests.app.scripted_client import adapter, data_set, mix
from tests.app.scripted_mixer import NAMES

MODULES = [f"model.layers.{layer}.self_attn.{name}_proj" for layer in range(2) for name in "qkvo"]


def routed(request: Route) -> Routing | Error:
    if request.prompt == "bad":
        return Error(code="data", message="This prompt is too long.", hint="Shorten it.")
    lead = NAMES.index(request.prompt.partition(":")[0])
    gates = [[0.7 if place == lead else 0.1 for place in range(4)]] * len(MODULES)
    tokens = list(request.prompt)
    experts = [*NAMES, "null"]
    return Routing(tokens=tokens, modules=MODULES, experts=experts, gates=[gates] * len(tokens))


@pytest.fixture
def view(shell, client, qtbot):
    client.script |= {
        ListAdapters: Adapters(adapters=[adapter(name) for name in NAMES]),
        ListData: DataSets(sets=[data_set("mixed"), data_set("sort.heldout", 40)]),
        ListMixes: Mixes(mixes=[mix("mix-1", NAMES)]),
        Route: routed,
    }
    page = shell.go("mixer")
    stock = page.mixer.stock
    qtbot.waitUntil(lambda: bool(stock.adapters and stock.sets and stock.mixes))
    return page.show_view("prompts")


@pytest.fixture
def compared(view, qtbot):
    view._mixer.open_mix("mix-1")
    write(view, 0, "reverse: cat")
    write(view, 1, "sort: dog")
    qtbot.waitUntil(lambda: view.prompts.apart is not None and view.prompts.apart.by_row[0] > 0.5)
    return view


def write(view, place, text):
    field = view.columns[place].field
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def widget(view, name: str) -> QWidget:
    return view.findChild(QWidget, name)


def test_without_a_router_it_says_what_this_is_for(view):
    assert widget(view, "mixer.prompts.empty").isVisible()
    QTest.mouseClick(widget(view, "mixer.prompts.empty-button"), Qt.MouseButton.LeftButton)
    assert not view.isVisible(), "the desk is in front"
    view._mixer.open_mix("mix-1")
    assert view.window().page().show_view("prompts") is view
    assert not widget(view, "mixer.prompts.empty").isVisible()
    assert widget(view, "mixer.prompts.add").isVisible()


def test_everything_the_keyboard_reaches_has_a_name(compared):
    compared.prompts.add("plural: cat")
    nameless = [
        f"{type(part).__name__} {part.objectName()}"
        for part in compared.findChildren(QWidget)
        if part.focusPolicy() & Qt.FocusPolicy.TabFocus
        and part.isVisible()
        and not (part.objectName() and QAccessible.queryAccessibleInterface(part).text(QAccessible.Text.Name))
    ]
    assert nameless == []


def test_maps_share_their_rows_and_usage_is_per_prompt(compared, qtbot):
    first, second = (column.map for column in compared.columns)
    write(compared, 1, "sort: " + "dog" * 40)
    qtbot.waitUntil(lambda: second.horizontalScrollBar().maximum() > 0)
    QApplication.processEvents()
    assert [first.cell_rect(0, row).top() for row in range(8)] == [
        second.cell_rect(0, row).top() for row in range(8)
    ], "one scrolls, and the rows still stand at one height"
    usage = [widget(compared, f"mixer.prompts.{place}.usage").accessibleDescription() for place in (0, 1)]
    assert usage[0].startswith("reverse 0.70, sort 0.10")
    assert usage[1].startswith("reverse 0.10, sort 0.70")
    box = widget(compared, "mixer.prompts.view")
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Up)
    assert first._grid.rows == second._grid.rows == [(0, ""), (1, "")]


def test_differences_are_read_row_by_row(compared):
    QTest.mouseClick(widget(compared, "mixer.prompts.way.apart"), Qt.MouseButton.LeftButton)
    bands = widget(compared, "mixer.prompts.bands")
    assert bands.isVisible()
    assert bands._notes == ["0.60"] * 8
    QTest.keyClick(bands, Qt.Key.Key_Down)
    said = widget(compared, "mixer.prompts.read").text()
    assert said.startswith("layer 0 k_proj · 1  reverse: cat: reverse 0.70")
    assert said.endswith("apart by 0.60")
    assert "Widest apart at layer 0 q_proj (0.60)" in widget(compared, "mixer.prompts.sentence").text()


@pytest.mark.qt_log_ignore("does not support", extend=True)  # the off-screen platform says this of menus
def test_a_prompt_comes_from_a_row_of_the_data(compared, qtbot):
    QTest.mouseClick(widget(compared, "mixer.prompts.1.rows"), Qt.MouseButton.LeftButton)
    menu = next(menu for menu in compared.columns[1].findChildren(QMenu) if menu.isVisible())
    sets = [action.text() for action in menu.actions()]
    assert sets == ["sort.heldout", "mixed"], "held-out sets first"
    rows = menu.actions()[0].menu().actions()
    assert rows[2].text() == "plural: planet"
    rows[2].trigger()
    menu.close()
    assert compared.prompts.slots[1].text == compared.columns[1].field.text() == "plural: planet"


def test_prompts_are_added_and_taken_away(compared, qtbot):
    assert not widget(compared, "mixer.prompts.0.remove").isVisible()
    add = widget(compared, "mixer.prompts.add")
    QTest.mouseClick(add, Qt.MouseButton.LeftButton)
    QTest.mouseClick(add, Qt.MouseButton.LeftButton)
    assert not add.isEnabled()
    assert len(compared.columns) == 4
    QTest.mouseClick(widget(compared, "mixer.prompts.0.remove"), Qt.MouseButton.LeftButton)
    assert [column.field.text() for column in compared.columns] == ["sort: dog", "", ""]


def test_a_prompt_that_cannot_be_read_says_why_in_its_place(compared, qtbot):
    write(compared, 1, "bad")
    qtbot.waitUntil(lambda: "too long" in compared.columns[1]._note.text())
    assert compared.columns[1]._note.isVisible()
    assert compared.columns[0].map.isVisible()


def test_behind_another_view_nothing_is_routed(compared, shell, client, qtbot):
    qtbot.waitUntil(lambda: not compared.prompts.is_settling)
    page = shell.go("mixer")
    page.show_view("desk")
    before = len(client.requests(Route))
    compared._mixer.set_fader("sort", 0.4)
    qtbot.wait(250)
    assert len(client.requests(Route)) == before
    page.show_view("prompts")
    qtbot.waitUntil(lambda: len(client.requests(Route)) == before + 2)


def test_why_at_a_token_of_a_prompt(compared, qtbot):
    pane = widget(compared, "mixer.prompts.why")
    routing_map = compared.columns[1].map
    routing_map.setFocus()
    QTest.keyClick(routing_map, Qt.Key.Key_Right)
    QTest.keyClick(routing_map, Qt.Key.Key_Return)
    assert pane.isVisible()
    assert pane._title.text() == "Why at 'o', prompt 2"
    assert widget(compared, "mixer.prompts.why.words").text().startswith("sort leads in 8 of 8 projections")
    QTest.keyClick(widget(compared, "mixer.prompts.why.bands"), Qt.Key.Key_Escape)
    assert not pane.isVisible()
    qtbot.waitUntil(routing_map.hasFocus)
