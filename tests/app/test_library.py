"""The library: its presenter alone, then the page on top of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, QSettings, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit
from pytestqt.qtbot import QtBot

from app.pages.library import LibraryPage
from app.presenters.library import Library
from app.presenters.notice import Notice
from engine import messages
from engine.messages import Inspection, Verification
from tests.app.fake_client import FakeClient
from tests.app.scripted_client import BASE, adapter

CARDS = [adapter("sort"), adapter("reverse"), adapter("chat", base="other")]
GOOD = Inspection(
    verdict="ok",
    reason="",
    kind="lora",
    rank=8,
    alpha=16.0,
    targets=["q_proj"],
    base=BASE,
    tensors=4,
    bytes=1000,
)
BAD = Inspection(
    verdict="refuse",
    reason="The file is truncated.",
    kind="",
    rank=0,
    alpha=0.0,
    targets=[],
    base="",
    tensors=0,
    bytes=0,
)


@pytest.fixture
def client(qapp: QApplication) -> FakeClient:
    ready = FakeClient(
        {
            messages.ListAdapters: messages.Adapters(adapters=CARDS),
            messages.InspectAdapter: lambda request: BAD if "broken" in request.path else GOOD,
            messages.ImportAdapter: lambda request: adapter(request.name),
            messages.RestoreAdapter: lambda request: adapter(request.name),
            messages.VerifyAdapters: messages.Verified(
                adapters=[Verification(name="sort", ok=True, detail="2 files unchanged.")]
            ),
            messages.ExportAdapter: lambda request: messages.Done(path=request.folder),
        }
    )
    ready.welcome()
    return ready


@pytest.fixture
def library(client: FakeClient, qtbot: QtBot) -> Library:
    presenter = Library(client)
    qtbot.waitUntil(lambda: presenter.state.known)
    return presenter


@pytest.fixture
def notices(library: Library) -> list[Notice]:
    heard: list[Notice] = []
    library.noticed.connect(heard.append)
    return heard


# --- the presenter ---


def test_the_library_is_listed_by_name(library: Library) -> None:
    assert [card.name for card in library.state.cards] == ["chat", "reverse", "sort"]


def test_a_change_elsewhere_is_followed(library: Library, client: FakeClient, qtbot: QtBot) -> None:
    library.choose("sort")
    client.script[messages.ListAdapters] = messages.Adapters(adapters=CARDS[1:])
    client.tell(messages.LibraryChanged(what="adapters"))
    qtbot.waitUntil(lambda: len(library.state.cards) == 2)
    assert library.state.chosen == ""


def test_the_same_state_is_told_once(library: Library, client: FakeClient, qtbot: QtBot) -> None:
    library.choose("sort")
    told: list[bool] = []
    library.changed.connect(lambda: told.append(True))
    library.choose("sort")
    library.use_base(library.state.base)
    client.tell(messages.LibraryChanged(what="adapters"))
    qtbot.waitUntil(lambda: len(client.requests(messages.ListAdapters)) == 2)
    qtbot.wait(20)
    assert told == []


def test_removing_can_be_undone(
    library: Library, client: FakeClient, notices: list[Notice], qtbot: QtBot
) -> None:
    library.remove("sort")
    qtbot.waitUntil(lambda: bool(notices))
    assert notices[0].message == "sort was removed."
    assert notices[0].action is not None
    words, undo = notices[0].action
    assert words == "Undo"
    undo()
    qtbot.waitUntil(lambda: len(notices) == 2)
    assert client.requests(messages.RestoreAdapter) == [messages.RestoreAdapter(name="sort")]
    assert library.state.chosen == "sort"


def test_a_folder_is_looked_into_before_it_comes_in(
    library: Library, client: FakeClient, qtbot: QtBot
) -> None:
    library.inspect("/somewhere/rhyme")
    qtbot.waitUntil(lambda: library.state.guest is not None)
    assert client.requests(messages.ImportAdapter) == []
    library.admit("rhyme-2")
    qtbot.waitUntil(lambda: library.state.chosen == "rhyme-2")
    wanted = messages.ImportAdapter(path="/somewhere/rhyme", name="rhyme-2")
    assert client.requests(messages.ImportAdapter) == [wanted]
    assert library.state.guest is None
    assert [card.name for card in library.state.cards] == ["chat", "reverse", "rhyme-2", "sort"]


def test_a_refusal_keeps_the_guest_and_says_why(
    library: Library, client: FakeClient, notices: list[Notice], qtbot: QtBot
) -> None:
    client.script[messages.ImportAdapter] = messages.Error(
        code="usage", message="There already is an adapter called sort.", hint="Choose another name."
    )
    library.inspect("/somewhere/sort")
    qtbot.waitUntil(lambda: library.state.guest is not None)
    library.admit("sort")
    qtbot.waitUntil(lambda: bool(notices))
    assert notices[0].message == "There already is an adapter called sort."
    assert library.state.guest is not None
    assert library.state.busy == ""


def test_files_that_changed_are_named(
    library: Library, client: FakeClient, notices: list[Notice], qtbot: QtBot
) -> None:
    client.script[messages.VerifyAdapters] = messages.Verified(
        adapters=[Verification(name="sort", ok=False, detail="adapter_model.safetensors is missing.")]
    )
    library.verify()
    qtbot.waitUntil(lambda: bool(notices))
    assert notices[0].level == "bad"
    assert notices[0].message == "sort: adapter_model.safetensors is missing."
    assert not library.state.checked["sort"].ok


def test_an_export_goes_into_a_folder_of_the_adapters_name(
    library: Library, client: FakeClient, notices: list[Notice], qtbot: QtBot, tmp_path: Path
) -> None:
    library.export("sort", str(tmp_path))
    qtbot.waitUntil(lambda: bool(notices))
    assert notices[0].message == f"Exported to {tmp_path / 'sort'}."


def test_a_death_while_importing_frees_the_buttons(
    library: Library, client: FakeClient, notices: list[Notice], qtbot: QtBot
) -> None:
    client.silent = {messages.VerifyAdapters}
    library.verify("sort")
    assert library.state.busy
    client.die()
    assert library.state.busy == ""
    assert notices[0].message == "The engine stopped before it could answer."


# --- the page ---


@pytest.fixture
def page(dressed: QApplication, client: FakeClient, qtbot: QtBot) -> LibraryPage:
    widget = LibraryPage(client)
    qtbot.addWidget(widget)
    widget.resize(1224, 700)
    widget.use_base(BASE)
    widget.show()
    qtbot.waitUntil(lambda: widget.library.state.known)
    return widget


def drop(page: LibraryPage, folder: Path) -> bool:
    """Drag a folder from a file manager onto the page and let go. Whether the page took it."""
    carried = QMimeData()
    carried.setUrls([QUrl.fromLocalFile(str(folder))])
    where, copy = QPoint(200, 200), Qt.DropAction.CopyAction
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(where, copy, carried, left, none)
    QApplication.sendEvent(page, enter)
    if enter.isAccepted():
        QApplication.sendEvent(page, QDropEvent(QPointF(where), copy, carried, left, none))
    return enter.isAccepted()


def button(page: LibraryPage, name: str) -> QAbstractButton:
    return page.findChild(QAbstractButton, name)


def test_four_cards_stand_side_by_side_at_1280(page: LibraryPage, client: FakeClient, qtbot: QtBot) -> None:
    many = [adapter(f"number-{i}") for i in range(9)]
    client.script[messages.ListAdapters] = messages.Adapters(adapters=many)
    client.tell(messages.LibraryChanged(what="adapters"))
    qtbot.waitUntil(lambda: page.shown.rowCount() == 9)
    tops = [page.cards.visualRect(page.shown.index(row, 0)).top() for row in range(9)]
    assert tops.count(tops[0]) == 4
    assert len({page.cards.visualRect(page.shown.index(row, 0)).size().toTuple() for row in range(9)}) == 1


def test_what_is_hidden_is_said_and_can_be_shown(page: LibraryPage, qtbot: QtBot) -> None:
    field = page.findChild(QLineEdit, "library-search")
    qtbot.keyClicks(field, "rev")
    assert page.shown.rowCount() == 1
    assert button(page, "library-hidden").text() == "2 hidden, show"
    qtbot.mouseClick(button(page, "library-hidden"), Qt.MouseButton.LeftButton)
    assert page.shown.rowCount() == 3
    assert not button(page, "library-hidden").isVisible()


def test_the_filter_offers_the_bases_there_are(page: LibraryPage) -> None:
    bases = page.findChild(QComboBox, "library-base")
    assert [bases.itemText(i) for i in range(bases.count())] == ["All bases", "other", BASE]
    bases.setCurrentText("other")
    assert page.shown.rowCount() == 1


def test_a_chosen_card_shows_its_details_and_goes_to_the_desk(page: LibraryPage, qtbot: QtBot) -> None:
    page.cards.setCurrentIndex(page.shown.index(2, 0))
    assert page.library.state.chosen == "sort"
    with qtbot.waitSignal(page.wanted) as wanted:
        qtbot.mouseClick(button(page, "details-add"), Qt.MouseButton.LeftButton)
    assert wanted.args == ["sort"]


def test_enter_on_a_card_adds_it_to_the_desk(page: LibraryPage, qtbot: QtBot) -> None:
    page.cards.setCurrentIndex(page.shown.index(1, 0))
    with qtbot.waitSignal(page.wanted) as wanted:
        qtbot.keyClick(page.cards, Qt.Key.Key_Return)
    assert wanted.args == ["reverse"]


def test_a_dropped_folder_shows_its_verdict_first(
    page: LibraryPage, client: FakeClient, qtbot: QtBot, tmp_path: Path
) -> None:
    assert drop(page, tmp_path)
    qtbot.waitUntil(lambda: button(page, "guest-admit").isVisible())
    assert page.findChild(QLineEdit, "guest-name").text() == tmp_path.name
    assert client.requests(messages.ImportAdapter) == []
    qtbot.mouseClick(button(page, "guest-admit"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.library.state.chosen == tmp_path.name)
    assert page.cards.currentIndex().data() == tmp_path.name


def test_a_folder_that_is_refused_cannot_come_in(page: LibraryPage, qtbot: QtBot, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    drop(page, broken)
    qtbot.waitUntil(lambda: page.library.state.guest is not None)
    assert not button(page, "guest-admit").isVisible()
    qtbot.mouseClick(button(page, "guest-leave"), Qt.MouseButton.LeftButton)
    assert page.library.state.guest is None


def test_words_that_are_dragged_are_not_taken(page: LibraryPage) -> None:
    carried = QMimeData()
    carried.setText("hello")
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(5, 5), Qt.DropAction.CopyAction, carried, left, none)
    QApplication.sendEvent(page, enter)
    assert not enter.isAccepted()


def test_an_empty_library_says_what_it_is_for(
    dressed: QApplication, store: QSettings, client: FakeClient, qtbot: QtBot
) -> None:
    client.script[messages.ListAdapters] = messages.Adapters(adapters=[])
    widget = LibraryPage(client)
    qtbot.addWidget(widget)
    widget.show()
    qtbot.waitUntil(lambda: button(widget, "library-empty-button").isVisible())
