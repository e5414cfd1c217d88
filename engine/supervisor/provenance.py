"""Where a thing of the library comes from, in lines for people."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.formats.mix_file import read_mix
from engine.hub.text import clean
from engine.messages import AdapterCard, BaseCard, LibraryKind, MixCard, Provenance
from engine.supervisor.entry import Entry
from engine.supervisor.recipe import command_for

__all__ = ["tell"]

_CAME = {
    "starter": "with Adapter Studio, in its starter pack",
    "import": "copied from this machine",
    "training": "made here",
    "hub": "downloaded from the Hub",
    "cache": "found in the Hugging Face cache, used where it lies",
}
_RECIPE = re.compile(r"^- ([a-z ]+): (.+)$", re.MULTILINE)
"""The lines of a starter adapter's own card that say how it was made."""


def tell(kind: LibraryKind, entry: Entry) -> Provenance:
    """Everything that was taken down about ``entry`` when it came in, and what its own files say."""
    return Provenance(
        kind=kind,
        name=entry.card.name,
        facts=[(what, clean(value, 500)) for what, value in _facts(entry) if value],
        files=entry.files,
        spec=entry.origin.spec,
        command=command_for(kind, entry),
    )


def _facts(entry: Entry) -> Iterator[tuple[str, str]]:
    card, origin = entry.card, entry.origin
    yield "Came", _how(entry)
    if origin.time:
        yield "On", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(origin.time))
    else:
        yield "Taken down", "" if _source(entry) == "starter" else "nothing: it came in with an older version"
    yield "From", origin.path
    if not isinstance(card, MixCard):
        yield "Repository", card.repo
        yield "Commit", card.commit
        yield "Address", origin.address
    if isinstance(card, BaseCard):
        yield "Architecture", card.architecture
        yield "Parameters", f"{card.parameters:,}"
        yield "Lies in", card.path
    if isinstance(card, AdapterCard):
        yield "Converted from", card.converted
        yield "Newer revision", card.newer
        yield "Licence", card.license
        yield "Base", card.base
    if isinstance(card, MixCard):
        yield "Base", card.base
        yield "Experts", ", ".join(card.experts)
        yield from _made(card)
    if _source(entry) == "starter":
        yield from _starter(Path(card.path))
    yield from _work(entry)
    yield "Called before", ", ".join(entry.former)
    yield "Program", f"Adapter Studio {origin.version}" if origin.version else ""


def _source(entry: Entry) -> str:
    if isinstance(entry.card, AdapterCard | BaseCard):
        return entry.card.source
    return "training" if entry.origin.spec else "import" if entry.origin.path else ""


def _how(entry: Entry) -> str:
    source = _source(entry)
    if source == "import" and isinstance(entry.card, BaseCard):
        return "added where it lies on this machine"
    if source == "training" and entry.origin.spec:
        return f"made here by {entry.origin.spec.get('type', 'a job')}"
    return _CAME.get(source, source)


def _work(entry: Entry) -> Iterator[tuple[str, str]]:
    """What the job says that made it."""
    origin, spec = entry.origin, entry.origin.spec
    yield "Job", origin.job
    yield "Made from", str(spec.get("mix") or spec.get("extend") or spec.get("adapter") or "")
    for name, digest in origin.data.items():
        yield f"Data ({name})" if len(origin.data) > 1 else "Data", f"sha256 {digest}"
    yield "Seed", str(spec["seed"]) if "seed" in spec else ""
    yield "Base's files", ", ".join(f"{name} {digest[:16]}" for name, digest in origin.base.items())
    yield "Steps", f"{origin.steps:,}" if origin.steps else ""
    yield "Took", f"{origin.seconds:.1f} seconds" if origin.seconds else ""
    for name, digest in origin.files.items():
        if name not in entry.files or entry.files[name] != digest:
            yield f"Original {name}", f"sha256 {digest}"


def _made(card: MixCard) -> Iterator[tuple[str, str]]:
    yield "How", card.made
    trained: dict[str, Any] = read_mix(Path(card.path)).trained
    for what, value in trained.items():
        if isinstance(value, str | int | float):
            yield f"Trained: {what}", str(value)


def _starter(folder: Path) -> Iterator[tuple[str, str]]:
    readme = folder / "README.md"
    if readme.is_file():
        for what, value in _RECIPE.findall(readme.read_text(encoding="utf-8")):
            if what != "licence":  # said already
                yield what.capitalize(), value
