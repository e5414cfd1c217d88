"""The speech models that are loaded: the last two that were used, fewer where memory is scarce."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import psutil

from engine.runtime.base import load_base
from engine.speech.card import CARD
from engine.speech.listener import Listener
from engine.speech.open import open_speech

__all__ = ["Opened"]

KEPT = 2
SCARCE = 0.15
"""Share of the machine's memory that is to be free before another model is loaded beside one."""


def _open(folder: str, device: str) -> Listener:
    return open_speech(folder, lambda path, name, where: load_base(path, name, where), device)


def _memory_left() -> float:
    memory = psutil.virtual_memory()
    return float(memory.available / memory.total)


class Opened:
    """Speech models by their folders. ``load`` opens one, ``left`` is the share of memory that is free."""

    def __init__(
        self,
        device: str,
        load: Callable[[str, str], Listener] = _open,
        left: Callable[[], float] = _memory_left,
    ) -> None:
        self._device = device
        self._load = load
        self._left = left
        self._models: OrderedDict[tuple[str, int], Listener] = OrderedDict()

    def model(self, folder: str) -> Listener:
        """The model in ``folder``, loaded if it is not or has been replaced. StudioError when that fails.

        Whoever is still being answered by one that is dropped keeps it until the end.
        """
        key = folder, _stamp(Path(folder))
        if key in self._models:
            self._models.move_to_end(key)
            return self._models[key]
        while self._models and (len(self._models) >= KEPT or self._left() < SCARCE):
            self._models.popitem(last=False)
        self._models[key] = self._load(folder, self._device)
        return self._models[key]


def _stamp(folder: Path) -> int:
    """Changes when another model comes to the same place."""
    card = folder / CARD
    return (card if card.exists() else folder / "config.json").stat().st_mtime_ns
