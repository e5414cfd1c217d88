"""Opening the window, and looking at what works on this machine."""

from __future__ import annotations

import os
import subprocess
import sys

from engine.commands.demo import demo
from engine.commands.session import plain, session
from engine.messages import Doctor, RunDoctor

__all__ = ["doctor", "window"]


def window() -> None:
    """Open the window, or say that there is no display and run the demo instead."""
    if sys.platform.startswith("linux") and not any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    ):
        session.note("There is no display to open a window on, so here is the demo instead.")
        demo()
        return
    command = [sys.executable, "-m", "app", "--home", str(session.home.root)]
    raise SystemExit(subprocess.call(command))


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
