"""What every test stands on: one torch thread, no network, no screen unless a test brings its own."""

import os

import pytest
from pytestqt.qtbot import QtBot

from tests.turns import FilesInTurn, turn

# Set before anything imports torch or Qt; child processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ADAPTER_STUDIO_THREADS", "1")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_CACHE"] = f"{os.devnull}/none"  # what lies there is on every library's shelf
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"  # never that of whoever runs the tests
os.environ["TOKENIZERS_PARALLELISM"] = "false"

# However slow and busy the machine: what comes ends the wait, and nothing else does.
for wait in (QtBot.waitUntil, QtBot.waitSignal, QtBot.waitSignals, QtBot.waitExposed, QtBot.waitActive):
    wait.__kwdefaults__["timeout"] = 30_000


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return FilesInTurn(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    with turn(item):
        return (yield)


@pytest.fixture
def hub(tmp_path):
    """A Hub of its own; see tests/hub/handle.py. ``hub.enter(monkeypatch)`` lets this process speak to it."""
    from tests.hub.handle import HubServer

    with HubServer.start(tmp_path / "hub") as server:
        yield server
