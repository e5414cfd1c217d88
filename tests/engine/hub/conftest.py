"""A Hub that this process speaks to, and a keyring that lives in memory."""

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring

from engine.hub.client import Hub
from engine.hub.token import Tokens


class MemoryKeyring(KeyringBackend):
    """What a desktop offers, without one. ``locked``: it does not open."""

    priority = 5
    locked = False

    def __init__(self):
        super().__init__()
        self.kept = {}

    def _open(self):
        if self.locked:
            raise keyring.errors.KeyringLocked("nobody typed the password")

    def get_password(self, service, username):
        self._open()
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self._open()
        self.kept[service, username] = password

    def delete_password(self, service, username):
        self._open()
        del self.kept[service, username]


@pytest.fixture
def ring():
    ring = MemoryKeyring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(NoKeyring())


@pytest.fixture
def site(hub, monkeypatch):
    """The test Hub, entered."""
    hub.enter(monkeypatch)
    return hub


@pytest.fixture
def tokens(site, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return Tokens(home)


@pytest.fixture
def client(tokens):
    return Hub(tokens.read)
