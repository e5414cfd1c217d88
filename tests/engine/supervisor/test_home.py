import stat
from pathlib import Path

import pytest

from engine.formats.errors import StudioError
from engine.supervisor.home import MAX_SOCKET_PATH, Announcement, Home, find_home


def test_option_beats_environment_beats_default(tmp_path, monkeypatch):
    monkeypatch.setenv("ADAPTER_STUDIO_HOME", str(tmp_path / "named"))
    assert find_home(tmp_path / "given").root == tmp_path / "given"
    assert find_home().root == tmp_path / "named"
    monkeypatch.delenv("ADAPTER_STUDIO_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert find_home().root == tmp_path / "adapter-studio"


def test_everything_is_private(tmp_path):
    home = Home(tmp_path / "home")
    home.prepare()
    for folder in (home.root, *home.root.iterdir()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder


def test_one_lock_per_home(tmp_path):
    home = Home(tmp_path)
    lock = home.lock()
    home.announce(Announcement(pid=1, socket="ipc:///x", protocol=1))
    with pytest.raises(StudioError, match="process 1"):
        Home(tmp_path).lock()
    lock.release()
    Home(tmp_path).lock().release()


def test_a_long_home_gets_a_short_private_socket(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    home = Home(tmp_path / ("long" * 30))
    path = home.socket_path()
    try:
        assert len(str(path)) <= MAX_SOCKET_PATH
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert home.socket_path() == path
        assert Home(tmp_path / ("long" * 31)).socket_path() != path
    finally:
        path.parent.rmdir()
        Home(tmp_path / ("long" * 31)).socket_path().parent.rmdir()


def test_a_strangers_link_in_the_socket_folders_place_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    home = Home(tmp_path / ("long" * 30))
    folder = home.socket_path().parent
    folder.rmdir()
    folder.symlink_to(tmp_path)
    try:
        with pytest.raises(StudioError, match="somebody else"):
            home.socket_path()
    finally:
        folder.unlink()


def test_the_announcement_of_a_dead_engine_is_stale(tmp_path):
    home = Home(tmp_path)
    assert home.read_announcement() is None
    home.announce(Announcement(pid=2**22 - 7, socket="ipc:///x", protocol=1))
    assert home.read_announcement() is None
    Path(home.announcement).write_text("{half")
    assert home.read_announcement() is None
