"""The speech page: what is said, by ear and by eye."""

from app.pages.speech.page import SpeechPage

__all__ = ["SpeechPage"]
