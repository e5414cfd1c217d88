"""The mixer page and its views."""

from app.pages.mixer.page import MixerPage

__all__ = ["MixerPage"]
