"""The camera's picture and the mouth's square on it, as a hand and a keyboard meet them."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest

from tests.pictures import picture
from widgets.camera_view import LARGEST, SMALLEST, CameraView, Square
from widgets.mouth_view import MouthView
from widgets.theme import theme

LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def view(qtbot):
    view = CameraView("view", "Camera")
    qtbot.addWidget(view)
    view.resize(400, 240)
    view.show_picture(picture(640, 480))
    view.show()
    view.said = []
    view.placed.connect(view.said.append)
    view.cleared.connect(lambda: view.said.append(None))
    return view


def point(at: QPointF) -> QPoint:
    return at.toPoint()


def drag(view, start: QPointF, end: QPointF) -> None:
    QTest.mousePress(view, LEFT, pos=point(start))
    QTest.mouseMove(view, point((start + end) / 2))
    QTest.mouseMove(view, point(end))
    QTest.mouseRelease(view, LEFT, pos=point(end))


def test_the_picture_keeps_its_shape_in_the_middle(view):
    room = view.picture_rect()
    assert (room.width(), room.height(), room.left(), room.top()) == (320, 240, 40, 0)


def test_a_found_mouth_is_shown_where_it_is(view):
    view.show_square(Square(0.5, 0.375, 0.25), by_hand=False)
    box = view.square_rect()
    assert (box.center(), box.width()) == (QPointF(200, 120), 80)
    assert view.said == [], "showing says nothing"
    assert (
        view.accessibleDescription() == "The mouth, found: 50 % from the left, 38 % from the top, 25 % wide"
    )


def test_the_square_is_dragged_whole_and_told_once(view):
    view.show_square(Square(0.5, 0.375, 0.25), by_hand=False)
    drag(view, QPointF(195, 115), QPointF(227, 147))
    (told,) = view.said
    assert told == pytest.approx((0.6, 0.475, 0.25)) and view.by_hand


def test_a_corner_sizes_it_about_its_middle(view):
    view.show_square(Square(0.5, 0.375, 0.25), by_hand=True)
    drag(view, view.square_rect().bottomRight(), QPointF(200 + 64, 120 + 50))
    assert view.said[-1] == pytest.approx((0.5, 0.375, 0.4))
    drag(view, view.square_rect().topLeft(), QPointF(200, 120))
    assert view.said[-1].side == SMALLEST


def test_a_square_is_drawn_elsewhere_around_the_press(view):
    view.show_square(Square(0.8, 0.6, 0.1), by_hand=False)
    drag(view, QPointF(136, 72), QPointF(136 + 32, 72 + 20))
    assert view.said == [pytest.approx((0.3, 0.225, 0.2))]


def test_a_mere_click_moves_nothing(view):
    QTest.mouseClick(view, LEFT, pos=QPoint(100, 60))
    view.show_square(Square(0.5, 0.375, 0.25), by_hand=False)
    QTest.mouseClick(view, LEFT, pos=QPoint(60, 30))
    QTest.mouseClick(view, LEFT, pos=QPoint(200, 120))
    QTest.mouseMove(view, QPoint(200, 120))
    assert view.said == [] and not view.by_hand


def test_it_stays_in_the_picture(view):
    view.show_square(Square(0.5, 0.375, 0.25), by_hand=True)
    drag(view, QPointF(200, 120), QPointF(900, -300))
    assert view.said[-1] == pytest.approx((1.0, 0.0, 0.25))


def test_a_looking_glass_turns_hands_not_shares(view):
    view.mirrored = True
    view.show_picture(picture(640, 480))
    view.show_square(Square(0.25, 0.375, 0.2), by_hand=False)
    assert view.square_rect().center().x() == 40 + 0.75 * 320
    drag(view, view.square_rect().center(), view.square_rect().center() + QPointF(32, 0))
    assert view.said[-1].x == pytest.approx(0.15), "to the right in the glass is to the left in truth"


def test_keys_place_move_size_and_give_up(view, qtbot):
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.said[-1] == pytest.approx((0.51, 0.375, 0.25)), "the first key puts one into the middle"
    qtbot.keyClick(view, Qt.Key.Key_Down, SHIFT)
    qtbot.keyClick(view, Qt.Key.Key_Minus)
    assert view.said[-1] == pytest.approx((0.51, 0.425, 0.23))
    for _ in range(40):
        qtbot.keyClick(view, Qt.Key.Key_Plus, SHIFT)
    assert view.said[-1].side == LARGEST
    qtbot.keyClick(view, Qt.Key.Key_Delete)
    assert view.said[-1] is None and view.square is None


def test_without_a_picture_there_is_nothing_to_place(view, qtbot):
    view.show_picture(b"")
    view.say("camera", "The camera is off.")
    qtbot.keyClick(view, Qt.Key.Key_Right)
    QTest.mouseClick(view, LEFT, pos=QPoint(200, 120))
    assert view.said == [] and view.accessibleDescription() == "The camera is off."


def test_a_hand_on_the_square_is_not_overruled_by_what_is_found(view):
    view.show_square(Square(0.5, 0.375, 0.25), by_hand=False)
    QTest.mousePress(view, LEFT, pos=QPoint(200, 120))
    QTest.mouseMove(view, QPoint(232, 120))
    view.show_square(Square(0.2, 0.2, 0.1), by_hand=False)
    assert view.square == pytest.approx((0.6, 0.375, 0.25))
    QTest.mouseRelease(view, LEFT, pos=QPoint(232, 120))
    assert view.said[-1] == pytest.approx((0.6, 0.375, 0.25))


def test_the_square_is_seen_in_every_scheme(qtbot, scheme, colours):
    view = CameraView("view", "Camera")
    qtbot.addWidget(view)
    view.resize(160, 120)
    view.show_picture(picture(160, 120))
    view.show_square(Square(0.5, 0.375, 0.4), by_hand=True)
    assert colours(view).get(theme.tokens.accent, 0) > 60


def test_a_mouth_is_shown_or_missing(qtbot):
    mouth = MouthView("mouth")
    qtbot.addWidget(mouth)
    assert mouth.accessibleDescription() == "no mouth"
    mouth.show_mouth(picture(96, 96))
    assert mouth.has_mouth and mouth.accessibleDescription() == "shown"
    assert mouth.grab().toImage().pixelColor(48, 48).name() == "#806040"
