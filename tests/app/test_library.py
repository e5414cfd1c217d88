"""The library: its presenter alone, then the page on top of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, QSettings, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLabel, QLineEdit, QPlainTextEdit
from pytestqt.qtbot import QtBot

from app.models.adapters import AdapterRoles
from app.pages.library import LibraryPage
from app.presenters.account import Account
from app.presenters.activity import Activity
from app.presenters.downloads import Downloads
from app.presenters.keeping import Removal
from app.presenters.library import Library
from app.presenters.notice import Notice
from engine import messages
from engine.messages import AdapterCard, Fit, Inspection, LibraryChanged, Verification
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


CONVERTED = msgspec.structs.replace(
    GOOD, verdict="convert", reason="It is in kohya's format, and is converted to PEFT's."
)
FITS = messages.Fits(
    fits={
        "sort": Fit(verdict="green", reason="All its 4 parts have their place."),
        "reverse": Fit(verdict="amber", reason="It was made for another; every shape fits all the same."),
        "chat": Fit(verdict="red", reason="Its q_proj reads 512 numbers, that of the base 128."),
    }
)


def described(request: messages.DescribeAdapter) -> AdapterCard:
    said = {name: getattr(request, name) for name in ("favourite", "tags", "note")}
    card = next(card for card in CARDS if card.name == request.name)
    return msgspec.structs.replace(card, **{name: value for name, value in said.items() if value is not None})


def looked_at(request: messages.InspectAdapter) -> Inspection:
    return BAD if "broken" in request.path else CONVERTED if request.path.endswith("t.safetensors") else GOOD


@pytest.fixture
def client(qapp: QApplication) -> FakeClient:
    ready = FakeClient(
        {
            messages.ListAdapters: messages.Adapters(adapters=CARDS),
            messages.InspectAdapter: looked_at,
            messages.ImportAdapter: lambda request: adapter(request.name),
            messages.RestoreAdapter: lambda request: adapter(request.name),
            messages.VerifyAdapters: messages.Verified(
                adapters=[Verification(name="sort", ok=True, detail="2 files unchanged.")]
            ),
            messages.ExportAdapter: lambda request: messages.Done(path=request.folder),
            messages.JudgeAdapters: FITS,
            messages.DescribeAdapter: described,
        }
    )
    ready.welcome()
    return ready


@pytest.fixture
def library(client: FakeClient, qtbot: QtBot) -> Library:
    presenter = Library(client, Downloads(client, Activity(client)))
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
    qtbot.waitUntil(lambda: len(client.requests(messages.ListAdapters)) == 2 and client.is_quiet)
    assert told == []


def test_removing_can_be_undone(
    library: Library, client: FakeClient, notices: list[Notice], qtbot: QtBot
) -> None:
    client.script[messages.FindUses] = messages.Uses(sentence="Nothing else needs it.")
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


def test_undo_takes_back_one_act_after_another(
    library: Library, client: FakeClient, notices: list[Notice], qtbot: QtBot
) -> None:
    client.script[messages.FindUses] = messages.Uses(sentence="Nothing else needs it.")
    library.undo()
    library.remove("sort")
    qtbot.waitUntil(lambda: len(notices) == 1)
    library.rename("reverse", "turn")
    qtbot.waitUntil(lambda: len(notices) == 2)
    library.undo()
    qtbot.waitUntil(lambda: len(notices) == 3)
    assert client.requests(messages.Rename)[-1] == messages.Rename(kind="adapters", name="turn", to="reverse")
    assert notices[2].action is None
    library.undo()
    qtbot.waitUntil(lambda: len(notices) == 4)
    assert client.requests(messages.RestoreAdapter) == [messages.RestoreAdapter(name="sort")]
    library.undo()
    notices[0].action[1]()
    qtbot.waitUntil(lambda: client.is_quiet)
    assert len(notices) == 4


def test_what_is_used_is_removed_only_when_that_is_agreed_to(
    library: Library, client: FakeClient, notices: list[Notice], qtbot: QtBot
) -> None:
    client.script[messages.FindUses] = messages.Uses(
        mixes=["mix-1"], sentence="mix-1 keeps playing: it has a copy of its own."
    )
    with qtbot.waitSignal(library.doubted) as doubted:
        library.remove("sort")
    assert doubted.args == [Removal("sort", client.script[messages.FindUses])]
    assert client.requests(messages.RemoveAdapter) == []
    assert library.state.busy == ""
    library.remove_now("sort")
    qtbot.waitUntil(lambda: bool(notices))
    assert client.requests(messages.RemoveAdapter) == [messages.RemoveAdapter(name="sort")]


def test_renaming_follows_and_can_be_undone(
    library: Library, client: FakeClient, notices: list[Notice], qtbot: QtBot
) -> None:
    library.choose("sort")
    library.rename("sort", "sort")
    library.rename("sort", "  ")
    assert client.requests(messages.Rename) == []
    renamed = [*CARDS[1:], adapter("order")]
    client.script[messages.ListAdapters] = messages.Adapters(adapters=renamed)
    library.rename("sort", " order ")
    qtbot.waitUntil(lambda: bool(notices) and library.state.card is not None)
    assert (library.state.chosen, notices[0].message) == ("order", "sort is called order now.")
    notices[0].action[1]()
    assert client.requests(messages.Rename)[-1] == messages.Rename(kind="adapters", name="order", to="sort")


def test_verdicts_are_of_the_base_that_is_chosen_now(
    library: Library, client: FakeClient, qtbot: QtBot
) -> None:
    library.use_base(BASE)
    qtbot.waitUntil(lambda: library.state.fits == FITS.fits)
    client.silent = {messages.JudgeAdapters}
    library.use_base("one")
    assert library.state.fits == {}
    call = client.last(messages.JudgeAdapters)
    library.use_base("two")
    client.answer(call, FITS)
    assert library.state.fits == {}, "an answer about another base is no answer"


def test_without_anything_of_the_hub_there_is_nothing_newer(
    library: Library, client: FakeClient, notices: list[Notice]
) -> None:
    library.check_revisions()
    assert client.requests(messages.CheckRevisions) == []
    assert notices[0].message.startswith("No adapter here came from the Hub")


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


def opened(client: FakeClient) -> LibraryPage:
    activity = Activity(client)
    return LibraryPage(client, activity, Downloads(client, activity), lambda: Account(client))


@pytest.fixture
def page(dressed: QApplication, client: FakeClient, qtbot: QtBot) -> LibraryPage:
    widget = opened(client)
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
    qtbot.waitUntil(lambda: page.view.shown.rowCount() == 9)
    tops = [page.view.cards.visualRect(page.view.shown.index(row, 0)).top() for row in range(9)]
    assert tops.count(tops[0]) == 4
    assert (
        len({page.view.cards.visualRect(page.view.shown.index(row, 0)).size().toTuple() for row in range(9)})
        == 1
    )


def test_what_is_hidden_is_said_and_can_be_shown(page: LibraryPage, qtbot: QtBot) -> None:
    field = page.findChild(QLineEdit, "library-search")
    qtbot.keyClicks(field, "rev")
    assert page.view.shown.rowCount() == 1
    assert button(page, "library-hidden").text() == "2 hidden, show"
    qtbot.mouseClick(button(page, "library-hidden"), Qt.MouseButton.LeftButton)
    assert page.view.shown.rowCount() == 3
    assert not button(page, "library-hidden").isVisible()


def test_the_filter_offers_the_bases_there_are(page: LibraryPage) -> None:
    bases = page.findChild(QComboBox, "library-base")
    assert [bases.itemText(i) for i in range(bases.count())] == ["All bases", "other", BASE]
    bases.setCurrentText("other")
    assert page.view.shown.rowCount() == 1


def test_a_chosen_card_shows_its_details_and_goes_to_the_desk(page: LibraryPage, qtbot: QtBot) -> None:
    page.view.cards.setCurrentIndex(page.view.shown.index(2, 0))
    assert page.library.state.chosen == "sort"
    with qtbot.waitSignal(page.wanted) as wanted:
        qtbot.mouseClick(button(page, "details-add"), Qt.MouseButton.LeftButton)
    assert wanted.args == ["sort"]


def test_enter_on_a_card_adds_it_to_the_desk(page: LibraryPage, qtbot: QtBot) -> None:
    page.view.cards.setCurrentIndex(page.view.shown.index(1, 0))
    with qtbot.waitSignal(page.wanted) as wanted:
        qtbot.keyClick(page.view.cards, Qt.Key.Key_Return)
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
    assert page.view.cards.currentIndex().data() == tmp_path.name


def test_a_folder_that_is_refused_cannot_come_in(page: LibraryPage, qtbot: QtBot, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    drop(page, broken)
    qtbot.waitUntil(lambda: page.library.state.guest is not None)
    assert not button(page, "guest-admit").isVisible()
    qtbot.mouseClick(button(page, "guest-leave"), Qt.MouseButton.LeftButton)
    assert page.library.state.guest is None


@pytest.mark.parametrize("words", ["hello", "hello world/and more", "two/of/them", ""])
def test_words_that_are_dragged_are_not_taken(page: LibraryPage, words: str) -> None:
    assert not let_go(page, words)


@pytest.mark.parametrize(
    "address", ["ada/sorts", "ada/sorts@v1", "hf://ada/sorts", "https://huggingface.co/ada/sorts/tree/main"]
)
def test_an_address_that_is_dropped_or_pasted_is_shown_in_discover(
    page: LibraryPage, qtbot: QtBot, address: str
) -> None:
    with qtbot.waitSignal(page.address_wanted) as wanted:
        assert let_go(page, f" {address}\n")
    assert wanted.args == [address]
    QGuiApplication.clipboard().setText(address)
    with qtbot.waitSignal(page.address_wanted) as wanted:
        page.paste()
    assert wanted.args == [address]


def test_what_was_copied_and_is_no_adapter_is_said(page: LibraryPage) -> None:
    heard: list[Notice] = []
    page.noticed.connect(heard.append)
    QGuiApplication.clipboard().setText("a shopping list")
    page.paste()
    assert [notice.message for notice in heard] == ["What was copied is neither a path nor an address."]


def let_go(page: LibraryPage, words: str) -> bool:
    """Drag words onto the page and let go. Whether the page took them."""
    carried = QMimeData()
    carried.setText(words)
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    where, copy = QPoint(5, 5), Qt.DropAction.CopyAction
    enter = QDragEnterEvent(where, copy, carried, left, none)
    QApplication.sendEvent(page, enter)
    if enter.isAccepted():
        QApplication.sendEvent(page, QDropEvent(QPointF(where), copy, carried, left, none))
    return enter.isAccepted()


def test_a_file_of_another_format_says_that_it_will_be_converted(
    page: LibraryPage, client: FakeClient, qtbot: QtBot, tmp_path: Path
) -> None:
    file = tmp_path / "cat.safetensors"
    client.script[messages.ImportAdapter] = lambda request: [
        messages.Said(text="It has the same weights as sort, at 2 times its strength."),
        msgspec.structs.replace(adapter(request.name), converted="kohya"),
    ]
    heard: list[Notice] = []
    page.noticed.connect(heard.append)
    drop(page, file)
    qtbot.waitUntil(lambda: button(page, "guest-admit").isVisible())
    assert button(page, "guest-admit").text() == "Convert and import"
    assert page.findChild(QLineEdit, "guest-name").text() == "cat"
    qtbot.mouseClick(button(page, "guest-admit"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(heard))
    assert heard[0].message == "cat is in the library, converted from kohya."
    assert heard[0].hint == "It has the same weights as sort, at 2 times its strength."


def test_verdicts_come_from_the_engine_and_say_why(page: LibraryPage, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: len(page.library.state.fits) == 3)
    faces = {row.data(): row.data(AdapterRoles.FACE) for row in map(page.view.shown.index, range(3), [0] * 3)}
    assert {name: face.verdict for name, face in faces.items()} == {
        "sort": "Fits", "reverse": "Not certain", "chat": "Does not fit",
    }  # fmt: skip
    page.library.choose("chat")
    assert not button(page, "details-add").isEnabled()
    spoken = [label.text() for label in page.view.details.findChildren(QLabel) if label.isVisible()]
    assert "Does not fit: Its q_proj reads 512 numbers, that of the base 128." in spoken
    page.library.choose("reverse")
    assert button(page, "details-add").isEnabled()


def test_a_favourite_comes_first_and_tags_filter(page: LibraryPage, client: FakeClient, qtbot: QtBot) -> None:
    page.library.choose("sort")
    qtbot.mouseClick(button(page, "details-star"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.view.shown.index(0, 0).data() == "sort")
    tags = page.findChild(QLineEdit, "details-tags-new")
    qtbot.keyClicks(tags, " letters ")
    qtbot.keyClick(tags, Qt.Key.Key_Return)
    box = page.findChild(QComboBox, "library-tag")
    qtbot.waitUntil(box.isVisible)
    assert client.requests(messages.DescribeAdapter)[-1].tags == ["letters"]
    box.setCurrentText("letters")
    assert [page.view.shown.index(row, 0).data() for row in range(page.view.shown.rowCount())] == ["sort"]
    qtbot.mouseClick(button(page, "details-tags-0"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.view.shown.rowCount() == 3)


def test_a_note_is_kept_when_the_hand_goes_on(page: LibraryPage, client: FakeClient, qtbot: QtBot) -> None:
    page.library.choose("sort")
    note = page.findChild(QPlainTextEdit, "details-note")
    note.setFocus()
    qtbot.keyClicks(note, "the good one")
    page.library.choose("reverse")
    asked = client.requests(messages.DescribeAdapter)
    assert [(request.name, request.note) for request in asked] == [("sort", "the good one")]
    assert note.toPlainText() == ""


def test_a_name_is_written_in_place(page: LibraryPage, client: FakeClient, qtbot: QtBot) -> None:
    page.library.choose("sort")
    field = page.findChild(QLineEdit, "details-name")
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, "order")
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert field.text() == "sort"
    field.selectAll()
    qtbot.keyClicks(field, "order")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(client.requests(messages.Rename)))
    assert client.requests(messages.Rename) == [messages.Rename(kind="adapters", name="sort", to="order")]


def test_keys_rename_and_remove_what_is_chosen(page: LibraryPage, client: FakeClient, qtbot: QtBot) -> None:
    client.script[messages.FindUses] = messages.Uses(sentence="Nothing else needs it.")
    page.library.choose("reverse")
    acts = {action.shortcut().toString(): action for action in page.actions()}
    acts["F2"].trigger()
    assert page.view.name.hasFocus() and page.view.name.selectedText() == "reverse"
    acts["Del"].trigger()
    qtbot.waitUntil(
        lambda: client.requests(messages.RemoveAdapter) == [messages.RemoveAdapter(name="reverse")]
    )
    qtbot.waitUntil(lambda: not page.library.state.busy)
    page.undo()
    qtbot.waitUntil(lambda: bool(client.requests(messages.RestoreAdapter)))


def test_a_newer_revision_takes_the_place_of_the_older(
    page: LibraryPage, client: FakeClient, qtbot: QtBot
) -> None:
    old = msgspec.structs.replace(adapter("sort"), repo="ada/sort", commit="a" * 40, source="hub")
    client.script[messages.ListAdapters] = messages.Adapters(adapters=[old])
    new = msgspec.structs.replace(old, newer="b" * 40)
    client.script[messages.CheckRevisions] = messages.Adapters(adapters=[new])
    client.tell(LibraryChanged(what="adapters"))
    qtbot.waitUntil(button(page, "library-check").isVisible)
    assert not button(page, "details-update").isVisible()
    qtbot.mouseClick(button(page, "library-check"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(button(page, "details-update").isVisible)
    qtbot.mouseClick(button(page, "details-update"), Qt.MouseButton.LeftButton)
    (job,) = client.requests(messages.SubmitJob)
    assert job.spec == messages.Download(
        repo="ada/sort", out="sort", room="adapters", revision="b" * 40, replace=True
    )


def test_an_empty_library_says_what_it_is_for(
    dressed: QApplication, store: QSettings, client: FakeClient, qtbot: QtBot
) -> None:
    client.script[messages.ListAdapters] = messages.Adapters(adapters=[])
    widget = opened(client)
    qtbot.addWidget(widget)
    widget.show()
    qtbot.waitUntil(lambda: button(widget, "library-empty-button").isVisible())
