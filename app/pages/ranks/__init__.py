"""The ranks page: one adapter, every rank, live."""

from app.pages.ranks.page import RanksPage

__all__ = ["RanksPage"]
