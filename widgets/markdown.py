"""Markdown of strangers, tamed: bounded, without HTML, nothing in it reads otherwise than it is written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

__all__ = ["LONGEST", "tame"]

LONGEST = 60_000
LONGEST_LINE = 4_000
# Qt lays out every cell of a table and every level of a quotation or list: these many are quick, and enough.
TABLE_ROWS = 150
TABLE_COLUMNS = 24
DEEPEST = 6

_FRONT = re.compile(r"\A\ufeff?---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_NESTING = re.compile(rf"^(?:[ \t]*(?:>|[-+*][ \t]|\d{{1,9}}[.)][ \t])){{{DEEPEST + 1},}}")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|br|center|code|dd|del|details|div|dl|dt|em|figcaption|figure|font|h[1-6]|hr|i|"
    r"iframe|img|input|ins|kbd|li|link|mark|meta|ol|p|picture|pre|s|script|section|small|source|span|strong|style|"
    r"sub|summary|sup|svg|table|tbody|td|tfoot|th|thead|tr|tt|u|ul|video)(?:[\s/][^<>]*)?>|<!--[^<>]*-->",
    re.IGNORECASE,
)
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def tame(text: str) -> str:
    """``text`` without its YAML head and its HTML tags, invisible letters shown, cut at LONGEST characters.

    A cut is said in a last line. Lines of thousands of letters, tables of hundreds of rows and deep nesting
    become plain text, since laying them out would take minutes.
    """
    is_cut = len(text) > LONGEST
    text = text[:LONGEST].replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(map(_shown, _FRONT.sub("", text, count=1)))
    text = "\n".join(_lines(text))
    return f"{text}\n\n*The rest of this card is left out: it is too long.*\n" if is_cut else text


def _lines(text: str) -> Iterator[str]:
    fence, rows = "", 0
    for line in text.split("\n"):
        if len(line) > LONGEST_LINE:
            line = line[:LONGEST_LINE] + " …"
        found = _FENCE.match(line)
        if found and fence in ("", found[1]):
            fence = "" if fence else found[1]
        if fence:
            yield line
            continue
        line = _NESTING.sub("", _TAG.sub("", line))
        rows += "|" in line
        if rows == TABLE_ROWS + 1 and "|" in line:
            yield ""  # else what follows would still be rows of that table
        yield line.replace("|", "¦") if rows > TABLE_ROWS or line.count("|") > TABLE_COLUMNS else line


def _shown(letter: str) -> str:
    """A letter as it is, or its number where it would be invisible and change what is read."""
    is_hidden = letter in _TURNING or unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
    return f"[U+{ord(letter):04X}]" if is_hidden and letter not in "\n\t" else letter
