"""The window as a process: painted within a second, without torch, and the engine soon after."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

PROBE = """
import json, os, sys, time
from tests.queueing import in_line
born = float(sys.argv[2])
from app.main import main
told = {}

def ours():
    return time.time() - born - in_line(os.getpid())

def watch():
    from PySide6.QtCore import QEvent, QObject, QTimer
    from PySide6.QtWidgets import QApplication
    run = QApplication.exec

    class Eye(QObject):
        def eventFilter(self, watched, event):
            if event.type() == QEvent.Type.Paint and watched.objectName() == "rail" and "painted" not in told:
                QTimer.singleShot(0, lambda: told.setdefault("painted", ours()))
            return False

    def exec_(*_):
        app = QApplication.instance()
        shell = next(w for w in app.topLevelWidgets() if w.objectName() == "shell")
        eye = Eye(app)
        app.installEventFilter(eye)

        def ready():
            told.update(ready=ours(), title=shell.windowTitle(), heavy=sorted(
                name for name in ("torch", "transformers", "numpy", "pyqtgraph") if name in sys.modules))
            shell.close()
        shell.client.welcomed.connect(ready)
        QTimer.singleShot(30000, app.quit)
        return run()
    QApplication.exec = exec_

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "app.shell":
            sys.meta_path.remove(self)
            watch()
        return None
sys.meta_path.insert(0, Finder())
status = main(["--home", sys.argv[1]])
print(json.dumps(told | {"status": status}))
"""


def start(home: Path) -> dict[str, object]:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROBE, str(home), str(time.time())],
        capture_output=True,
        text=True,
        timeout=100,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.alone
def test_painted_within_a_second_and_the_engine_half_a_second_later(
    tmp_path: Path,
) -> None:
    # The best of six, without the time in line for a processor: what else runs is not ours to answer for.
    times = []
    for attempt in range(6):
        told = start(tmp_path / str(attempt))
        assert told["status"] == 0
        assert told["heavy"] == []
        assert str(told["title"]).startswith("Adapter Studio")
        times.append((told["painted"], told["ready"]))
        if told["painted"] < 1.0 and told["ready"] < told["painted"] + 0.5:
            return
    pytest.fail(f"painted and ready after: {times}")


def test_without_a_display_it_says_what_to_do(tmp_path: Path) -> None:
    bare = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    }
    ran = subprocess.run(
        [sys.executable, "-m", "app", "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        env=bare,
    )
    assert ran.returncode == 1
    assert "adapter-studio demo" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_void_calls_keep_their_reference_to_none(qtbot: QtBot) -> None:
    """A binding that drops one reference to None per call ends in a fatal error after some thousand."""
    label = QLabel()
    qtbot.addWidget(label)
    before = sys.getrefcount(None)
    for turn in range(1000):
        label.setText(str(turn))
        label.setToolTip(str(turn))
        label.update()
    assert abs(sys.getrefcount(None) - before) < 200
