"""A dressed application, a client whose engine is a script, and Qt's own warnings as failures."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.shell import Shell
from tests.app.fake_client import FakeClient
from widgets.theme import theme


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.qt_log_level_fail("WARNING"))
            # The off-screen platform says this of every window with a minimum size.
            item.add_marker(pytest.mark.qt_log_ignore("propagateSizeHints"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """What is still on its way when a test ends would reach windows that are being taken down."""
    client = getattr(item, "funcargs", {}).get("client")
    if isinstance(client, FakeClient):
        client.hang_up()
    return (yield)


@pytest.fixture
def dressed(qapp: QApplication) -> Iterator[QApplication]:
    """The application in our theme, light again afterwards."""
    theme.start(qapp)
    theme.choose("light")
    yield qapp
    theme.reduce_motion(False)
    theme.choose("system")


@pytest.fixture
def client(qapp: QApplication) -> FakeClient:
    """No engine yet."""
    return FakeClient()


@pytest.fixture
def store(tmp_path: Path) -> QSettings:
    return QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)


@pytest.fixture
def shell(
    dressed: QApplication,
    client: FakeClient,
    store: QSettings,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    """The window, shown, with its engine there and listed, and no page open yet. Its camera is a peer's."""
    peer = (sys.executable, str(Path(__file__).with_name("capture_peer.py")), "well")
    monkeypatch.setattr("app.presenters.capture_process.COMMAND", peer)
    window = Shell(client, store)
    qtbot.addWidget(window)
    with qtbot.waitActive(window):
        window.show()
    client.welcome()
    qtbot.waitUntil(lambda: client.is_quiet)
    return window
