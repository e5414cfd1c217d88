"""Settings: the doctor's words, and choices that last."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QSpinBox
from pytestqt.qtbot import QtBot

from app.launch import SETTINGS, EngineProcess
from app.pages.settings import SettingsPage
from app.presenters.account import Account
from app.presenters.settings import Settings
from engine import messages
from engine.messages import Check, Error
from tests.app.fake_client import FakeClient
from widgets.theme import theme

CHECKS = [
    Check(name="engine", ok=True, detail="answers"),
    Check(name="gpu", ok=False, detail="none found", hint="Install its driver."),
]


@pytest.fixture
def client(qapp: QApplication) -> FakeClient:
    ready = FakeClient({messages.RunDoctor: messages.Doctor(checks=CHECKS)})
    ready.welcome()
    return ready


@pytest.fixture
def page(dressed: QApplication, client: FakeClient, store: QSettings, qtbot: QtBot) -> SettingsPage:
    widget = SettingsPage(client, Account(client), store)
    qtbot.addWidget(widget)
    widget.show()
    qtbot.waitUntil(lambda: bool(widget.settings.state.checks))
    return widget


def words(page: SettingsPage) -> set[str]:
    return {label.text() for label in page.findChildren(QLabel)}


def test_the_doctor_speaks_in_words_and_next_steps(page: SettingsPage) -> None:
    assert {"Engine: answers", "GPU: none found", "Install its driver."} <= words(page)


def test_the_doctor_can_be_asked_again(page: SettingsPage, client: FakeClient, qtbot: QtBot) -> None:
    qtbot.mouseClick(page.findChild(QAbstractButton, "doctor-again"), Qt.MouseButton.LeftButton)
    assert page.settings.state.examining
    qtbot.waitUntil(lambda: not page.settings.state.examining)
    assert len(client.requests(messages.RunDoctor)) == 2


def test_a_failed_examination_is_told_and_ends(page: SettingsPage, client: FakeClient, qtbot: QtBot) -> None:
    client.script[messages.RunDoctor] = Error(code="failed", message="The doctor fell ill.")
    with qtbot.waitSignal(page.noticed) as told:
        page.settings.examine()
    assert told.args[0].message == "The doctor fell ill."
    assert not page.settings.state.examining


def test_a_theme_is_worn_at_once_and_remembered(page: SettingsPage, store: QSettings, qtbot: QtBot) -> None:
    qtbot.mouseClick(page.findChild(QAbstractButton, "theme-dark"), Qt.MouseButton.LeftButton)
    assert theme.tokens.name == "dark"
    assert store.value("theme") == "dark"


def test_motion_can_be_reduced(page: SettingsPage, store: QSettings) -> None:
    page.findChild(QAbstractButton, "reduced-motion").setChecked(True)
    assert theme.tokens.motion_ms == 0
    assert store.value("reduced-motion", type=bool) is True


def test_what_was_chosen_for_the_engine_reaches_its_command_line(
    dressed: QApplication, client: FakeClient, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    store = QSettings(str(tmp_path / SETTINGS), QSettings.Format.IniFormat)
    widget = SettingsPage(client, Account(client), store)
    qtbot.addWidget(widget)
    assert EngineProcess(tmp_path)._options() == ["--home", str(tmp_path)]
    widget.findChild(QSpinBox, "engine-threads").setValue(3)
    widget.findChild(QAbstractButton, "keep-engine").setChecked(True)
    store.sync()
    assert EngineProcess(tmp_path)._options() == ["--home", str(tmp_path), "--threads", "3", "--detach"]


def test_an_examination_cut_short_is_done_again_by_the_next_engine(qapp: QApplication, qtbot: QtBot) -> None:
    client = FakeClient({messages.RunDoctor: messages.Doctor(checks=CHECKS)})
    client.welcome()
    client.silent = {messages.RunDoctor}
    settings = Settings(client)
    client.silent = set()
    client.die()
    assert not settings.state.examining
    client.welcome()
    qtbot.waitUntil(lambda: settings.state.checks == tuple(CHECKS))


def test_the_account_can_be_left_and_says_where_its_token_lies(
    page: SettingsPage, client: FakeClient, qtbot: QtBot
) -> None:
    client.script[messages.AskAccount] = messages.Account(
        endpoint="https://huggingface.co", name="ada", kept="keyring"
    )
    assert not page.findChild(QAbstractButton, "settings-sign-out").isVisible()
    client.welcome()
    leave = page.findChild(QAbstractButton, "settings-sign-out")
    qtbot.waitUntil(leave.isVisible)
    assert leave.text() == "Sign out ada"
    assert {"The token lies in this computer's keyring.", "https://huggingface.co"} <= words(page)
    qtbot.mouseClick(leave, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(page.findChild(QAbstractButton, "settings-account").isVisible)
    assert "No token is kept." in words(page)


def test_a_token_of_another_program_is_not_the_studios_to_forget(
    page: SettingsPage, client: FakeClient, qtbot: QtBot
) -> None:
    client.script[messages.AskAccount] = messages.Account(
        endpoint="https://mirror.example", name="ada", kept="elsewhere", problem="The Hub cannot be reached."
    )
    client.welcome()
    leave = page.findChild(QAbstractButton, "settings-sign-out")
    qtbot.waitUntil(leave.isVisible)
    assert not leave.isEnabled()
    assert "The Hub cannot be reached." in words(page)
