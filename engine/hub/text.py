"""Text of strangers: bounded, without control characters, and without what could be a token."""

from __future__ import annotations

import re

__all__ = ["clean", "clean_page", "redact"]

# Control characters, line and paragraph separators, halves of surrogate pairs, and the marks that let a text
# read otherwise than it is written.
_MARKS = r"\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_IN_LINE = re.compile(rf"[\x00-\x1f{_MARKS}]")
_IN_PAGE = re.compile(rf"[\x00-\x08\x0b-\x1f{_MARKS}]")

_SECRET = re.compile(r"\bhf_\w{4,}|(?<=Bearer )[^\s'\"]+", re.ASCII)


def clean(text: object, limit: int = 200) -> str:
    """One line of at most ``limit`` characters. What may not be shown becomes U+FFFD, so that a cleaned name
    is never another, proper name; anything but a string is empty."""
    if not isinstance(text, str):
        return ""
    return _IN_LINE.sub("\ufffd", text[:limit]) + ("…" if len(text) > limit else "")


def clean_page(text: str, limit: int) -> str:
    """Lines of text, as they are, without control characters; at most ``limit`` characters."""
    return _IN_PAGE.sub("", text[:limit].replace("\r\n", "\n"))


def redact(text: str, limit: int = 2000) -> str:
    """``text`` for the details of an error, with anything like a token taken out."""
    return clean_page(_SECRET.sub("<token>", text), limit)
