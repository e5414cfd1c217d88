"""The page Discover: find something on the Hub, know whether it fits, have it."""

from app.pages.discover.page import DiscoverPage

__all__ = ["DiscoverPage"]
