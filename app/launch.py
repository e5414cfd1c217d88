"""The engine as a process: start it, find it, see whether it lives. Imports neither Qt nor zmq."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
from pathlib import Path

__all__ = ["ENGINE_THREADS", "SETTINGS", "EngineProcess", "home_folder"]

SETTINGS = "window.ini"
ENGINE_THREADS = "engine-threads"


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
        with (logs / "engine-start.log").open("wb") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "engine.supervisor", "--home", str(self.home)],
                env=self._environment(),
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

    def last_words(self) -> str:
        """The end of what the engine printed while starting, for the details of an error."""
        try:
            said = (self.home / "logs" / "engine-start.log").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return said[-4000:]

    def _environment(self) -> dict[str, str]:
        """This process's, with the number of threads that was chosen in the settings, if any."""
        settings = configparser.RawConfigParser(strict=False)
        settings.read(self.home / SETTINGS, encoding="utf-8")
        threads = settings.getint("General", ENGINE_THREADS, fallback=0)
        return os.environ | ({"ADAPTER_STUDIO_THREADS": str(threads)} if threads else {})

    def _lives(self, pid: int) -> bool:
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is None
        import psutil

        try:
            return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False
