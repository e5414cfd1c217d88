"""The strokes and words that the studies' pictures are made of: SVG, readable on light and on dark ground."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["GREY", "drawing", "stroke", "words"]

GREY = "#888888"


def drawing(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    """A whole picture; ``title`` is what a screen reader says."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
    style = 'font-family="sans-serif" font-size="13"'
    return "\n".join([f"{head} {style}>", f"<title>{title}</title>", *parts, "</svg>\n"])


def words(x: float, y: float, text: str, colour: str = GREY, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{text}</text>'


def stroke(path: str, colour: str, width: float = 1, dashes: str = "") -> str:
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dashes}"/>'
    )
