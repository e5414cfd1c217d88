"""The jail's part of a conversion: the parts are worked out again from the file itself, and written."""

from __future__ import annotations

import json
from pathlib import Path

from engine.formats.adapter_folder import CONFIG as ADAPTER_CONFIG
from engine.formats.convert.work import write
from engine.formats.plain import open_plain
from engine.speech.convert.parts import ADAPTER, LIPS, Asked, find_parts

__all__ = ["in_jail"]


def in_jail(work: bytes) -> bytes:
    """JSON {"path", "target", "asked", "source"} in, the checkpoint's kind out."""
    order = json.loads(work)
    parts = find_parts(Path(order["path"]), Asked(**order["asked"]))
    target = Path(order["target"])
    with open_plain(parts.weights.path) as file:
        for place, plan in parts.files():
            with (target / place).open("wb") as out:
                write(plan, file, out)
    source = order["source"]
    if parts.encoder:
        folder = target / LIPS if parts.speech else target
        _write_json(folder / "config.json", {"encoder": parts.encoder.config.as_json(), "source": source})
    if parts.speech:
        speech = parts.speech
        _write_json(target / "speech.json", {"speech": speech.config.as_json(), "source": source})
        _write_json(target / ADAPTER / ADAPTER_CONFIG, dict(speech.lora.config))
    return parts.kind.encode()


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
