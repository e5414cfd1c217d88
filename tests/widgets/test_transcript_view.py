"""Words in three columns on one time axis: where they stand, how they look, what hands and readers get."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from widgets.theme import theme
from widgets.transcript_view import GUTTER, TranscriptView
from widgets.transcript_words import Word, WordRow, clock

TITLES = ["Ears", "Eyes", "Both"]
ROWS = [
    WordRow(0.0, 0.4, (Word("place", 0.0, 0.4, verdict="right"), None, Word("place", 0.0, 0.4))),
    WordRow(
        0.4,
        0.8,
        (Word("red", 0.4, 0.8, 0.6, "wrong", "blue"), Word("", 0.4, 0.8, 1, "missing", "blue"), None),
    ),
    WordRow(3.0, 3.4, (Word("now", 3.0, 3.4), Word("no", 3.0, 3.3, 0.4, "differs"), None)),
]


@pytest.fixture
def view(qtbot: QtBot, scheme: str) -> TranscriptView:
    made = TranscriptView("words", "Words", TITLES)
    qtbot.addWidget(made)
    made.resize(640, 200)
    made.show()
    made.set_rows(ROWS)
    return made


def test_words_of_one_time_stand_in_one_line_and_a_pause_takes_room(view: TranscriptView) -> None:
    tops = [[view.cell_rect(row, column).top() for column in range(3)] for row in range(3)]
    assert all(len(set(line)) == 1 for line in tops)
    first, second, third = (line[0] for line in tops)
    assert third - second > second - first
    lefts = [view.cell_rect(0, column).left() for column in range(3)]
    assert lefts[0] == GUTTER and lefts[2] - lefts[1] == pytest.approx(lefts[1] - lefts[0])


def test_a_click_seeks(view: TranscriptView, qtbot: QtBot) -> None:
    place = view.cell_rect(2, 1).center().toPoint()
    with qtbot.waitSignal(view.sought) as sought:
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert sought.args == [3.0]
    assert view.words == "Eyes, 0:03.0: no, others differ"


def test_the_keyboard_walks_through_words_and_seeks(view: TranscriptView, qtbot: QtBot) -> None:
    assert view.accessibleDescription() == "Ears, 0:00.0: place"
    qtbot.keyClick(view, Qt.Key.Key_Down)
    assert view.accessibleDescription() == "Ears, 0:00.4: red, wrong: blue"
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.accessibleDescription() == "Eyes, 0:00.4: missing: blue"
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.accessibleDescription() == "Both, 0:00.4: nothing"
    with qtbot.waitSignal(view.sought) as sought:
        qtbot.keyClick(view, Qt.Key.Key_Return)
    assert sought.args == [0.4]
    qtbot.keyClick(view, Qt.Key.Key_End)
    qtbot.keyClick(view, Qt.Key.Key_Down)
    assert view.accessibleDescription().startswith("Both, 0:03.0")


def test_wrong_words_are_written_in_the_colour_of_errors(view: TranscriptView, colours) -> None:
    assert colours(view).get(theme.colour("bad").name(), 0) > 5
    view.set_rows(ROWS[:1])
    assert theme.colour("bad").name() not in colours(view)


def test_sentences_stand_where_there_are_no_words(view: TranscriptView, colours) -> None:
    view.set_rows([])
    before = len(colours(view))
    view.set_sentences(["", "No face was found.", ""])
    assert len(colours(view)) > before
    assert view.accessibleDescription() == "Eyes: No face was found."


def test_what_is_being_said_is_marked_and_kept_in_sight(view: TranscriptView) -> None:
    view.set_rows([WordRow(i, i + 0.5, (Word(f"w{i}", i, i + 0.5), None, None)) for i in range(200)])
    view.set_position(150.2)
    top = view.cell_rect(150, 0).top()
    assert 0 <= top <= view.viewport().height()
    view.set_position(-1)
    assert view._playing == -1
    assert view.column_text(0).endswith("w198 w199")


def test_an_hour_is_painted_without_painting_all_of_it(view: TranscriptView, qtbot: QtBot) -> None:
    view.set_rows([WordRow(i / 2, i / 2 + 0.4, (Word("word", i / 2, i / 2 + 0.4),) * 3) for i in range(7200)])
    view.verticalScrollBar().setValue(view.verticalScrollBar().maximum())
    view.grab()
    assert view._cell_at(view.cell_rect(7199, 2).center()) == (7199, 2)


def test_times_are_written_as_people_read_them() -> None:
    assert [clock(0), clock(3.24), clock(59.97), clock(75.5)] == ["0:00.0", "0:03.2", "1:00.0", "1:15.5"]


def test_the_room_of_the_scroll_bar_is_told(view: TranscriptView, qtbot: QtBot) -> None:
    with qtbot.waitSignal(view.resized) as told:
        view.set_rows([WordRow(i, i + 0.5, (Word("w", i, i + 0.5), None, None)) for i in range(100)])
    assert told.args[0] > 0
    assert view.childAt(QPoint(5, 5)) is view.viewport()
