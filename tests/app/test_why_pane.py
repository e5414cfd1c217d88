"""The pane that says why, in its window: opened on a token in text or map, by mouse and keyboard."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from engine.messages import (
    Adapters,
    Compare,
    DataSets,
    Generate,
    ListAdapters,
    ListData,
    ListMixes,
    Mixes,
    Routing,
    Token,
)
from tests.app.scripted_client import adapter, data_set, mix
from tests.app.scripted_mixer import NAMES, generated, in_rows

MODULES = ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj"]
# reverse is a little surer in its layer than sort in its own
GATES = [[0.8, 0.1, 0.05, 0.05], [0.1, 0.7, 0.1, 0.1]]


def answered(request: Generate) -> list[object]:
    if request.mixing is None:
        return [Token(index=0, text="ab"), generated("ab")]
    gates = [GATES, GATES, GATES, GATES]
    routing = Routing(tokens=[*request.prompt, *"ab"], modules=MODULES, experts=[*NAMES, "null"], gates=gates)
    tokens = [Token(index=index, text=text, gates=GATES) for index, text in enumerate("ab")]
    return [*tokens, generated("ab", routing)]


@pytest.fixture
def mixed(shell, client, qtbot):
    client.script |= {
        ListAdapters: Adapters(adapters=[adapter(name) for name in NAMES]),
        ListData: DataSets(sets=[data_set("mixed")]),
        ListMixes: Mixes(mixes=[mix("mix-1", NAMES)]),
        Generate: answered,
        Compare: in_rows(answered),
    }
    page = shell.go("mixer")
    qtbot.waitUntil(lambda: bool(page.mixer.stock.adapters and page.mixer.stock.mixes))
    page.mixer.open_mix("mix-1")
    page.mixer.questions.ask("xy")
    qtbot.waitUntil(lambda: page.mixer.routing is not None and not page.mixer.answers.busy)
    return page


def widget(page, name: str) -> QWidget:
    return page.findChild(QWidget, name)


def test_a_token_opens_the_pane_and_escape_closes_it(mixed, qtbot):
    text, routing_map = widget(mixed, "mixer.answer.mix"), widget(mixed, "mixer.map")
    pane, score = widget(mixed, "mixer.why"), mixed.view.score
    sizes = score.parentWidget().sizes()
    assert not pane.isVisible()
    text.setFocus()
    QTest.keyClick(text, Qt.Key.Key_End)
    QTest.keyClick(text, Qt.Key.Key_Return)
    assert pane.isVisible()
    assert pane._title.text() == "Why at 'b'"
    assert not mixed.view.shelf.isVisible(), "it lends its room"
    words = widget(mixed, "mixer.why.words").text()
    assert words.startswith(
        "reverse leads in 1 of 2 projections, most in layer 0; it leads nothing in layer 1"
    )
    assert widget(mixed, "mixer.why.row").text().startswith("layer 0 all projections · reverse 0.80")
    QTest.keyClick(routing_map, Qt.Key.Key_Left)
    assert pane._title.text() == "Why at 'a'", "it follows the cursor"
    QTest.keyClick(widget(mixed, "mixer.why.bands"), Qt.Key.Key_Escape)
    assert not pane.isVisible()
    qtbot.waitUntil(routing_map.hasFocus)
    assert score.parentWidget().sizes() == sizes, "shelf and desk have their room again"
    QTest.keyClick(text, Qt.Key.Key_Return)
    QTest.keyClick(mixed, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(mixed.view.shelf.list.hasFocus)
    assert not pane.isVisible()


def test_a_click_on_a_cell_opens_it_and_another_question_closes_it(mixed, qtbot):
    routing_map, pane = widget(mixed, "mixer.map"), widget(mixed, "mixer.why")
    cell = routing_map.cell_rect(0, 0).center().toPoint()
    QTest.mouseClick(routing_map.viewport(), Qt.MouseButton.LeftButton, pos=cell)
    assert pane.isVisible()
    assert pane._title.text() == "Why at 'x'"
    assert "mean of the text up to it" in pane._reads.text()
    bands = widget(mixed, "mixer.why.bands")
    assert np.allclose(bands._shares[0], GATES)
    assert bands._notes == ["reverse 0.80", "sort 0.70"]
    box = widget(mixed, "mixer.why.view")
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Down)
    assert bands._rows == [(0, "q_proj"), (1, "up_proj")]
    mixed.mixer.questions.ask("zy")
    qtbot.waitUntil(lambda: not pane.isVisible())
