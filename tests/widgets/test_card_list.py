"""Cards side by side: what is in sight, and what a frame of scrolling paints."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QAbstractListModel, QModelIndex, QPoint, Qt
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QApplication

from widgets.card import PICTURES, CardFace
from widgets.card_list import CardList
from widgets.theme import theme

FACE = Qt.ItemDataRole.UserRole + 1
CARDS = 2000


class Cards(QAbstractListModel):
    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else CARDS

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role != FACE:
            return None
        return CardFace(
            title=f"card {index.row()}",
            about=None,
            lines=("one", "two"),
            verdict="Fits",
            token="good",
            marks=(("lock", ""), ("download", "12k")),
            is_ghost=index.row() == CARDS - 1,
        )


@pytest.fixture
def cards(qapp, qtbot) -> CardList:
    theme.start(qapp)
    cards = CardList(FACE, "cards", "Cards")
    qtbot.addWidget(cards)
    cards.setModel(Cards(cards))
    cards.resize(836, 560)
    cards.show()
    # Wherever another test has left the mouse: a card under it is painted once more.
    QCursor.setPos(cards.mapToGlobal(QPoint(0, cards.height() + 20)))
    QApplication.processEvents()
    return cards


@pytest.fixture
def painted(cards, monkeypatch) -> list[str]:
    """The titles of the cards that are painted anew from here on."""
    titles: list[str] = []
    paint = cards._cards._card

    def watched(painter, room, face, look) -> None:
        titles.append(face.title)
        paint(painter, room, face, look)

    monkeypatch.setattr(cards._cards, "_card", watched)
    return titles


def scroll(cards: CardList, to: int) -> None:
    cards.verticalScrollBar().setValue(to)
    QApplication.processEvents()


@pytest.mark.parametrize("share", [0.0, 0.31, 1.0])
def test_what_is_in_sight_is_what_can_be_seen(cards, share) -> None:
    scroll(cards, round(cards.verticalScrollBar().maximum() * share))
    window = cards.viewport().rect()
    seen = [row for row in range(CARDS) if cards.visualRect(cards.model().index(row)).intersects(window)]
    assert cards.rows_in_sight() == (seen[0], seen[-1])


def test_it_says_what_is_in_sight_once_it_rests(cards, qtbot) -> None:
    told = []
    cards.in_sight.connect(lambda first, last: told.append((first, last)))
    for place in range(0, 3000, 60):
        scroll(cards, place)
    qtbot.waitUntil(lambda: bool(told))
    assert told == [cards.rows_in_sight()]


def test_a_frame_of_scrolling_paints_new_cards_only(cards, painted) -> None:
    scroll(cards, 1000)
    painted.clear()
    for place in range(1000, 1600, 60):
        scroll(cards, place)
    assert len(painted) == len(set(painted)) <= 16
    painted.clear()
    scroll(cards, 1000)
    assert painted == [], "what was painted a moment ago is still there"


def test_pictures_do_not_pile_up_and_follow_the_theme(cards, painted) -> None:
    for place in range(0, 20_000, 400):
        scroll(cards, place)
    assert len(cards._cards._pictures) <= PICTURES
    painted.clear()
    theme.choose("dark")
    QApplication.processEvents()
    assert painted
    theme.choose("light")


def test_a_card_that_is_looked_at_differently_looks_different(cards) -> None:
    plain = cards.grab().toImage()
    cards.setCurrentIndex(cards.model().index(1))
    assert cards.grab().toImage() != plain
