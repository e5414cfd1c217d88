"""The page Library: adapters, base models, mixes, and what all of them take on the disk."""

from app.pages.library.page import LibraryPage

__all__ = ["LibraryPage"]
