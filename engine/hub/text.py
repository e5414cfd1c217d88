"""Text of strangers: bounded, without control characters, and without what could be a token."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["clean", "clean_page", "redact"]

_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that let a text read otherwise than it is written."""

_SECRET = re.compile(r"\bhf_\w{4,}|(?<=Bearer )[^\s'\"]+", re.ASCII)


def clean(text: object, limit: int = 200) -> str:
    """One line of at most ``limit`` characters. What may not be shown becomes U+FFFD, so that a cleaned name
    is never another, proper name; anything but a string is empty."""
    if not isinstance(text, str):
        return ""
    cut = text[:limit] + ("…" if len(text) > limit else "")
    return "".join("\ufffd" if _forbidden(letter) else letter for letter in cut)


def clean_page(text: str, limit: int) -> str:
    """Lines of text, as they are, without control characters; at most ``limit`` characters."""
    lines = text[:limit].replace("\r\n", "\n")
    return "".join(letter for letter in lines if letter in "\n\t" or not _forbidden(letter))


def redact(text: str, limit: int = 2000) -> str:
    """``text`` for the details of an error, with anything like a token taken out."""
    return clean_page(_SECRET.sub("<token>", text), limit)


def _forbidden(letter: str) -> bool:
    return letter in _TURNING or unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
