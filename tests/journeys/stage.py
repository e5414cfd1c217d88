"""The real window with a listener: `python stage.py --home DIR` opens it exactly as `python -m app` does.

Every line on stdin is a Python expression about the window, evaluated between two events; its value goes to
stdout as one line of JSON. Hands stay outside: xdotool moves the mouse and types, the expressions look.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from PySide6.QtCore import QPoint, QRect, QSocketNotifier, Qt, QTimer
from PySide6.QtWidgets import QApplication, QComboBox, QWidget

import app.shell
from app.main import main
from engine import messages
from widgets.notice_bar import NoticeBar
from widgets.theme import theme

BEAT_MS = 5


class Looker:
    """What an expression may use: the shell, widgets by name, their places on the screen, delays."""

    def __init__(self, shell: app.shell.Shell) -> None:
        self.shell = shell
        self._delays: list[float] = []
        self._last = 0.0
        self._beat = QTimer(shell, interval=BEAT_MS, timerType=Qt.TimerType.PreciseTimer)
        self._beat.timeout.connect(self._measure)
        self._notifier = QSocketNotifier(sys.stdin.fileno(), QSocketNotifier.Type.Read, shell)
        self._notifier.activated.connect(self._look)
        self._unread = b""
        self._is_watching = False
        self._said: list[str] = []
        self._listen_to(shell.notice)

    def named(self, name: str) -> QWidget:
        """The widget of that object name; AssertionError when it is not there."""
        found = [widget for widget in self.shell.findChildren(QWidget, name)]
        assert found, f"no widget is called {name}"
        return found[0]

    def place(self, name: str, row: int | None = None) -> list[int]:
        """The middle of a visible widget (or of a list's row) on the screen, [x, y]."""
        widget = self.named(name)
        assert widget.isVisible(), f"{name} cannot be seen"
        where: QRect = widget.rect()
        if row is not None:
            where = widget.visualRect(widget.model().index(row, 0))
            widget = widget.viewport()
        return list(widget.mapToGlobal(where.center()).toTuple())

    def point(self, name: str, x: float, y: float) -> list[int]:
        return list(self.named(name).mapToGlobal(QPoint(round(x), round(y))).toTuple())

    def row(self, name: str, text: str) -> int:
        """The row of a list that shows ``text``."""
        model = self.named(name).model()
        return [model.index(row, 0).data() for row in range(model.rowCount())].index(text)

    def focus(self) -> str:
        widget = QApplication.focusWidget()
        return widget.objectName() if widget else ""

    def offers(self, name: str) -> list[str]:
        box: QComboBox = self.named(name)
        return [box.itemText(index) for index in range(box.count())]

    def beat(self) -> None:
        """Begin to measure how late the event loop is."""
        self._delays.clear()
        self._last = time.perf_counter()
        self._beat.start()

    def delays(self) -> list[float]:
        """Milliseconds by which each beat came late since ``beat``."""
        return self._delays

    def watch_answers(self) -> None:
        """Note the training's step now, and again when each answer begins."""
        mixer = self.shell.page().mixer
        self._asked_at = mixer.training.job.step
        self._began_at: dict[str, int] = {}
        if not self._is_watching:
            self._is_watching = True
            mixer.answers.started.connect(
                lambda pane: self._began_at.setdefault(pane, mixer.training.job.step)
            )

    def steps_until_first_token(self) -> dict[str, int]:
        """Training steps between the question and each pane's first token."""
        return {pane: step - self._asked_at for pane, step in self._began_at.items()}

    def clipboard(self) -> str:
        return QApplication.clipboard().text()

    def said(self) -> list[str]:
        """Every sentence that the notice bar was given."""
        return self._said

    def picture(self, path: str, name: str = "") -> bool:
        """What the window looks like, or one named widget of it, as a dialog beside it."""
        return bool((self.named(name) if name else self.shell).grab().save(path))

    def _listen_to(self, bar: NoticeBar) -> None:
        show = bar.say

        def say(level: str, message: str, *more: Any) -> None:
            self._said.append(message)
            show(level, message, *more)

        bar.say = say

    def _measure(self) -> None:
        now = time.perf_counter()
        self._delays.append(max(0.0, 1000 * (now - self._last) - BEAT_MS))
        self._last = now

    def _look(self) -> None:
        self._unread += os.read(sys.stdin.fileno(), 65536)
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            print(json.dumps(self._answer(line.decode()), default=_plain), flush=True)

    def _answer(self, expression: str) -> dict[str, Any]:
        names = {name: getattr(self, name) for name in dir(self) if not name.startswith("_")}
        names |= {"QPoint": QPoint, "messages": messages, "theme": theme}
        names["page"] = self.shell.page()
        names["mixer"] = getattr(names["page"], "mixer", None)
        try:
            return {"value": eval(expression, names)}
        except (AssertionError, AttributeError, ValueError, KeyError, IndexError, TypeError) as error:
            return {"error": f"{type(error).__name__}: {error}"}


def _plain(value: Any) -> Any:
    """numpy's numbers as Python's; of anything else what it calls itself."""
    return value.item() if hasattr(value, "item") else repr(value)


def listen() -> None:
    """Give every shell that is opened a listener."""
    build = app.shell.Shell.__init__

    def build_and_listen(shell: app.shell.Shell, *given: Any) -> None:
        build(shell, *given)
        shell.looker = Looker(shell)

    app.shell.Shell.__init__ = build_and_listen


if __name__ == "__main__":
    listen()
    sys.exit(main(sys.argv[1:]))
