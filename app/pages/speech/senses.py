"""How ears, eyes and both are told apart on the page: a colour, a mark, and what their buttons say."""

from __future__ import annotations

from engine.messages import SpeechMode

__all__ = ["ASKING", "HUES", "MARKS"]

HUES: dict[SpeechMode, int] = {"audio": 1, "video": 0, "both": 2}
MARKS: dict[SpeechMode, int] = {"audio": 0, "video": 1, "both": 2}
ASKING: dict[SpeechMode, str] = {
    "audio": "Transcribe by ear",
    "video": "Transcribe from the lips",
    "both": "Transcribe by ear and eye",
}
