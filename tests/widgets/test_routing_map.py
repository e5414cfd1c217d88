"""The routing map: what a cell says, what it looks like, how it is walked through."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from widgets.gate_grid import EACH, MEAN, certainty
from widgets.painting import NULL_HUE
from widgets.routing_map import RoutingMap
from widgets.theme import theme

TOKENS = ["reverse", ":", " ", "c", "a", "t"]
EXPERTS = ["reverse", "sort", "null"]
LAYERS = [0, 0, 1, 1]
PROJECTIONS = ["q_proj", "o_proj", "q_proj", "o_proj"]


def gates() -> np.ndarray:
    """Everyone alike, but for token 3: reverse is sure in layer 1, sort in layer 0's o_proj."""
    values = np.full((len(TOKENS), len(LAYERS), len(EXPERTS)), 1 / 3, np.float32)
    values[3, 2:] = [0.93, 0.05, 0.02]
    values[3, 1] = [0.1, 0.8, 0.1]
    return values


@pytest.fixture
def routing(qtbot):
    view = RoutingMap()
    qtbot.addWidget(view)
    view.resize(420, 200)
    view.set_view(MEAN)
    view.set_routing(TOKENS, LAYERS, PROJECTIONS, EXPERTS, [0, 1, NULL_HUE], gates(), start=3)
    view.show()
    return view


def walk(view, *keys):
    for key in keys:
        QTest.keyClick(view, key)


def test_certainty_is_zero_at_chance_and_one_when_all():
    np.testing.assert_allclose(certainty(np.float32([1 / 3, 1.0, 0.2]), 3), [0, 1, 0], atol=1e-6)


def test_shapes_must_agree(routing):
    with pytest.raises(ValueError, match="3 experts"):
        routing.set_routing(TOKENS, LAYERS, PROJECTIONS, EXPERTS, [0, 1, 2], gates()[:, :2])


def test_who_spoke_here_and_how_sure(routing):
    routing.set_view("o_proj")
    routing.set_token(3)
    walk(routing, Qt.Key.Key_Down)
    assert routing.cell_text == "reverse 0.93 · layer 1 o_proj · token 'c' · then sort 0.05"
    assert routing.accessibleDescription() == routing.cell_text


def test_all_projections_are_averaged_and_each_is_a_row(routing):
    routing.set_token(3)
    assert routing.cell_text.startswith("sort 0.57 · layer 0 all projections")
    routing.set_view(EACH)
    walk(routing, Qt.Key.Key_Down)
    assert routing.cell_text.startswith("sort 0.80 · layer 0 o_proj")
    walk(routing, Qt.Key.Key_PageDown)
    assert "layer 1 o_proj" in routing.cell_text
    assert routing.projections == ["q_proj", "o_proj"]


def test_keyboard_walks_and_says_the_token(routing, qtbot):
    said = []
    routing.token_selected.connect(said.append)
    walk(routing, Qt.Key.Key_Right, Qt.Key.Key_End, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_Down)
    assert said == [1, 5, 0]
    assert "layer 1" in routing.cell_text


def test_mouse_reads_on_hover_and_selects_on_click(routing):
    said, chosen = [], []
    routing.cell_changed.connect(said.append)
    routing.token_selected.connect(chosen.append)
    cell = routing.cell_rect(3, 1).center().toPoint()
    QTest.mouseMove(routing.viewport(), cell)
    assert said[-1].startswith("reverse 0.93 · layer 1")
    assert chosen == []
    QTest.mouseClick(routing.viewport(), Qt.MouseButton.LeftButton, pos=cell)
    assert chosen == [3]


def test_hue_certainty_and_mute_in_the_picture(routing, scheme):
    def pixel(token, row):
        return tuple(int(part) for part in routing._pixels[row, token])

    expert = theme.expert(0).getRgb()[:3]
    assert pixel(3, 1)[:3] == expert
    assert pixel(3, 1)[3] == round(255 * (0.93 - 1 / 3) / (2 / 3))
    assert pixel(0, 1)[3] == 0, "undecided cells fade to nothing"
    before = pixel(3, 1)[3]
    routing.set_silent({"reverse"})
    assert pixel(3, 1)[3] < 0.25 * before
    routing.set_view("q_proj")
    routing.set_token(3)
    walk(routing, Qt.Key.Key_Down)
    assert "reverse (muted) 0.93" in routing.cell_text


