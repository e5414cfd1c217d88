"""NAME.json beside NAME.mkv: devices, clocks, and how far sound and pictures are apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.formats.files import write_file

__all__ = ["sidecar", "write_sidecar"]


def sidecar(clip: Path) -> Path:
    """Where the facts about ``clip`` lie."""
    return clip.with_suffix(".json")


def write_sidecar(clip: Path, facts: dict[str, Any]) -> None:
    """Write ``facts`` beside ``clip``, whole or not at all. StudioError("disk") when that fails.

    ``complete``: the recording was ended properly. ``offset_ms``: milliseconds by which the sound has to
    come later to fit the pictures, for whoever reads the clip; ``applied_ms`` is in the timestamps already.
    """
    write_file(sidecar(clip), (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode())
