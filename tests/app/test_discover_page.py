"""The page Discover by hand and by keyboard, on a Hub that is a script."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import QDesktopServices, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLabel, QLineEdit, QMenu
from pytestqt.qtbot import QtBot

from app.models.hub import GHOSTS
from app.pages.discover import DiscoverPage
from app.shell import Shell
from engine import messages
from engine.messages import Bases, Error, JobChanged, SearchHub, ShowHub, SignIn, SignInCode, SubmitJob
from tests.app.fake_client import FakeClient
from tests.app.scripted_client import adapter
from tests.app.scripted_hub import ScriptedHub, download, repo
from tests.app.test_discover import HUB_BASE, OWN_BASE
from widgets.open_link import OpenLink


@pytest.fixture
def hub() -> ScriptedHub:
    repos = [repo(number) for number in range(130)]
    repos[2] = repo(2, have="two", commit="")
    repos[5] = repo(5, gated=True)
    return ScriptedHub(repos)


@pytest.fixture
def page(shell: Shell, client: FakeClient, hub: ScriptedHub, qtbot: QtBot) -> DiscoverPage:
    client.script |= hub.script
    client.script[messages.ListBases] = Bases(bases=[HUB_BASE, OWN_BASE])
    shell.resize(1280, 800)
    page = shell.go("discover")
    shell.frame._list()
    qtbot.waitUntil(lambda: any(request.base == "qwen" for request in client.requests(SearchHub)))
    qtbot.waitUntil(lambda: client.is_quiet)
    assert page.found.hub.rowCount() > GHOSTS
    return page


def button(page: DiscoverPage, name: str) -> QAbstractButton:
    found = page.findChild(QAbstractButton, name) or page.head.findChild(QAbstractButton, name)
    assert found is not None, name
    return found


def choose(page: DiscoverPage, number: int, qtbot: QtBot) -> None:
    """Point at a card and wait until its details are there."""
    page.cards.setCurrentIndex(page.found.shown.index(number, 0))
    state = page.discover.repository
    wanted = page.found.hub.items[number].repo
    qtbot.waitUntil(lambda: state.state.details is not None and state.state.details.repo.repo == wanted)


def shown(widget) -> bool:
    return widget.isVisible()


def test_the_list_opens_on_the_windows_base(page: DiscoverPage, client: FakeClient, qtbot: QtBot) -> None:
    assert client.requests(SearchHub)[-1].base == "qwen"
    assert page.findChild(QComboBox, "discover-base").currentText() == "qwen"
    assert page.cards.model().index(0, 0).data() == repo(0).repo


def test_four_cards_stand_side_by_side_at_1280(page: DiscoverPage) -> None:
    tops = [page.cards.visualRect(page.found.shown.index(row, 0)).top() for row in range(9)]
    assert tops.count(tops[0]) == 4


def test_only_what_is_in_sight_is_judged(page: DiscoverPage, client: FakeClient, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: bool(client.requests(messages.JudgeHub)))
    qtbot.waitUntil(lambda: repo(0).repo in page.discover.verdicts.known)
    asked = {name for request in client.requests(messages.JudgeHub) for name in request.repos}
    first, last = page.cards.rows_in_sight()
    assert asked == {repo(number).repo for number in range(first, last + 1)}
    assert len(asked) < len(page.found.hub.items)


def test_the_list_goes_on_as_one_scrolls_and_nothing_jumps(
    page: DiscoverPage, client: FakeClient, qtbot: QtBot
) -> None:
    bar = page.cards.verticalScrollBar()
    client.silent = {SearchHub}
    bar.setValue(bar.maximum())
    assert page.discover.search.found.phase == "more"
    assert page.found.shown.rowCount() == 48 + GHOSTS
    row, place = 40, bar.value()
    before = page.cards.visualRect(page.found.shown.index(row, 0)).topLeft()
    client.answer(client.last(SearchHub), client.script[SearchHub](client.requests(SearchHub)[-1]))
    qtbot.waitUntil(lambda: page.found.shown.rowCount() == 96 + GHOSTS)
    QApplication.processEvents()
    assert bar.value() == place
    assert page.cards.visualRect(page.found.shown.index(row, 0)).topLeft() == before


def test_arrows_go_through_the_cards_and_enter_lays_one_on_the_desk(page: DiscoverPage, qtbot: QtBot) -> None:
    page.cards.setFocus()
    page.cards.setCurrentIndex(page.found.shown.index(0, 0))
    qtbot.keyClick(page.cards, Qt.Key.Key_Right)
    qtbot.keyClick(page.cards, Qt.Key.Key_Right)
    assert page.cards.currentIndex().row() == 2
    with qtbot.waitSignal(page.wanted) as laid:
        qtbot.keyClick(page.cards, Qt.Key.Key_Return)
    assert laid.args == ["two"]
    qtbot.keyClick(page.cards, Qt.Key.Key_Down)
    assert page.cards.currentIndex().row() == 6


def test_enter_on_what_is_not_here_offers_to_fetch_it_first(
    page: DiscoverPage, client: FakeClient, qtbot: QtBot
) -> None:
    page.cards.setFocus()
    page.cards.setCurrentIndex(page.found.shown.index(1, 0))
    qtbot.keyClick(page.cards, Qt.Key.Key_Return)
    fetch = button(page, "discover-download")
    qtbot.waitUntil(fetch.hasFocus)
    hints = [label.text() for label in page.taking.findChildren(QLabel) if label.isVisible()]
    assert "It has to be downloaded first. Then it goes onto the desk." in hints
    qtbot.keyClick(fetch, Qt.Key.Key_Return)
    job = client.requests(SubmitJob)[-1]
    assert (job.spec.repo, job.spec.out, job.spec.revision) == (repo(1).repo, "adapter-1", "main")


def test_the_details_say_it_all(page: DiscoverPage, qtbot: QtBot) -> None:
    choose(page, 1, qtbot)

    def words() -> str:
        return " ".join(label.text() for label in page.details.findChildren(QLabel))

    qtbot.waitUntil(lambda: "Not certain: 3 of 24 projections find no place." in words())
    qtbot.waitUntil(lambda: "2 files of 3, 12 MB; 84 GB are free" in words())
    said = words()
    assert "No scanner of the Hub objects." in said
    assert "optimizer.pt" in said and "a pickle; never fetched" in said
    assert page.details._card.toPlainText().startswith("Sorts letters")
    assert "license" not in page.details._card.toPlainText()
    assert button(page, "discover-download").text() == "Download  12 MB"


def test_a_link_of_a_card_is_shown_before_it_opens(page: DiscoverPage, qtbot: QtBot, monkeypatch) -> None:
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    choose(page, 1, qtbot)
    page.details._card.link.emit("picture.png")
    dialog = page.details.findChild(OpenLink)
    address = dialog.findChild(QLabel, "open-link-address").text().replace("\u200b", "")
    assert address == f"https://huggingface.co/{repo(1).repo}/blob/main/picture.png"
    assert opened == []
    dialog.close()
    button(page, "discover-open").click()
    assert opened == [f"https://huggingface.co/{repo(1).repo}"]


def test_a_name_and_a_revision_can_be_chosen(page: DiscoverPage, client: FakeClient, qtbot: QtBot) -> None:
    choose(page, 1, qtbot)
    page.findChild(QComboBox, "discover-revision").setCurrentText("v1")
    qtbot.waitUntil(lambda: client.requests(ShowHub)[-1].revision == "v1")
    qtbot.waitUntil(lambda: not page.discover.repository.state.is_looking)
    field = page.findChild(QLineEdit, "discover-name")
    field.setText("")
    qtbot.keyClicks(field, "mine")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    spec = client.requests(SubmitJob)[-1].spec
    assert (spec.out, spec.revision, spec.replace) == ("mine", "v1", False)
    assert not shown(field) or page.downloads.of(repo(1).repo) is None


def test_what_is_here_offers_its_use(page: DiscoverPage, qtbot: QtBot) -> None:
    choose(page, 2, qtbot)
    assert not shown(button(page, "discover-download"))
    with qtbot.waitSignal(page.wanted) as laid:
        button(page, "discover-desk").click()
    assert laid.args == ["two"]
    with qtbot.waitSignal(page.shown_in_library) as asked:
        button(page, "discover-library").click()
    assert asked.args == ["adapters", "two"]


def test_a_gated_one_says_what_to_do(page: DiscoverPage, qtbot: QtBot) -> None:
    choose(page, 5, qtbot)
    assert shown(button(page, "discover-gate"))
    choose(page, 6, qtbot)
    assert not shown(button(page, "discover-gate"))


def test_a_page_that_is_closed_to_strangers_offers_to_sign_in(
    page: DiscoverPage, client: FakeClient, qtbot: QtBot
) -> None:
    client.script[ShowHub] = Error(
        code="gated", message="Its owner has to let you in.", hint="Ask on its page."
    )
    page.cards.setCurrentIndex(page.found.shown.index(5, 0))
    qtbot.waitUntil(lambda: page.discover.repository.state.problem is not None)
    assert shown(button(page, "discover-details-sign-in"))
    client.silent = {SignIn}
    button(page, "discover-details-sign-in").click()
    dialog = page._account.dialog
    assert dialog.isVisible()
    code = SignInCode(code="ABCD-1234", address="https://huggingface.co/device", seconds=900)
    client.progress(client.last(SignIn), code)
    assert dialog.findChild(QLineEdit, "sign-in-code").text() == "ABCD-1234"
    client.script |= ScriptedHub(page.found.hub.items).script
    account = messages.Account(endpoint="https://huggingface.co", name="ada", kept="keyring")
    client.answer(client.last(SignIn), account)
    assert not dialog.isVisible()
    qtbot.waitUntil(lambda: page.discover.repository.state.problem is None)
    assert button(page, "discover-account").text() == "ada"


def test_a_token_is_never_readable_and_never_left_in_its_field(
    page: DiscoverPage, client: FakeClient, qtbot: QtBot
) -> None:
    client.silent = {SignIn}
    button(page, "discover-account").click()
    dialog = page._account.dialog
    field = dialog.findChild(QLineEdit, "sign-in-token")
    assert field.echoMode() == QLineEdit.EchoMode.Password
    dialog.findChild(QAbstractButton, "sign-in-use").setEnabled(True)
    field.setText("hf_secret")
    dialog.findChild(QAbstractButton, "sign-in-use").click()
    assert client.requests(SignIn)[-1].token == "hf_secret"
    dialog.findChild(QAbstractButton, "sign-in-cancel").click()
    assert field.text() == ""
    assert not page.account.state.is_signing_in


def test_filters_hide_and_say_how_many(page: DiscoverPage, client: FakeClient, hub, qtbot: QtBot) -> None:
    hub.hidden = 12
    page.findChild(QComboBox, "discover-license").setCurrentText("MIT")
    qtbot.waitUntil(lambda: client.requests(SearchHub)[-1].license == "mit")
    qtbot.waitUntil(lambda: page.discover.search.found.phase == "whole")
    assert shown(page.found._none)
    assert button(page, "discover-hidden").text() == "12 hidden by filters, show"
    button(page, "discover-hidden").click()
    assert client.requests(SearchHub)[-1].everything
    qtbot.waitUntil(lambda: not shown(button(page, "discover-hidden")))
    page.found._none.button.click()
    qtbot.waitUntil(lambda: page.found.shown.rowCount() > 40)
    assert page.findChild(QComboBox, "discover-license").currentText() == "Any licence"


def test_without_the_hub_it_says_so_and_tries_again(
    page: DiscoverPage, client: FakeClient, hub, qtbot
) -> None:
    sentence = "The Hub cannot be reached."
    client.script[SearchHub] = Error(code="offline", message=sentence, hint="Look at the network.")
    client.script[messages.ListAdapters] = messages.Adapters(adapters=[adapter("sort", base="qwen")])
    page.tools.field.setText("sort")
    qtbot.keyClick(page.tools.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: page.found.shown.rowCount() == 1)
    assert page.found.shown.index(0, 0).data() == "sort"
    words = " ".join(label.text() for label in page.found.findChildren(QLabel) if label.isVisible())
    assert f"{sentence} Look at the network. This is what the library has of it." in words
    client.script |= hub.script
    button(page, "discover-retry").click()
    qtbot.waitUntil(lambda: not page.found._trouble.isVisible())


def test_a_mirror_is_named(page: DiscoverPage, client: FakeClient, qtbot: QtBot) -> None:
    label = page.head.findChild(QLabel, "discover-mirror")
    assert not label.isVisible()
    client.script[messages.AskAccount] = messages.Account(endpoint="http://mirror:8080")
    page.account.refresh()
    qtbot.waitUntil(label.isVisible)
    assert label.text() == "Mirror http://mirror:8080"


def test_bases_have_a_room_of_their_own(page: DiscoverPage, client: FakeClient, qtbot: QtBot) -> None:
    button(page, "discover-room.bases").click()
    qtbot.waitUntil(lambda: client.requests(SearchHub)[-1].room == "bases")
    assert not shown(page.findChild(QComboBox, "discover-base"))
    qtbot.waitUntil(lambda: page.found.hub.rowCount() > GHOSTS)
    choose(page, 1, qtbot)
    button(page, "discover-base-adapters").click()
    assert client.requests(SearchHub)[-1].room == "adapters"
    assert client.requests(SearchHub)[-1].base == repo(1).repo
    assert page.findChild(QComboBox, "discover-base").currentText() == repo(1).repo


# The off-screen platform says this of every menu.
@pytest.mark.qt_log_ignore("This plugin does not support")
def test_earlier_searches_are_offered(page: DiscoverPage, client: FakeClient, qtbot: QtBot) -> None:
    assert not button(page, "discover-recent").isEnabled()
    page.tools.field.setText("sort")
    qtbot.keyClick(page.tools.field, Qt.Key.Key_Return)
    page.tools.field.setText("")
    button(page, "discover-recent").click()
    menu = page.findChild(QMenu, "discover-recent-menu")
    assert menu.actions()[0].text() == "sort"
    menu.actions()[0].trigger()
    menu.close()
    assert page.tools.field.text() == "sort"
    assert client.requests(SearchHub)[-1].text == "sort"


def test_ctrl_f_goes_to_the_search_and_f6_through_the_parts(
    shell: Shell, page: DiscoverPage, qtbot: QtBot
) -> None:
    shell.activateWindow()
    page.cards.setFocus()
    qtbot.keyClick(page.cards, "F", Qt.KeyboardModifier.ControlModifier)
    assert page.tools.field.hasFocus()
    reached = set()
    for _ in range(12):
        qtbot.keyClick(shell, Qt.Key.Key_F6)
        reached.add(QApplication.focusWidget().objectName())
    assert {"discover-search", "discover-cards", "go-discover"} <= reached


def drop(target, kind: str, text: str) -> bool:
    carried = QMimeData()
    carried.setData(kind, text.encode())
    given = (Qt.DropAction.CopyAction, carried, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    enter = QDragEnterEvent(QPoint(4, 4), *given)
    QApplication.sendEvent(target, enter)
    QApplication.sendEvent(target, QDropEvent(QPointF(4, 4), *given))
    return enter.isAccepted()


def carried_by(page: DiscoverPage, number: int) -> tuple[str, str]:
    data = page.found.shown.mimeData([page.found.shown.index(number, 0)])
    kind = next(kind for kind in data.formats() if kind.startswith("application/"))
    return kind, bytes(data.data(kind).data()).decode()


def test_a_card_of_the_library_is_dropped_straight_onto_the_mixer(
    shell: Shell, page: DiscoverPage, client: FakeClient, qtbot: QtBot
) -> None:
    client.script[messages.ListAdapters] = messages.Adapters(adapters=[adapter("two", base="qwen")])
    assert drop(shell.findChild(QAbstractButton, "go-mixer"), *carried_by(page, 2))
    qtbot.waitUntil(lambda: shell.page().objectName() == "mixer")
    qtbot.waitUntil(lambda: shell.page().mixer.desk.experts == ["two"])


def test_a_card_that_is_not_here_is_fetched_when_dropped_and_laid_when_it_has_come(
    shell: Shell, page: DiscoverPage, client: FakeClient, qtbot: QtBot
) -> None:
    assert drop(shell.findChild(QAbstractButton, "go-mixer"), *carried_by(page, 1))
    assert shell.page() is page, "nobody is taken away from where they are"
    asked = client.requests(SubmitJob)[-1]
    assert asked.spec.repo == repo(1).repo
    client.script[messages.ListAdapters] = messages.Adapters(adapters=[adapter("adapter-1", base="qwen")])
    running = download("adapter-1", id=asked.id, spec=asked.spec)
    client.tell(JobChanged(job=running))
    done = download("adapter-1", id=asked.id, spec=asked.spec, state="done", result={"name": "adapter-1"})
    client.tell(JobChanged(job=done))
    qtbot.waitUntil(lambda: shell.built("mixer").mixer.desk.experts == ["adapter-1"])
    assert shell.page() is page
    assert shell.notice.text.startswith("adapter-1 is on the desk.")


def test_what_has_come_but_does_not_fit_the_desk_is_not_said_to_lie_there(
    shell: Shell, page: DiscoverPage, client: FakeClient, qtbot: QtBot
) -> None:
    cards = [adapter("mine", base="qwen"), adapter("adapter-1", base="another")]
    client.script[messages.ListAdapters] = messages.Adapters(adapters=cards)
    desk = shell.built("mixer")
    qtbot.waitUntil(lambda: "mine" in desk.mixer.stock.adapters)
    desk.add("mine")
    shell.downloads.wanted_arrived.emit("adapter-1")
    qtbot.waitUntil(lambda: "another" in shell.notice.text)
    assert desk.mixer.desk.experts == ["mine"]


def test_downloads_outlive_the_page_and_their_strip_is_where_it_was(
    shell: Shell, page: DiscoverPage, client: FakeClient, qtbot: QtBot
) -> None:
    client.tell(JobChanged(job=download("sort")))
    assert page.strip.isVisible()
    shell.go("settings")
    client.tell(JobChanged(job=download("sort", step=9_000_000)))
    shell.go("discover")
    assert page.strip.isVisible()
    assert page.downloads.fetches[0].job.step == 9_000_000