def test_painted_cell_is_the_experts_colour(routing, scheme, qtbot):
    values = gates()
    values[3, 2:] = [1.0, 0.0, 0.0]
    routing.set_routing(TOKENS, LAYERS, PROJECTIONS, EXPERTS, [0, 1, NULL_HUE], values)
    centre = routing.cell_rect(3, 1).center().toPoint()
    picture = routing.viewport().grab().toImage()
    assert picture.pixelColor(centre).name() == theme.expert(0).name()


def test_long_texts_scroll_and_the_cursor_stays_in_sight(routing):
    count = 400
    values = np.full((count, 4, 3), 1 / 3, np.float32)
    routing.set_routing(["x"] * count, LAYERS, PROJECTIONS, EXPERTS, [0, 1, NULL_HUE], values)
    assert routing.horizontalScrollBar().maximum() > 1000
    walk(routing, Qt.Key.Key_End)
    cell = routing.cell_rect(count - 1, 0)
    assert 0 < cell.left() < cell.right() <= routing.viewport().width() + 1


def test_without_tokens_there_is_nothing_to_say(routing):
    routing.set_routing([], [], [], [], [], np.zeros((0, 0, 0), np.float32))
    assert routing.cell_text == ""
    walk(routing, Qt.Key.Key_Right, Qt.Key.Key_Return)
    assert routing.accessibleDescription() == ""


def test_enter_and_clicks_open_a_token_and_moves_only_select_it(routing):
    opened, chosen = [], []
    routing.opened.connect(opened.append)
    routing.token_selected.connect(chosen.append)
    walk(routing, Qt.Key.Key_Right, Qt.Key.Key_Down)
    assert (opened, chosen) == ([], [1])
    walk(routing, Qt.Key.Key_Return)
    cell = routing.cell_rect(4, 1).center().toPoint()
    QTest.mouseClick(routing.viewport(), Qt.MouseButton.LeftButton, pos=cell)
    assert (opened, chosen) == ([1, 4], [1, 4])
    routing.set_token(2)
    assert (opened, chosen) == ([1, 4], [1, 4]), "what was chosen elsewhere is not said again"


def test_another_prompt_gets_columns_of_its_own_width(routing):
    start = (LAYERS, PROJECTIONS, EXPERTS, [0, 1, NULL_HUE])
    routing.set_routing(TOKENS, *start, gates())
    wide = routing.cell_rect(4, 0).width()
    many = np.repeat(gates(), 5, axis=0)
    routing.set_routing(TOKENS * 5, *start, many)
    assert routing.cell_rect(4, 0).width() < wide


def test_columns_do_not_move_while_the_answer_grows(routing):
    """Prompt of three tokens; the answer comes one by one, then the whole is shown once more."""
    whole = gates()
    start = (LAYERS, PROJECTIONS, EXPERTS, [0, 1, NULL_HUE])
    routing.set_routing(TOKENS[:3], *start, whole[:3], start=3)
    before = [routing.cell_rect(token, 1) for token in range(3)]
    for token, values in zip(TOKENS[3:], whole[3:], strict=True):
        routing.append_token(token, values)
    routing.set_token(5)
    assert [routing.cell_rect(token, 1) for token in range(3)] == before
    grown = [routing.cell_rect(token, 0) for token in range(6)]
    pixels = routing._pixels.copy()
    routing.set_routing(TOKENS, *start, whole, start=3)
    assert [routing.cell_rect(token, 0) for token in range(6)] == grown
    assert (routing._pixels == pixels).all()
    assert "token 't'" in routing.cell_text
    with pytest.raises(ValueError, match="modules, experts"):
        routing.append_token("x", whole[0, :1])


def test_a_click_on_a_tokens_name_chooses_its_column(routing):
    chosen = []
    routing.token_selected.connect(chosen.append)
    head = routing.cell_rect(4, 0).center().toPoint()
    head.setY(8)
    QTest.mouseClick(routing.viewport(), Qt.MouseButton.LeftButton, pos=head)
    assert chosen == [4]
    assert "token 'a'" in routing.cell_text
    assert routing.cell_hue is not None
