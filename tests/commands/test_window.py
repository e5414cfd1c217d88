"""Whether there is a screen is asked of the screen, not of a variable."""

import socket

import pytest

from engine.commands.studio import display_answers

VARIABLES = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "QT_QPA_PLATFORM")


@pytest.fixture
def nowhere(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_no_variable_no_display(nowhere):
    assert not display_answers()


@pytest.mark.parametrize("display", [":98765", "unix:98765", "127.0.0.1:59000", "nonsense", ":1x"])
def test_a_left_over_variable_is_no_display(nowhere, display):
    nowhere.setenv("DISPLAY", display)
    assert not display_answers()


def test_a_server_that_listens_is_a_display(nowhere, tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "wayland-7"))
        server.listen()
        nowhere.setenv("WAYLAND_DISPLAY", "wayland-7")
        nowhere.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        assert display_answers()
    assert not display_answers()


def test_an_x_server_behind_ssh_is_a_display(nowhere):
    with socket.socket() as server:
        for number in range(10, 60):
            try:
                server.bind(("127.0.0.1", 6000 + number))
                break
            except OSError:
                continue
        server.listen()
        nowhere.setenv("DISPLAY", f"127.0.0.1:{number}.0")
        assert display_answers()


def test_an_asked_for_platform_is_believed(nowhere):
    nowhere.setenv("QT_QPA_PLATFORM", "offscreen")
    assert display_answers()
