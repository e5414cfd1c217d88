"""A checkpoint on disk: its name, its manifest, and whether it is whole.

A checkpoint is a folder ``checkpoint-EPOCH-STEP`` with ``state.safetensors`` (every tensor of a run's
state) and ``manifest.json`` (size and SHA-256 of the former; step, epoch and the job's hash). Tensors and
numbers only: nothing in it can run.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.formats.errors import StudioError
from engine.formats.files import atomic_folder, explain_os_error

__all__ = [
    "FoundCheckpoint",
    "checkpoint_folders",
    "newest_checkpoint",
    "read_checkpoint",
    "remove_old_checkpoints",
    "write_checkpoint",
]

STATE, MANIFEST = "state.safetensors", "manifest.json"
FORMAT = 1


class _File(msgspec.Struct, frozen=True):
    size: int
    sha256: str


class _Manifest(msgspec.Struct, frozen=True):
    format: int
    step: int
    epoch: int
    job_hash: str
    files: dict[str, _File]


@dataclass(frozen=True)
class FoundCheckpoint:
    """A whole checkpoint: ``content`` is its state file, verified."""

    folder: Path
    step: int
    epoch: int
    job_hash: str
    content: bytes


def write_checkpoint(folder: Path, epoch: int, step: int, job_hash: str, content: bytes) -> Path:
    """Write the state ``content`` below ``folder``; when this returns, it survives a power cut.

    StudioError("disk") when it cannot be written; what was there before is then as it was.
    """
    target = folder / _name(epoch, step)
    if target.is_dir():
        return target
    manifest = _Manifest(FORMAT, step, epoch, job_hash, {STATE: _file(content)})
    with atomic_folder(target, doing="saving the checkpoint") as work:
        (work / STATE).write_bytes(content)
        (work / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return target


def remove_old_checkpoints(folder: Path, epoch: int, keep: int) -> None:
    """Keep the newest ``keep`` of starts up to ``epoch``; what a killed start left half written goes too."""
    for old in checkpoint_folders(folder, epoch)[keep:]:
        shutil.rmtree(old, ignore_errors=True)
    for leftover in folder.glob(".checkpoint-*"):
        if leftover.name < f".{_name(epoch + 1, 0)}":
            shutil.rmtree(leftover, ignore_errors=True)


def read_checkpoint(folder: Path) -> FoundCheckpoint:
    """The checkpoint in ``folder``; StudioError when it is missing or not exactly what was written."""
    try:
        content = (folder / STATE).read_bytes()
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=_Manifest)
    except OSError as error:
        raise explain_os_error(error, f"reading {folder.name}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(folder, str(error)) from error
    named = _name(manifest.epoch, manifest.step)
    if (manifest.format, manifest.files.get(STATE), named) != (FORMAT, _file(content), folder.name):
        raise _damaged(folder, f"{_file(content)} is not what the manifest says: {manifest}")
    return FoundCheckpoint(folder, manifest.step, manifest.epoch, manifest.job_hash, content)


def newest_checkpoint(folder: Path, epoch: int) -> FoundCheckpoint | None:
    """The newest whole checkpoint below ``folder`` of any start up to ``epoch``, or None."""
    for candidate in checkpoint_folders(folder, epoch):
        try:
            return read_checkpoint(candidate)
        except StudioError:
            continue
    return None


def checkpoint_folders(folder: Path, epoch: int) -> list[Path]:
    """Finished checkpoints below ``folder`` of starts up to ``epoch``, newest first, unverified."""
    names = sorted((path.name for path in folder.glob("checkpoint-*-*")), reverse=True)
    return [folder / name for name in names if name <= _name(epoch + 1, 0)]


def _name(epoch: int, step: int) -> str:
    return f"checkpoint-{epoch:06d}-{step:09d}"


def _file(content: bytes) -> _File:
    return _File(size=len(content), sha256=hashlib.sha256(content).hexdigest())


def _damaged(folder: Path, detail: str) -> StudioError:
    return StudioError("failed", f"{folder.name} is damaged.", "An earlier checkpoint is used.", detail)
