"""Opening the window, and looking at what works on this machine."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

from engine.commands.demo import demo
from engine.commands.session import plain, session
from engine.formats.errors import StudioError
from engine.messages import Doctor, RunDoctor

__all__ = ["display_answers", "doctor", "window"]


def window() -> None:
    """Open the window, or say that there is no display and run the demo instead."""
    if not display_answers():
        session.note("There is no display to open a window on, so here is the demo instead.")
        demo()
        return
    status = subprocess.call([sys.executable, "-P", "-m", "app", "--home", str(session.home.root)])
    if status == -signal.SIGABRT:
        raise StudioError(
            "failed",
            "The window broke off while it opened: a library that Qt needs may be missing.",
            "`make run` installs them on Debian and Ubuntu; `adapter-studio demo` works without a window.",
        )
    raise SystemExit(status)


def display_answers() -> bool:
    """Whether a Wayland or X server can be reached; a variable left over from another session is not one."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return True
    wayland, x11 = os.environ.get("WAYLAND_DISPLAY"), os.environ.get("DISPLAY", "")
    if wayland and _connects(str(Path(os.environ.get("XDG_RUNTIME_DIR", "/"), wayland))):
        return True
    parts = re.fullmatch(r"(?P<host>.*):(?P<number>\d+)(\.\d+)?", x11)
    if parts is None:
        return False
    if parts["host"] in ("", "unix"):
        path = f"/tmp/.X11-unix/X{parts['number']}"
        return _connects(path) or _connects("\0" + path)
    return _connects((parts["host"], 6000 + int(parts["number"])))


def _connects(address: str | tuple[str, int]) -> bool:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True


def doctor() -> None:
    """Look what works here: GPU, camera, microphone, Hub, keyring, display ..."""
    session.progress("Looking ...")
    with session.engine() as engine:
        found: Doctor = engine.call(RunDoctor())
    lines = []
    for check in found.checks:
        lines.append(f"{'ok' if check.ok else '--'}  {check.name:<11} {check.detail}")
        if check.hint:
            lines.append(f"    {'':<11} {check.hint}")
    session.result(plain(found), "\n".join(lines))
