"""What can be done on the understanding side of the speech page: words for the palette, keys, and the act."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt

from app.pages.speech.desk import SpeechDesk
from app.pages.speech.models import ModelBar
from app.pages.speech.senses import ASKING
from app.presenters.transcript_columns import MODES
from app.presenters.transcript_files import KINDS
from app.presenters.transcripts import Transcripts

__all__ = ["Act", "acts"]

Act = tuple[str, str, Callable[[], object]]


def acts(desk: SpeechDesk, models: ModelBar, transcripts: Transcripts) -> list[Act]:
    """(words, keys, act) of each, in the order of the palette."""
    by_key = Qt.FocusReason.ShortcutFocusReason
    columns = desk.columns

    return [
        ("Transcribe by ear, by eye and by both", "Ctrl+Return", lambda: transcripts.transcribe()),
        *(
            (ASKING[mode], f"Alt+{number}", partial(transcripts.transcribe, mode))
            for number, mode in enumerate(MODES, 1)
        ),
        ("Cancel transcribing", "", transcripts.cancel),
        ("Transcribe every clip of the shelf", "", lambda: transcripts.enqueue(transcripts.shelf)),
        ("Type what is said in the clip", "Ctrl+L", lambda: columns.reference.setFocus(by_key)),
        ("Go to the words", "Ctrl+J", lambda: columns.view.setFocus(by_key)),
        ("More noise", "Ctrl+Up", lambda: desk.noise.step(1)),
        ("Less noise", "Ctrl+Down", lambda: desk.noise.step(-1)),
        ("Measure errors by noise", "Ctrl+M", transcripts.measure),
        ("Copy the words", "Ctrl+Shift+C", desk.export.copy_words),
        *(
            (f"Save the words: {words}", "", partial(desk.export.save_as, kind))
            for kind, words in KINDS.items()
        ),
        ("Live captions", "Ctrl+Shift+L", desk.live.present),
        ("Import a model of speech", "", models.open_import),
        ("Train a model of speech", "", models.open_training),
        ("Fetch Whisper, for real voices", "", transcripts.models.fetch_whisper),
    ]
