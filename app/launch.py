"""The engine as a process: start it, find it, see whether it lives. Imports neither Qt nor zmq."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
from pathlib import Path

__all__ = ["ENGINE_THREADS", "KEEP_ENGINE", "SETTINGS", "EngineProcess", "home_folder"]

SETTINGS = "window.ini"
ENGINE_THREADS = "engine-threads"
KEEP_ENGINE = "keep-engine"
START_LOG = "engine-start.log"


def home_folder(given: str | None = None) -> Path:
    """The home: as given, else ``ADAPTER_STUDIO_HOME``, else where this system keeps a program's data."""
    chosen = given or os.environ.get("ADAPTER_STUDIO_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return Path(user_data_path("adapter-studio", appauthor=False))


class EngineProcess:
    """The engine of one home, whether this window started it or found it running."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the engine unless one serves this home. Returns at once; ``find`` says when it is there."""
        if self.find() is not None:
            return
        logs = self.home / "logs"
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (logs / START_LOG).open("wb") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "engine.supervisor", *self._options()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl+C in a terminal is for the window; it decides for the engine
            )

    def find(self) -> tuple[int, str] | None:
        """Process id and address of the engine that serves this home, or None while there is none."""
        try:
            told = json.loads((self.home / "engine.json").read_text(encoding="utf-8"))
            pid, address = int(told["pid"]), str(told["socket"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # not written yet, or left half-written by an engine that died: no engine either way
        return (pid, address) if self._lives(pid) else None

    def starting(self) -> bool:
        """Whether the process started here is still running."""
        return self._child is not None and self._child.poll() is None

    def refusal(self) -> tuple[str, str, str]:
        """Why the engine did not start: sentence, next step and details, from what it printed."""
        try:
            said = (self.home / "logs" / START_LOG).read_text(encoding="utf-8", errors="replace")[-4000:]
        except FileNotFoundError:
            said = ""
        for line in reversed(said.splitlines()):
            try:
                error = json.loads(line)["error"]
                return str(error["message"]), str(error.get("hint", "")), said
            except (ValueError, KeyError, TypeError):
                continue  # an ordinary line of the log
        return "The engine does not start.", "Start it again from the status line.", said

    def _options(self) -> list[str]:
        """The home, and what was chosen in the settings."""
        settings = configparser.RawConfigParser(strict=False)
        settings.read(self.home / SETTINGS, encoding="utf-8")
        threads = settings.get("General", ENGINE_THREADS, fallback="")
        options = ["--home", str(self.home), *(["--threads", threads] if threads else [])]
        if settings.getboolean("General", KEEP_ENGINE, fallback=False):
            options.append("--detach")
        return options

    def _lives(self, pid: int) -> bool:
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is None
        import psutil

        try:
            return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False
