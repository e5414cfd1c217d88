"""Whether this machine holds a base: its memory, as far as it can be known without torch."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
from dataclasses import dataclass

import psutil

from engine.formats.footprint import Footprint
from engine.messages import Fit

__all__ = ["Machine", "memory_fit", "this_machine"]

SPARE = 0.9
"""The part of a memory that may be planned with."""

ANSWER = 3.0
"""Seconds that a graphics card's driver gets to answer."""


@dataclass(frozen=True)
class Machine:
    """Bytes of memory, in all and free now; of the graphics card where one would be used."""

    total: int
    free: int
    gpu: bool = False


def this_machine() -> Machine:
    """The memory of the graphics card that has the most free, if the installed torch can use one at all;
    else the machine's own."""
    cards = [] if importlib.metadata.version("torch").endswith("+cpu") else _cards()
    if cards:
        free, total = max(cards)
        return Machine(total=total, free=free, gpu=True)
    memory = psutil.virtual_memory()
    return Machine(total=memory.total, free=memory.available)


def _cards() -> list[tuple[int, int]]:
    """(free, total) bytes of NVIDIA's cards, as far as their own tool tells in time."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    question = ("--query-gpu=memory.free,memory.total", "--format=csv,noheader,nounits")
    try:
        asked = subprocess.run([tool, *question], capture_output=True, text=True, timeout=ANSWER, check=True)
        rows = [line.split(",") for line in asked.stdout.splitlines() if line.strip()]
        return [(int(free) << 20, int(total) << 20) for free, total in rows]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []  # a card whose driver does not answer cannot be counted on


def memory_fit(footprint: Footprint, machine: Machine) -> Fit:
    """Green: it can be trained here; amber: answers only, or not before other programs end; red: neither."""
    answer, train = footprint.to_answer, footprint.to_train
    place = "the graphics card" if machine.gpu else "this machine"
    needs = f"Needs about {_say(answer)} to answer and {_say(train)} to train"
    has = f"{place} has {_say(machine.free)} free"
    if answer > machine.total * SPARE:
        return Fit(verdict="red", reason=f"{needs}; {place} has {_say(machine.total)} in all.")
    if answer > machine.free * SPARE:
        reason = f"{needs}; {has} of {_say(machine.total)}: close other programs first."
        return Fit(verdict="amber", reason=reason)
    if train > machine.free * SPARE:
        return Fit(verdict="amber", reason=f"{needs}; {has}: enough for answers, not for training.")
    return Fit(verdict="green", reason=f"{needs}; {has}.")


def _say(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
