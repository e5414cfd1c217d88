"""The frame: pages by rail, keys and palette; the engine in words; notices; names for everyone."""

from __future__ import annotations

import gc
import threading

import pytest
import shiboken6
from PySide6.QtCore import QSettings, Qt, QTimer
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QSplitter,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.openings import PAGES
from app.presenters.notice import Notice
from app.shell import Shell
from engine import messages
from tests.app.fake_client import FakeClient
from widgets.tab_order import stops

INTERACTIVE = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
)


def controls(window: QWidget) -> list[QWidget]:
    """Everything a person can operate, without the parts that Qt builds its own controls from."""
    return [
        widget
        for kind in INTERACTIVE
        for widget in window.findChildren(kind)
        if not isinstance(widget, QScrollBar | QHeaderView)
        and not isinstance(widget.parent(), QComboBox | QLineEdit | QAbstractSpinBox)
        and not any(
            isinstance(above, QComboBox) or above.metaObject().className() == "QComboBoxPrivateContainer"
            for above in ancestors(widget)
        )
    ]


def spoken(widget: QWidget) -> str:
    """What a screen reader is told: the accessible name, or the words on a button."""
    return QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)


def ancestors(widget: QWidget) -> list[QWidget]:
    above = []
    while (widget := widget.parentWidget()) is not None:
        above.append(widget)
    return above


def test_the_title_begins_with_the_programs_name(shell: Shell) -> None:
    shell.go("library")
    assert shell.windowTitle().startswith("Adapter Studio")


@pytest.mark.parametrize("place", [1, 2, 3, 4, 5, 6])
def test_pages_by_key(shell: Shell, qtbot: QtBot, place: int) -> None:
    shell.arrive()
    shell.activateWindow()
    qtbot.keyClick(shell, str(place), Qt.KeyboardModifier.ControlModifier)
    assert shell.page().objectName() == list(PAGES)[place - 1]


def test_pages_are_built_on_first_visit_only(shell: Shell) -> None:
    assert shell.pages == {}
    library = shell.go("library")
    shell.go("activity")
    assert list(shell.pages) == ["library", "activity"]
    assert shell.go("library") is library


@pytest.mark.parametrize("name", PAGES)
def test_everything_that_can_be_operated_has_a_name(shell: Shell, name: str) -> None:
    shell.go(name)
    nameless = [
        f"{widget.metaObject().className()} {widget.objectName()!r} {spoken(widget)!r}"
        for widget in controls(shell)
        if not widget.objectName() or not spoken(widget)
    ]
    assert nameless == []


@pytest.mark.parametrize("name", PAGES)
def test_names_are_unique_on_a_page(shell: Shell, name: str) -> None:
    names = [widget.objectName() for widget in controls(shell.go(name))]
    assert sorted(names) == sorted(set(names))


def test_what_the_keyboard_reaches_shows_that_it_has(shell: Shell, qtbot: QtBot) -> None:
    """The focus ring: a focused button looks different from the same button without focus."""
    shell.go("library")
    button = shell.findChild(QAbstractButton, "library-import")
    shell.findChild(QLineEdit, "library-search").setFocus()
    before = button.grab().toImage()
    button.setFocus(Qt.FocusReason.TabFocusReason)
    assert button.hasFocus()
    assert button.grab().toImage() != before


def test_the_palette_finds_an_action_by_letters_and_runs_it(shell: Shell, qtbot: QtBot) -> None:
    shell.go("library")
    qtbot.keyClick(shell, "K", Qt.KeyboardModifier.ControlModifier)
    assert shell.finder.isVisible()
    field = shell.findChild(QLineEdit, "finder-field")
    qtbot.keyClicks(field, "sett go")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert not shell.finder.isVisible()
    assert shell.page().objectName() == "settings"


def test_the_palette_goes_away_on_escape(shell: Shell, qtbot: QtBot) -> None:
    shell.go("library")
    shell.find()
    qtbot.keyClick(shell.findChild(QLineEdit, "finder-field"), Qt.Key.Key_Escape)
    assert not shell.finder.isVisible()


@pytest.mark.parametrize("sheet", ["finder", "sheet"])
def test_the_keyboard_goes_back_to_where_it_was(shell: Shell, qtbot: QtBot, sheet: str) -> None:
    shell.go("settings")
    first, *_, last = (stop for stop in stops(shell.page()) if stop.isVisible() and stop.isEnabled())
    last.setFocus()
    qtbot.waitUntil(last.hasFocus)
    (shell.find if sheet == "finder" else shell.show_keys)()
    assert not last.hasFocus()
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)
    assert last.hasFocus()
    # Where another widget takes the keyboard, it keeps it.
    shell.find()
    first.setFocus()
    assert not shell.finder.isVisible() and first.hasFocus()


def test_the_shortcut_sheet_lists_every_key(shell: Shell, qtbot: QtBot) -> None:
    shell.go("library")
    shell.setFocus()
    qtbot.keyClick(shell, Qt.Key.Key_F1)
    words = [label.text() for label in shell.sheet.findChildren(QWidget) if hasattr(label, "text")]
    assert {"Ctrl+1", "Ctrl+K", "F6", "Ctrl+Z", "Ctrl+I"} <= set(words)
    qtbot.keyClick(shell.sheet, Qt.Key.Key_Escape)
    assert not shell.sheet.isVisible()


