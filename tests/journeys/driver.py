"""Hands and eyes for journeys: a virtual screen, a window on it, xdotool to act, questions to look."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


@contextmanager
def screen(width: int = 1920, height: int = 1080) -> Iterator[str]:
    """An X server on a free display; yields the display's name."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as told:
            number = told.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(30)


class Window:
    """A real window on ``display``. ``look`` asks it; the other verbs are what hands do. ``environment`` is
    its own, as to let it take a server for the Hub."""

    def __init__(
        self,
        home: Path,
        display: str,
        size: tuple[int, int] = (1280, 800),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = {
            **os.environ,
            **(environment or {}),
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "QT_SCALE_FACTOR": "1",
            "PYTHONPATH": str(ROOT),
        }
        self._size = size
        self._home = home
        self._log = (home.parent / "window.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "stage.py"), "--home", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env=self._environment,
        )
        self.pid = self._process.pid

    # eyes

    def look(self, expression: str) -> Any:
        """The value of an expression in the window; AssertionError with its words when it fails."""
        answer = self._ask(expression)
        assert "error" not in answer, f"{expression}: {answer['error']}"
        return answer["value"]

    def until(self, expression: str, seconds: float = 120.0) -> Any:
        """Look again and again until the expression is true."""
        end = time.monotonic() + seconds
        while True:
            answer = self._ask(expression)
            if answer.get("value"):
                return answer["value"]
            assert time.monotonic() < end, f"{expression} stayed {answer} for {seconds:.0f} s"
            time.sleep(0.05)

    @property
    def log(self) -> str:
        """What the windows of this home wrote to their standard error: what went wrong unseen."""
        return Path(self._log.name).read_text()

    def _ask(self, expression: str) -> dict[str, Any]:
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the window is gone: {self.log[-2000:]}"
        return json.loads(line)

    # hands

    def settle(self) -> None:
        """Wait for the first page and put the window into the corner, with the keyboard in it."""
        self.until("shell.page() is not None")
        self.look(f"shell.setGeometry(0, 0, {self._size[0]}, {self._size[1]})")
        self.until("shell.isVisible() and shell.frame.state.engine[2] == 'Engine ready'")
        window = self.look("int(shell.winId())")
        self._hand("windowfocus", "--sync", str(window))
        self.until("shell.isActiveWindow()")

    def click(self, name: str, row: int | None = None) -> None:
        self._hand("mousemove", *self._where(name, row), "click", "1")

    def press(self, place: list[int]) -> None:
        """Click at a place of the screen."""
        self._hand("mousemove", *map(str, place), "click", "1")

    def scroll(self, name: str, notches: int) -> None:
        """Turn the wheel over a widget, down or, with negative ``notches``, up."""
        button = "5" if notches > 0 else "4"
        self._hand("mousemove", *self._where(name), "click", "--repeat", str(abs(notches)), button)

    def drag(self, start: list[int], *stops: list[int], rest: float = 0.0) -> None:
        """Press at ``start``, ten moves 50 ms apart to each stop, ``rest`` seconds there; then release."""
        moves: list[str] = []
        here = start
        for stop in stops:
            for step in range(1, 11):
                x, y = (round(a + (b - a) * step / 10) for a, b in zip(here, stop, strict=True))
                moves += ["mousemove", str(x), str(y), "sleep", "0.05"]
            moves += ["sleep", str(rest)]
            here = stop
        press = ["mousemove", *map(str, start), "sleep", "0.1", "mousedown", "1", "sleep", "0.1"]
        self._hand(*press, *moves, "mouseup", "1")

    def sweep(self, start: list[int], places: Sequence[list[int]], seconds: float) -> float:
        """Press at ``start``, move to each of ``places`` in turn within ``seconds``, release; how long the
        moves took."""
        moves: list[str] = []
        for x, y in places:
            moves += ["mousemove", str(x), str(y), "sleep", f"{seconds / len(places):.4f}"]
        self._hand("mousemove", *map(str, start), "mousedown", "1")
        begun = time.monotonic()
        self._hand(*moves)
        took = time.monotonic() - begun
        self._hand("mouseup", "1")
        return took

    def key(self, *keys: str) -> None:
        self._hand("key", "--delay", "40", *keys)

    def write(self, text: str) -> None:
        self._hand("type", "--delay", "20", text)

    def point(self, x: int, y: int) -> None:
        self._hand("mousemove", str(x), str(y))

    def pause(self, seconds: float) -> None:
        """Let timers of the window run, as before a picture is taken."""
        time.sleep(seconds)

    def _where(self, name: str, row: int | None = None) -> list[str]:
        return [str(value) for value in self.look(f"place({name!r}, {row})")]

    def _hand(self, *words: str) -> None:
        subprocess.run(["xdotool", *words], env=self._environment, check=True, timeout=60)

    def leave(self) -> None:
        """Close the window and leave the engine to its work."""
        self._ask("shell.close()")
        self._process.wait(60)

    def close(self) -> None:
        if self._process.poll() is None:
            self._ask("shell.close()")
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._log.close()
        self._end_engine()

    def _end_engine(self) -> None:
        """The engine outlives the window while it works; the journey is over, so it ends too."""
        try:
            engine = psutil.Process(json.loads((self._home / "engine.json").read_text())["pid"])
            everyone = [engine, *engine.children(recursive=True)]
        except (FileNotFoundError, psutil.NoSuchProcess):
            return
        family = []
        for process in everyone:
            with suppress(psutil.NoSuchProcess):  # it may be ending by itself
                if process.status() != psutil.STATUS_ZOMBIE:
                    process.terminate()
                    family.append(process)
        _, stubborn = psutil.wait_procs(family, timeout=30)
        for process in stubborn:
            with suppress(psutil.NoSuchProcess):
                process.kill()
