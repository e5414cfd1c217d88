"""The library's other views: base models, mixes, disk; and its sheets: removal, provenance, publishing."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QCheckBox,
    QDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
)
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from app.models.others import Disk as DiskRows
from app.models.others import Others, base_thing
from app.pages.library import LibraryPage
from app.pages.library.page import VIEWS
from app.presenters.account import Account
from app.presenters.activity import Activity
from app.presenters.downloads import Downloads
from app.presenters.notice import Notice
from app.presenters.publishing import Publishing
from engine import messages
from engine.messages import BaseCard, DiskItem, Fit, HubVerdict, LibraryChanged, Uses
from tests.app.fake_client import FakeClient
from tests.app.scripted_client import BASE, adapter, mix
from tests.app.test_names import reached

BASES = [
    BaseCard(name=BASE, architecture="LlamaForCausalLM", parameters=868_864, path="/b", bytes=1_700_000),
    BaseCard(
        name="large", architecture="LlamaForCausalLM", parameters=7_241_732_096, path="/l", repo="a/large"
    ),
]
FITS = {
    BASE: Fit(verdict="green", reason="Needs about 0.4 GB to answer."),
    "large": Fit(verdict="red", reason="Needs about 15.2 GB to answer; this machine has 8.0 GB in all."),
}
ITEMS = [
    DiskItem(place="bases", name=BASE, bytes=1_700_000, path="/b"),
    DiskItem(place="adapters", name="sort", bytes=300_000, path="/a/sort"),
    DiskItem(place="trash", name="adapters/old", bytes=200_000, path="/t/adapters-old-1"),
    DiskItem(place="jobs", name="1234567890", bytes=1000, path="/j/1234567890"),
]
USE = messages.DiskUse(items=ITEMS, free=10**9, total=10**10)
TOLD = messages.Provenance(
    kind="adapters",
    name="sort",
    facts=[("Came", "downloaded from the Hub"), ("Repository", "ada/sort")],
    files={"adapter_model.safetensors": "ab" * 32},
    command="adapter-studio hub download ada/sort",
)


def judged(request: messages.JudgeHub) -> list[Any]:
    verdicts = [HubVerdict(repo=repo, fit=FITS[repo]) for repo in request.repos]
    return [*verdicts, messages.HubVerdicts(verdicts=verdicts)]


@pytest.fixture
def client(qapp: QApplication) -> FakeClient:
    ready = FakeClient(
        {
            messages.ListAdapters: messages.Adapters(adapters=[adapter("sort"), adapter("reverse")]),
            messages.ListBases: messages.Bases(bases=BASES),
            messages.ListMixes: messages.Mixes(mixes=[mix("mix-1", ["sort", "reverse"], {"sort": 0.75})]),
            messages.JudgeHub: judged,
            messages.MeasureDisk: USE,
            messages.ReadProvenance: TOLD,
            messages.PublishAdapter: published,
            messages.AskAccount: messages.Account(endpoint="https://huggingface.co", name="ada"),
        }
    )
    ready.welcome()
    return ready


def published(request: messages.PublishAdapter) -> list[Any]:
    if request.preview:
        return [messages.Said(text=f"# {request.name} of {request.repo}"), messages.Done()]
    return [
        messages.Said(text="Sending 4 files."),
        messages.Done(path=f"https://huggingface.co/{request.repo}"),
    ]


@pytest.fixture
def page(dressed: QApplication, client: FakeClient, qtbot: QtBot) -> LibraryPage:
    activity = Activity(client)
    account = Account(client)
    widget = LibraryPage(client, activity, Downloads(client, activity), lambda: account)
    qtbot.addWidget(widget)
    widget.resize(1224, 700)
    widget.use_base(BASE)
    widget.show()
    qtbot.waitUntil(lambda: widget.library.state.known)
    return widget


def button(page: LibraryPage, name: str) -> QAbstractButton:
    return page.findChild(QAbstractButton, name)


def press(qtbot: QtBot, page: LibraryPage, name: str) -> None:
    qtbot.mouseClick(button(page, name), Qt.MouseButton.LeftButton)


def sheet(page: LibraryPage, qtbot: QtBot, name: str) -> QDialog:
    qtbot.waitUntil(lambda: page.findChild(QDialog, name) is not None)
    return page.findChild(QDialog, name)


def words(widget: Any) -> str:
    return " ".join(label.text() for label in widget.findChildren(QLabel))


# --- bases ---


def test_bases_say_whether_this_machine_holds_them(
    page: LibraryPage, client: FakeClient, qtbot: QtBot
) -> None:
    view = page.show_view("bases")
    qtbot.waitUntil(lambda: len(view.bases.state.fits) == 2)
    assert client.requests(messages.JudgeHub)[0] == messages.JudgeHub(repos=["large", BASE], room="bases")
    faces = {row.name: row.face for row in view.rows.items}
    assert (faces["large"].verdict, faces["large"].token) == ("Too large", "bad")
    assert (faces[BASE].verdict, faces[BASE].marks) == ("Fits", (("check", "in use"),))
    view.bases.choose("large")
    assert "this machine has 8.0 GB in all" in words(view.details)
    with qtbot.waitSignal(page.base_chosen) as chosen:
        press(qtbot, page, "bases-use")
    assert chosen.args == ["large"]
    with qtbot.waitSignal(page.adapters_wanted) as wanted:
        press(qtbot, page, "bases-find")
    assert wanted.args == ["large"]


def test_the_base_in_use_need_not_be_chosen(page: LibraryPage, qtbot: QtBot) -> None:
    view = page.show_view("bases")
    qtbot.waitUntil(lambda: view.bases.state.known)
    view.bases.choose(BASE)
    assert not button(page, "bases-use").isEnabled()


def test_a_folder_becomes_a_base_where_it_lies(page: LibraryPage, client: FakeClient, qtbot: QtBot) -> None:
    heard: list[Notice] = []
    page.noticed.connect(heard.append)
    client.script[messages.AddBase] = BASES[1]
    page.show_view("bases").take_in("/l")
    qtbot.waitUntil(lambda: bool(heard))
    assert client.requests(messages.AddBase) == [messages.AddBase(path="/l")]
    assert heard[0].message == "large is known now. Its files stay where they lie."
    assert page.view.bases.state.chosen == "large"


def test_a_base_that_a_job_needs_stays_and_says_so(
    page: LibraryPage, client: FakeClient, qtbot: QtBot
) -> None:
    heard: list[Notice] = []
    page.noticed.connect(heard.append)
    client.script[messages.FindUses] = Uses(adapters=["sort"], sentence="Without it sort cannot be heard.")
    client.script[messages.RemoveBase] = messages.Error(code="busy", message="large is needed by a job.")
    view = page.show_view("bases")
    qtbot.waitUntil(lambda: view.bases.state.known)
    view.bases.choose("large")
    press(qtbot, page, "bases-remove")
    asked = sheet(page, qtbot, "removal")
    assert "Without it sort cannot be heard." in words(asked)
    press(qtbot, page, "removal-agree")
    qtbot.waitUntil(lambda: bool(heard))
    assert heard[0].message == "large is needed by a job."


# --- mixes ---


def test_a_mix_goes_onto_the_desk_and_can_be_renamed(
    page: LibraryPage, client: FakeClient, qtbot: QtBot
) -> None:
    view = page.show_view("mixes")
    qtbot.waitUntil(lambda: view.mixes.state.card is not None)
    assert "sort 75 %" in words(view.details)
    with qtbot.waitSignal(page.mix_wanted) as wanted:
        press(qtbot, page, "mixes-play")
    assert wanted.args == ["mix-1"]
    field = page.findChild(QLineEdit, "mixes-name")
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, "band")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(client.requests(messages.Rename)))
    assert client.requests(messages.Rename) == [messages.Rename(kind="mixes", name="mix-1", to="band")]


def test_other_things_are_a_correct_model(qtmodeltester: ModelTester) -> None:
    model = Others()
    model.show([base_thing(card, FITS, BASE) for card in BASES])
    qtmodeltester.check(model)
    index = model.index(1)
    assert "Too large" in index.data(Qt.ItemDataRole.AccessibleDescriptionRole)
    disk = DiskRows(lambda item: item.name)
    disk.show(ITEMS)
    qtmodeltester.check(disk)


# --- disk ---


def test_the_trash_is_emptied_only_when_that_is_agreed_to(
    page: LibraryPage, client: FakeClient, qtbot: QtBot
) -> None:
    heard: list[Notice] = []
    page.noticed.connect(heard.append)
    view = page.show_view("disk")
    qtbot.waitUntil(lambda: len(view.rows.items) == 4)
    assert [view.rows.index(row).data() for row in range(4)] == [BASE, "sort", "old", "Job 12345678"]
    assert page.findChild(QLabel, "disk-sum").text() == "2.2 MB in 4 items; 1.0 GB of 10 GB are free"
    assert not button(page, "disk-delete").isVisible()
    view.list.setCurrentIndex(view.rows.index(2))
    assert button(page, "disk-delete").isVisible()
    assert button(page, "disk-empty").text() == "Empty trash  200 kB"
    press(qtbot, page, "disk-empty")
    sheet(page, qtbot, "disk-sure")
    assert client.requests(messages.EmptyTrash) == []
    press(qtbot, page, "disk-sure-agree")
    qtbot.waitUntil(lambda: bool(heard))
    assert client.requests(messages.EmptyTrash) == [messages.EmptyTrash(items=["adapters/old"])]
    assert heard[0].message == "1 item deleted for good, 200 kB freed."


def test_what_was_removed_comes_back_from_the_trash(
    page: LibraryPage, client: FakeClient, qtbot: QtBot
) -> None:
    view = page.show_view("disk")
    qtbot.waitUntil(lambda: len(view.rows.items) == 4)
    offered = [view.place.itemText(at) for at in range(view.place.count())]
    assert offered == [
        "Everything",
        "Adapters  300 kB",
        "Base models  1.7 MB",
        "Jobs  1.0 kB",
        "Trash  200 kB",
    ]
    assert not button(page, "disk-restore").isVisible()
    view.place.setCurrentIndex(4)
    assert [item.name for item in view.rows.items] == ["adapters/old"]
    press(qtbot, page, "disk-restore")
    qtbot.waitUntil(lambda: bool(client.requests(messages.RestoreAdapter)))
    assert client.requests(messages.RestoreAdapter) == [messages.RestoreAdapter(name="old")]
    client.script[messages.MeasureDisk] = messages.DiskUse(items=ITEMS[:2], free=1, total=2)
    client.tell(LibraryChanged(what="adapters"))
    qtbot.waitUntil(lambda: len(view.rows.items) == 2)
    assert view.place.currentText() == "Everything"


def test_the_disk_is_measured_again_when_the_library_changes(
    page: LibraryPage, client: FakeClient, qtbot: QtBot
) -> None:
    view = page.show_view("disk")
    qtbot.waitUntil(lambda: len(view.rows.items) == 4)
    client.script[messages.MeasureDisk] = messages.DiskUse(items=ITEMS[:2], free=1, total=2)
    client.tell(LibraryChanged(what="adapters"))
    qtbot.waitUntil(lambda: len(view.rows.items) == 2)
    assert button(page, "disk-empty").text() == "Trash is empty"


# --- sheets ---


def test_the_provenance_is_shown_and_can_be_copied(
    page: LibraryPage, client: FakeClient, qtbot: QtBot
) -> None:
    page.library.choose("sort")
    press(qtbot, page, "details-provenance")
    told = sheet(page, qtbot, "provenance")
    assert "downloaded from the Hub" in words(told)
    assert "abababab abababab" in words(told)
    press(qtbot, page, "provenance-copy")
    assert QGuiApplication.clipboard().text() == "adapter-studio hub download ada/sort"
    press(qtbot, page, "provenance-copy-all")
    assert f"sha256 {'ab' * 32}  adapter_model.safetensors" in QGuiApplication.clipboard().text()


def test_publishing_shows_the_card_first_and_is_private(
    page: LibraryPage, client: FakeClient, qtbot: QtBot
) -> None:
    page.library.choose("sort")
    press(qtbot, page, "details-publish")
    form = sheet(page, qtbot, "publish")
    card = form.findChild(QPlainTextEdit, "publish-card")
    qtbot.waitUntil(lambda: card.toPlainText() == "# sort of ada/sort")
    assert form.findChild(QLineEdit, "publish-repo").text() == "ada/sort"
    assert form.findChild(QCheckBox, "publish-private").isChecked()
    assert all(request.preview for request in client.requests(messages.PublishAdapter))
    card.setPlainText("# Mine")
    press(qtbot, page, "publish-send")
    qtbot.waitUntil(button(page, "publish-open").isVisible)
    assert client.requests(messages.PublishAdapter)[-1] == messages.PublishAdapter(
        name="sort", repo="ada/sort", private=True, card="# Mine"
    )
    assert "https://huggingface.co/ada/sort" in words(form)


def test_nobody_publishes_who_is_not_signed_in(page: LibraryPage, client: FakeClient, qtbot: QtBot) -> None:
    client.script[messages.SignOut] = messages.Account(endpoint="https://huggingface.co")
    page._account().sign_out()
    qtbot.waitUntil(lambda: page._account().state.known and not page._account().state.name)
    page.library.choose("sort")
    press(qtbot, page, "details-publish")
    qtbot.waitUntil(button(page, "publish-sign-in").isVisible)
    assert not button(page, "publish-send").isEnabled()


def test_a_failed_publishing_says_why_and_can_be_tried_again(client: FakeClient, qtbot: QtBot) -> None:
    account = Account(client)
    publishing = Publishing(client, account)
    publishing.begin("sort")
    qtbot.waitUntil(lambda: publishing.state.card == "# sort of ada/sort")
    client.script[messages.PublishAdapter] = messages.Error(code="sign-in", message="It may only read.")
    publishing.send()
    assert publishing.state.is_sending
    qtbot.waitUntil(lambda: publishing.state.error is not None)
    assert publishing.state.error.message == "It may only read."
    assert publishing.state.can_send
    client.script[messages.PublishAdapter] = published
    client.silent = {messages.PublishAdapter}
    publishing.send()
    call = client.last(messages.PublishAdapter)
    publishing.cancel()
    assert client.cancelled == [call.id]
    qtbot.waitUntil(lambda: not publishing.state.is_sending)
    assert publishing.state.error is None


# --- names ---


@pytest.mark.parametrize("name", list(VIEWS))
def test_everything_that_can_be_touched_is_called_something(
    page: LibraryPage, qtbot: QtBot, name: str
) -> None:
    view = page.show_view(name)
    qtbot.wait(20)
    parts = reached(view)
    mute = [
        part.objectName() or type(part).__name__
        for part in parts
        if not part.objectName() or not QAccessible.queryAccessibleInterface(part).text(QAccessible.Text.Name)
    ]
    assert len(parts) >= 4
    assert mute == []
    names = [part.objectName() for part in reached(page)]
    assert [name for name in names if names.count(name) > 1] == []


def test_a_removed_model_of_speech_comes_back_by_its_place(
    page: LibraryPage, client: FakeClient, qtbot: QtBot
) -> None:
    gone = DiskItem(place="trash", name="speech/mine", bytes=10, path="/t/speech-mine-1")
    kept = DiskItem(place="speech", name="demo", bytes=20, path="/s/demo")
    client.script[messages.MeasureDisk] = messages.DiskUse(items=[kept, gone], free=1, total=2)
    view = page.show_view("disk")
    qtbot.waitUntil(lambda: len(view.rows.items) == 2)
    assert [view.place.itemText(at) for at in (1, 2)] == ["Speech models  20 B", "Trash  10 B"]
    view.place.setCurrentIndex(2)
    press(qtbot, page, "disk-restore")
    qtbot.waitUntil(lambda: bool(client.requests(messages.RestoreSpeech)))
    assert client.requests(messages.RestoreSpeech) == [messages.RestoreSpeech(path=gone.path)]
