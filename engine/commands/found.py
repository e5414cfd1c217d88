"""What the Hub holds, as rows of a list and as a page in full, for programs and for people."""

from __future__ import annotations

from typing import Any

from engine.commands.session import plain, table
from engine.formats.sizes import as_size
from engine.messages import HubDetails, HubPage, HubRepo, HubVerdict

__all__ = ["in_full", "in_list", "page_of", "row_of"]

FILES = 20
"""Files that a download leaves out and that are listed for people."""


def row_of(repo: HubRepo, verdict: HubVerdict | None) -> dict[str, Any]:
    """What the contract promises of each repository, and what else a list says."""
    # A config may name its base by somebody's folder, where the repository's tag names it in full.
    told = verdict.base if verdict else ""
    return plain(repo) | {
        "base": told if "/" in told else repo.base or told,
        "kind": verdict.kind if verdict else "",
        "rank": (verdict and verdict.rank) or repo.rank,
        "size": (verdict and verdict.size) or repo.size,
        "parameters": (verdict and verdict.parameters) or repo.parameters,
        "verdict": verdict.fit.verdict if verdict else None,
        "reason": verdict.fit.reason if verdict else repo.hidden,
    }


def page_of(seen: HubDetails) -> dict[str, Any]:
    """Everything about one repository."""
    return row_of(seen.repo, seen.verdict) | {
        "revision": seen.commit,
        "security": seen.security,
        "files": [plain(file) for file in seen.files],
        "address": seen.address,
        "revisions": [plain(one) for one in seen.revisions],
        "card": seen.card,
    }


def in_list(rows: list[dict[str, Any]], page: HubPage, bases: bool) -> str:
    """A table with a verdict in each row, and what it leaves out."""
    what = ("parameters",) if bases else ("base", "rank")
    head = ("repository", *what, "size", "downloads", "licence", "", "")
    text = table(head, [_line(row, what) for row in rows]) or "Nothing was found."
    if page.hidden:
        text += f"\n{page.hidden} hidden, as they cannot be used here; --all shows them with the reason."
    if page.next:
        text += "\nThere is more: raise --limit, or search for words."
    return text


def in_full(values: dict[str, Any], bases: bool) -> str:
    """A page of words: the verdict, what it is, its files and revisions."""
    about = [values["repo"] + (f"  ({values['have']} in the library)" if values["have"] else "")]
    about += [f"{values['verdict']}: {values['reason']}"] if values["verdict"] else []
    about += [_what(values, bases)]
    if values["gated"] and values["address"] not in values["reason"]:
        about += [f"Gated: ask for access at {values['address']}."]
    about += [values["security"], f"{values['address']}, commit {values['revision']}"]
    revisions = table(("revision", "commit"), [(one["name"], one["commit"]) for one in values["revisions"]])
    parts = ["\n".join(filter(None, about)), _files(values["files"]), revisions]
    return "\n\n".join(filter(None, parts))


def _line(row: dict[str, Any], what: tuple[str, ...]) -> list[str]:
    hidden = row["hidden"]
    return [
        row["repo"],
        *(f"{row[key]:,}" if isinstance(row[key], int) else row[key] or "" for key in what),
        _size(row["size"]),
        f"{row['downloads']:,}",
        row["license"] + (" gated" if row["gated"] else ""),
        "hidden" if hidden else row["verdict"] or "",
        f"{hidden[0].upper()}{hidden[1:]}." if hidden else row["reason"],
    ]


def _what(values: dict[str, Any], bases: bool) -> str:
    if bases:
        count = values["parameters"]
        kind = [values["kind"] or "A model", *([f"{count:,} parameters"] if count else [])]
    else:
        rank = f" of rank {values['rank']}" if values["rank"] else ""
        kind = [f"An adapter{rank} for {values['base'] or 'a base that it does not name'}"]
    kind += [f"licence {values['license'] or 'unknown'}"]
    kind += [f"{values[what]:,} {what}" for what in ("downloads", "likes")]
    return f"{', '.join(kind)}."


def _files(files: list[dict[str, Any]]) -> str:
    """What a download fetches first, of the rest the beginning."""
    ordered = sorted(files, key=lambda file: not file["wanted"])
    shown = sum(file["wanted"] for file in files) + FILES
    rows = [(file["name"], _size(file["size"]), file["note"]) for file in ordered[:shown]]
    more = len(ordered) - shown
    return table(("file", "size", ""), rows) + (f"\nand {more:,} more; --json lists all." if more > 0 else "")


def _size(count: int | None) -> str:
    return as_size(count) if count else ""
