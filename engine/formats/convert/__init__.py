"""Adapters in other formats made into today's PEFT format, exactly or not at all, in a locked-down child."""

from __future__ import annotations

import json
from pathlib import Path

from engine.formats import jail
from engine.formats.adapter_folder import CONFIG, read_folder
from engine.formats.convert.foreign import Foreign, find_plan, recognise
from engine.formats.errors import AdapterError
from engine.formats.files import atomic_folder

__all__ = ["Foreign", "convert", "recognise"]

SECONDS = 120.0
MEMORY = 512 << 20
SPARE = 4 << 20  # for the tables of both files


def convert(path: Path, target: Path) -> str:
    """Make the foreign adapter at ``path`` (a file or a folder) into the new folder ``target``, and say what
    it was ("kohya", "a pickle", ...).

    The work is done in a jail that can read the original, write the new folder, and do nothing else. What it
    wrote passes the same checks as any adapter before the folder appears. AdapterError says why it cannot be
    converted; code "refused" when it is unsafe or took too much.
    """
    plan = find_plan(path)
    if plan is None:
        raise AdapterError("There is nothing to convert here.", "Choose an adapter's file or folder.")
    size = max((info.end for info in plan.table().values()), default=0)
    source = path.absolute()
    config = (source if source.is_dir() else source.parent) / CONFIG
    given = [file.resolve() for file in (source, config, plan.weights.path) if file.exists()]
    with atomic_folder(target, doing="converting the adapter") as folder:
        answer = jail.run(
            "engine.formats.convert.work",
            json.dumps({"path": str(source), "target": str(folder.resolve())}).encode(),
            seconds=SECONDS,
            memory=MEMORY + 4 * plan.weights.path.stat().st_size,
            file_size=size + SPARE,
            read=given,
            write=[folder.resolve()],
        )
        read_folder(folder)
    return answer.decode()
