"""The mixer page: shelf, desk, router, curves, score."""

from app.pages.mixer.page import MixerPage

__all__ = ["MixerPage"]
