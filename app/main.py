"""Open the window: the engine is started first, then the window is painted, then all else is loaded."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from app.launch import SETTINGS, EngineProcess, home_folder

__all__ = ["main"]

# Once the first page stands and the engine has been greeted.
PRELOAD_MS = 500


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the window on a home and stay until it is closed. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="adapter-studio", description="Open the window of Adapter Studio.")
    parser.add_argument("--home", help="where the library, jobs and settings live")
    options = parser.parse_args(arguments)
    home = home_folder(options.home)
    if sys.platform.startswith("linux") and not _has_display():
        print(
            "There is no display to open a window on. Start it inside a desktop session, "
            "or use the commands: adapter-studio demo",
            file=sys.stderr,
        )
        return 1
    os.umask(0o077)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = EngineProcess(home)
    engine.start()  # before Qt is imported: both load at the same time
    return _open_window(home, engine)


def _has_display() -> bool:
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def _open_window(home: Path, engine: EngineProcess) -> int:
    from PySide6.QtCore import QSettings, QTimer
    from PySide6.QtGui import QIcon
    from PySide6.QtWidgets import QApplication

    from app.engine_client import EngineClient
    from app.shell import Shell
    from widgets.curve_plot import preload
    from widgets.theme import RESOURCES, theme

    app = QApplication(sys.argv[:1])
    app.setApplicationName("adapter-studio")
    app.setDesktopFileName("adapter-studio")
    app.setWindowIcon(QIcon(str(RESOURCES / "icons" / "app.svg")))
    settings = QSettings(str(home / SETTINGS), QSettings.Format.IniFormat)
    theme.choice = settings.value("theme", "system")
    theme.motion_reduced = settings.value("reduced-motion", False, bool)
    theme.start(app)
    client = EngineClient(engine)
    shell = Shell(client, settings)
    # The first paint comes before the first page and the first word to the engine.
    shell.painted.connect(shell.arrive)
    shell.painted.connect(client.open)
    shell.painted.connect(lambda: QTimer.singleShot(PRELOAD_MS, preload))
    shell.show()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: shell.close())  # reaches Python with the client's next look
    status = app.exec()
    client.close()
    return status