def test_f6_steps_through_the_parts_of_the_window(shell: Shell, qtbot: QtBot) -> None:
    shell.go("settings")
    seen = []
    for _ in range(12):
        qtbot.keyClick(shell, Qt.Key.Key_F6)
        seen.append(QApplication.focusWidget().objectName())
    assert {"go-settings", "search", "status-engine"} & set(seen)
    assert any(name.startswith("theme-") for name in seen)
    assert len(set(seen)) >= 4


def test_undo_and_redo_are_the_pages(shell: Shell, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    page = shell.go("library")
    done: list[str] = []
    monkeypatch.setattr(page, "undo", lambda: done.append("undo"))
    monkeypatch.setattr(page, "redo", lambda: done.append("redo"))
    shell.setFocus()
    both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(shell, "Z", Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(shell, "Z", both)
    assert done == ["undo", "redo"]


def test_the_status_line_says_what_the_engine_is_and_uses(shell: Shell, client: FakeClient) -> None:
    card = messages.RuntimeCard(base="b", device="cpu", pid=5)
    client.measure(messages.Load(memory=1_200_000_000, memory_total=24_000_000_000, runtimes=[card]))
    words = [widget.text() for widget in shell.status.findChildren(QWidget) if hasattr(widget, "text")]
    assert {"Engine ready", "cpu", "1.2 GB of 24 GB"} <= set(words)


def test_the_death_of_the_engine_is_told_and_so_is_its_return(shell: Shell, client: FakeClient) -> None:
    client.die()
    assert shell.notice.text.startswith("The engine stopped unexpectedly.")
    client.welcome()
    assert shell.notice.text == "The engine is back."


def test_an_engine_that_was_given_up_can_be_started_again(
    shell: Shell, client: FakeClient, qtbot: QtBot
) -> None:
    client.give_up("The disk is full.")
    assert shell.notice.text == "The disk is full. Free some space."
    again = shell.notice.findChild(QAbstractButton, "notice-action")
    assert again.text() == "Start again"
    qtbot.mouseClick(again, Qt.MouseButton.LeftButton)
    assert client.restarts == 1


def test_details_of_a_notice_can_be_copied(shell: Shell, qtbot: QtBot) -> None:
    shell.say(Notice("bad", "It failed.", "Try again.", "Traceback of everything"))
    qtbot.mouseClick(shell.notice.findChild(QAbstractButton, "notice-copy"), Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "It failed. Try again.\n\nTraceback of everything"


def test_a_notice_takes_no_keyboard(shell: Shell) -> None:
    shell.go("library")
    field = shell.findChild(QLineEdit, "library-search")
    field.setFocus()
    shell.say(Notice("bad", "It failed."))
    assert field.hasFocus()


def test_the_base_is_chosen_for_all_pages_and_remembered(
    shell: Shell, client: FakeClient, store: QSettings, qtbot: QtBot
) -> None:
    bases = [
        messages.BaseCard(name=name, architecture="LlamaForCausalLM", parameters=1, path="/")
        for name in ("one", "two")
    ]
    client.script[messages.ListBases] = messages.Bases(bases=bases)
    library = shell.go("library")
    client.tell(messages.LibraryChanged(what="bases"))
    qtbot.waitUntil(lambda: library.library.state.base == "one")
    shell.findChild(QComboBox, "base").setCurrentText("two")
    assert library.library.state.base == "two"
    assert store.value("base") == "two"


def test_splitters_and_the_page_remember_their_place(
    shell: Shell, client: FakeClient, store: QSettings, qtbot: QtBot
) -> None:
    shell.resize(1200, 700)
    splitter = shell.go("library").findChild(QSplitter)
    splitter.setSizes([500, 600])
    splitter.splitterMoved.emit(500, 1)
    wanted = splitter.sizes()
    shell.close()
    again = Shell(client, store)
    qtbot.addWidget(again)
    again.resize(1200, 700)
    with qtbot.waitExposed(again):
        again.show()
        again.arrive()
    assert again.page().objectName() == "library"
    assert again.page().findChild(QSplitter).sizes() == wanted


def test_nothing_runs_on_after_the_window(dressed: QApplication, store: QSettings, qtbot: QtBot) -> None:
    threads = threading.active_count()
    client = FakeClient()
    client.silent = {messages.SearchHub}  # this one outlives the window
    window = Shell(client, store)
    window.show()
    client.welcome()
    for name in PAGES:
        window.go(name)
    qtbot.waitUntil(lambda: client.is_quiet and bool(client.asked(messages.SearchHub)))
    window.close()
    window.deleteLater()
    qtbot.waitUntil(lambda: not shiboken6.isValid(window))
    # By type: asking lazy objects of other libraries for their class makes them warn.
    timers = [
        (thing.parent(), thing.interval())
        for thing in gc.get_objects()
        if issubclass(type(thing), QTimer) and shiboken6.isValid(thing) and thing.isActive()
    ]
    assert timers == []
    assert threading.active_count() <= threads
