"""What was understood of a recording, in NAME.json beside NAME.mkv, which recording wrote."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from app.presenters.transcript_files import write
from engine.messages import SpeechMode, SpokenWord, Transcript

__all__ = ["KeptTranscript", "keep", "kept"]

OURS = ("complete", "offset_ms")
"""Fields of every sidecar of a recording; a file of that name without them is somebody else's."""


class KeptTranscript(msgspec.Struct, frozen=True):
    """The field ``transcript``: the last answer about the clip as it was recorded. ``mode`` is the sense the
    words come from, ``asked`` the one that was asked for; ``when`` is local time with its zone, ISO 8601."""

    mode: SpeechMode
    asked: SpeechMode
    text: str
    words: list[SpokenWord]
    model: str
    when: str


def keep(clip: str, said: Transcript) -> bool:
    """Write ``said`` beside ``clip``, whole or not at all, and leave every other field as it is. False where
    no sidecar of a recording lies there. OSError where it cannot be written; then nothing has changed."""
    facts = _facts(clip)
    if facts is None:
        return False
    when = datetime.now().astimezone().isoformat(timespec="seconds")
    record = KeptTranscript(said.read_as, said.mode, said.text, said.words, said.model, when)
    facts["transcript"] = msgspec.to_builtins(record)
    write(_beside(clip), json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return True


def kept(clip: str) -> KeptTranscript | None:
    """What was understood of ``clip`` before; None where nothing was kept, or it cannot be read."""
    facts = _facts(clip)
    if facts is None:
        return None
    try:
        return msgspec.convert(facts.get("transcript"), KeptTranscript)
    except msgspec.ValidationError:
        return None


def _beside(clip: str) -> Path:
    return Path(clip).with_suffix(".json")


def _facts(clip: str) -> dict[str, Any] | None:
    try:
        facts = json.loads(_beside(clip).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) and all(name in facts for name in OURS) else None
