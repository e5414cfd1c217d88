"""Streaming text: colours by expert, nothing read is moved, a token can be chosen."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextCursor
from PySide6.QtTest import QTest

from widgets.theme import theme
from widgets.token_view import PLAIN, TokenView


@pytest.fixture
def view(qtbot):
    view = TokenView()
    qtbot.addWidget(view)
    view.resize(160, 120)
    view.show()
    return view


def style(view, position):
    cursor = QTextCursor(view.document())
    cursor.setPosition(position + 1)
    return cursor.charFormat()


def test_tokens_wear_their_experts_colour_by_certainty(view, scheme):
    view.append_token("sure", 0, 1.0)
    view.append_token("half", 0, 0.5)
    view.append_token("plain", PLAIN)
    assert view.text == "surehalfplain"
    sure, half, plain = (style(view, position) for position in (0, 4, 8))
    assert sure.underlineColor().name() == theme.expert(0).name()
    assert sure.background().color().alphaF() > half.background().color().alphaF() > 0
    assert not plain.fontUnderline()
    assert sure.foreground().color().name() == theme.tokens.text


def luminance(colour):
    def linear(value):
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue, _ = colour.getRgbF()
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)


@pytest.mark.parametrize("hue", range(8))
def test_text_stays_legible_on_every_tint(view, scheme, hue):
    view.append_token("x", hue, 1.0)
    tint = style(view, 0).background().color()
    ground = theme.colour("ground")
    mixed = [
        tint.alphaF() * over + (1 - tint.alphaF()) * under
        for over, under in zip(tint.getRgbF()[:3], ground.getRgbF()[:3], strict=True)
    ]
    ground.setRgbF(*mixed)
    low, high = sorted((luminance(ground), luminance(theme.colour("text"))))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_appending_moves_nothing_that_was_read(view):
    for index in range(80):
        view.append_token(f"word{index} ", index % 3, 0.5)
    view.verticalScrollBar().setValue(10)
    places = []
    for position in range(0, 200, 20):
        cursor = QTextCursor(view.document())
        cursor.setPosition(position)
        places.append((cursor, view.cursorRect(cursor)))
    for index in range(80):
        view.append_token(f"more{index} ", 1, 0.9)
    assert view.verticalScrollBar().value() == 10
    assert all(view.cursorRect(cursor) == rect for cursor, rect in places)


def test_a_reader_at_the_end_is_followed(view):
    for index in range(80):
        view.append_token(f"word{index} ")
    assert view.verticalScrollBar().value() == view.verticalScrollBar().maximum()


def test_choosing_a_token_by_mouse_and_keyboard(view):
    said = []
    for text in ("pla", "net", "s"):
        view.append_token(text, 1, 0.9)
    view.token_selected.connect(said.append)
    assert said == []
    cursor = QTextCursor(view.document())
    cursor.setPosition(4)
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=view.cursorRect(cursor).center())
    assert said[-1] == 1
    QTest.keyClick(view, Qt.Key.Key_End)
    assert said[-1] == 2
    assert style(view, 6).background().color().name() == theme.colour("accent").name()


def test_silent_experts_fade_and_come_back(view, scheme):
    view.append_token("x", 0, 1.0)
    loud = style(view, 0).background().color().alphaF()
    view.set_silent({0})
    assert style(view, 0).background().color().alphaF() < 0.3 * loud
    view.set_silent(set())
    assert style(view, 0).background().color().alphaF() == loud


def test_a_stale_answer_is_dim_and_the_next_token_is_not(view):
    view.append_token("old", 0, 1.0)
    view.set_faded(True)
    assert style(view, 0).foreground().color().name() == theme.tokens.text_dim
    view.restart()
    view.append_token("new", 0, 1.0)
    assert view.text == "new"
    assert style(view, 0).foreground().color().name() == theme.tokens.text


def where(view, position):
    cursor = QTextCursor(view.document())
    cursor.setPosition(position)
    return view.cursorRect(cursor).topLeft().toTuple()


def test_a_growing_word_is_broken_rather_than_moved(view):
    for letter in "all of it ":
        view.append_token(letter)
    for count in range(30):
        before = [where(view, position) for position in range(10 + count)]
        view.append_token("m", 1, 0.5)
        assert [where(view, position) for position in range(10 + count)][:-1] == before[:-1]
    assert view.text == "all of it " + 30 * "m"
    assert where(view, 39)[1] > where(view, 0)[1] + 20, "it takes several lines"
    view.set_silent({1})
    assert style(view, 39).underlineColor().alphaF() < 0.2


def test_nothing_is_selected_by_being_said(view):
    for letter in "nedrag":
        view.append_token(letter, 0, 0.9)
    assert not view.textCursor().hasSelection()


def test_what_agrees_is_grey_and_where_texts_part_is_underlined(view):
    for token in ("a", "b", "c", "d"):
        view.append_token(token)
    place = view.cursorRect().topLeft()
    view.compare((True, True, False), {2})
    inks = [style(view, position).foreground().color().name() for position in range(4)]
    dim, full = theme.tokens.text_dim, theme.tokens.text
    assert inks == [dim, dim, full, full]
    underlined = [style(view, position).underlineColor().name() for position in range(4)]
    assert [colour == theme.tokens.accent for colour in underlined] == [False, False, True, False]
    assert view.cursorRect().topLeft() == place
    view.compare((), ())
    assert all(style(view, position).foreground().color().name() == full for position in range(4))


def test_a_whole_answer_is_written_at_once_and_can_be_added_to(view):
    view.append_token("before")
    view.write(["a", "\n", "😀", "b"])
    assert view.text == "a\n😀b"
    assert [view.token_at(position) for position in range(5)] == [0, 1, 2, 2, 3]
    view.append_token("c")
    assert view.text == "a\n😀bc"
    view.compare((True,) * 4, ())
    assert style(view, 4).foreground().color().name() == theme.tokens.text_dim


def test_neighbours_that_look_alike_are_dressed_in_one_go(view):
    """Greying a long answer as the live one comes costs a few changes of the document, not one a token."""
    view.write([f"w{index} " for index in range(60)])
    revision = view.document().revision()
    view.compare((True,) * 40 + (False,) * 20, {40})
    assert view.document().revision() - revision <= 4
    inks = [style(view, token.start).foreground().color().name() for token in view._tokens]
    assert inks == 40 * [theme.tokens.text_dim] + 20 * [theme.tokens.text]
    assert [style(view, token.start).fontUnderline() for token in view._tokens].index(True) == 40
