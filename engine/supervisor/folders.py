"""The folders of the library: copied, moved, compared with their hashes, described, exported."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from pathlib import Path

from engine.formats.adapter_file import CONFIG, STUDIO, WEIGHTS, read_folder
from engine.formats.errors import StudioError
from engine.formats.files import atomic_folder, explain_os_error, sha256_file, sync_folder
from engine.messages import Verification
from engine.supervisor.store import Entry

__all__ = [
    "ADAPTER_FILES",
    "copy_adapter",
    "export_at_rank",
    "hashes",
    "move",
    "read_readme",
    "verify_entry",
]

ADAPTER_FILES = (CONFIG, WEIGHTS, STUDIO, "README.md")
"""All that is ever taken from an adapter's folder."""


def copy_adapter(source: Path, target: Path, tmp: Path | None) -> None:
    """Copy the files of an adapter, and look at what arrived rather than at what was there before."""
    with atomic_folder(target, tmp=tmp, doing="copying the adapter") as work:
        for name in ADAPTER_FILES:
            if (source / name).is_file():
                shutil.copyfile(source / name, work / name)
        read_folder(work)


def move(source: Path, target: Path, doing: str) -> None:
    try:
        source.rename(target)
        sync_folder(target.parent)
        sync_folder(source.parent)
    except OSError as error:
        raise explain_os_error(error, doing) from error


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def verify_entry(entry: Entry) -> Verification:
    folder, name = Path(entry.card.path), entry.card.name
    for file, expected in entry.files.items():
        if not (folder / file).is_file():
            return Verification(name=name, ok=False, detail=f"{file} is missing.")
        if sha256_file(folder / file) != expected:
            return Verification(name=name, ok=False, detail=f"{file} is not what it was when it came in.")
    return Verification(name=name, ok=True, detail=f"{len(entry.files)} files unchanged.")


def read_readme(path: Path) -> tuple[str, str]:
    """The first paragraph and the licence of a model card, "" where it has none."""
    if not path.is_file():
        return "", ""
    text = path.read_bytes()[:65536].decode(errors="replace")
    front, body = "", text
    if text.startswith("---\n") and (end := text.find("\n---", 4)) > 0:
        front, body = text[4:end], text[end + 4 :]
    license_ = re.search(r"^license:\s*(\S+)", front, re.MULTILINE)
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", body)]
    words = next((part for part in paragraphs if part and not part.startswith(("#", "<", "|", "`"))), "")
    return " ".join(words.split())[:300], license_.group(1) if license_ else ""


async def export_at_rank(source: Path, target: Path, rank: int) -> None:
    """Ordering an adapter's columns needs torch, which this process does without: a child does it."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "engine.lora.export", str(source), str(target), str(rank)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await child.communicate()
    if child.returncode != 0:
        lines = errors.decode(errors="replace").strip().splitlines()
        raise StudioError(
            "failed",
            f"The adapter could not be written at rank {rank}.",
            lines[-1] if lines else "",
            "\n".join(lines),
        )
