"""The background engine: start, stop, status."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from engine.client import Client, find_engine, start_engine, wait_for_end
from engine.commands.session import plain, session
from engine.formats.errors import StudioError
from engine.messages import EngineStatus, Shutdown, Status

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The background engine.")

STOP_SECONDS = 40.0


@app.command()
def start(
    detach: Annotated[
        bool,
        typer.Option("--detach", help="Keep it running when this terminal closes, also when nothing runs."),
    ] = False,
) -> None:
    """Start the engine: it stays while this terminal does, or longer while a job runs."""
    running = start_engine(session.home, detach=detach, parent=os.getppid())
    with Client(running) as client:
        _show(client.call(Status()))


@app.command()
def stop() -> None:
    """Stop the engine. Running jobs are checkpointed and continue at the next start."""
    running = find_engine(session.home)
    if running is not None:
        session.progress("Stopping ...")
        with Client(running) as client:
            client.call(Shutdown())
        if not wait_for_end(running.pid, STOP_SECONDS):
            raise StudioError(
                "busy",
                f"The engine (process {running.pid}) has not stopped yet.",
                "Wait a moment and look again.",
            )
    _show(None)


@app.command()
def status() -> None:
    """Whether the engine runs, and which bases it holds."""
    running = find_engine(session.home)
    if running is None:
        _show(None)
        return
    with Client(running) as client:
        _show(client.call(Status()))


def _show(status: EngineStatus | None) -> None:
    if status is None:
        nothing: dict[str, Any] = {"running": False, "pid": None, "protocol": None, "runtimes": []}
        session.result(nothing, "The engine is not running.")
        return
    lines = [f"The engine runs (process {status.pid}) on {status.home}."]
    lines += [
        f"  {card.base} on {card.device}: {card.state} (process {card.pid})" for card in status.runtimes
    ]
    session.result(plain(status), "\n".join(lines))
