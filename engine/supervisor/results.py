"""What a job has made on its way to its place, and what it leaves behind."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any

from engine.formats.files import sha256_file
from engine.formats.sizes import as_size
from engine.messages import Download, ExportMix, JobSpec
from engine.supervisor.entry import Origin, made_by
from engine.supervisor.folders import deliver
from engine.supervisor.ledger import MIRROR
from engine.supervisor.library import Library
from engine.supervisor.spec import experts_of, room_of, worker_of
from engine.supervisor.store import Record

__all__ = ["base_hashes", "clear", "drop_elsewhere", "give_up", "put_in_place"]

BASE_MARKS = ("config.json", "model.safetensors.index.json", "model.safetensors")
"""Files of a base that say which one it was."""

QUICK = 256 << 20
"""Bytes that are hashed without hesitation."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


async def put_in_place(record: Record, library: Library) -> tuple[dict[str, Any], str]:
    """Move the finished output of a job to where it belongs; doing it twice is doing it once.

    Returns the job's whole result, and a sentence.
    """
    job, output = record.job, Path(record.output)
    match job.spec:
        case Download(room="speech") as spec:
            path = await library.adopt_whisper(spec)
            sentence = " ".join([f"{as_size(job.steps)} fetched and verified.", *job.result["notes"]])
            return job.result | {"path": str(path)}, sentence
        case Download() as spec:
            commit, hashes = job.result["revision"], job.result["sha256"]
            card = await library.adopt_download(output, spec, commit, hashes)
            notes = [*job.result["notes"]]
            if spec.room == "adapters" and (twin := await library.twin(card.name)):
                notes.append(twin)
            sentence = f"{as_size(job.steps)} fetched and verified."
            return job.result | {"path": card.path, "notes": notes}, " ".join([sentence, *notes])
        case ExportMix(folder=folder):
            target = Path(folder)
            await asyncio.to_thread(deliver, output, target, f"saving {target.name}")
            return job.result | {"path": folder}, "Done."
    room = room_of(job.spec)
    if room is None:
        return job.result, "Done."
    origin = await asyncio.to_thread(_origin, record, library)
    if room == "speech":
        await library.speech.adopt(output, job.name, origin)
    else:
        licenses = library.licenses(*experts_of(job.spec)) if room == "mixes" else {}
        await library.adopt(room, output, job.name, licenses, origin)
    if job.step < job.steps:
        return job.result, f"Stopped at step {job.step} and kept."
    return job.result, f"Done after {job.step} steps." if job.step else "Done."


def _origin(record: Record, library: Library) -> Origin:
    """Who made it, and from what: the snapshots of data are called by their hashes."""
    named = ("data", "data:", "train")
    data = {key: Path(path).stem for key, path in record.paths.items() if key.startswith(named)}
    return made_by(record.job, data, base_hashes(library, worker_of(record.job.spec)))


def base_hashes(library: Library, name: str) -> dict[str, str]:
    """{file: sha256} of what says which base it is that is, or once was, called ``name``."""
    named_now = library.base_name(name)
    base = next((Path(card.path) for card in library.bases() if card.name == named_now), None)
    files = [path for mark in BASE_MARKS if base and (path := base / mark).is_file()]
    return {path.name: digest for path in files if (digest := _digest(path))}


def _digest(path: Path) -> str:
    """The SHA-256 of a file if that is quickly known: one in the Hugging Face cache is called so."""
    called = path.resolve().name
    if _SHA256.fullmatch(called):
        return called
    return sha256_file(path) if path.stat().st_size <= QUICK else ""


def clear(folder: Path) -> None:
    """Drop the checkpoints and leftovers of a job that needs them no more."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != MIRROR:
            path.unlink(missing_ok=True)


def give_up(spec: JobSpec, folder: Path) -> None:
    """Drop what a job that was cancelled leaves in its ``folder``, but for the bytes that were fetched."""
    if not isinstance(spec, Download):
        clear(folder)


def drop_elsewhere(spec: JobSpec, folder: Path) -> None:
    """Delete what a job that is removed has left, outside of its ``folder`` too."""
    if isinstance(spec, Download):
        from engine.hub.kept import discard

        discard(folder)
