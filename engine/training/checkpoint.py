"""Checkpoints that are either whole and verified or not there: temp folder, hashes, sync, rename, sync.

A checkpoint is a folder ``checkpoint-EPOCH-STEP`` with ``state.safetensors`` (every tensor of the state)
and ``manifest.json`` (size and SHA-256 of the former; step, epoch and the job's hash). Tensors and numbers
only: nothing in it can run.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from engine.formats.errors import StudioError
from engine.formats.files import atomic_folder, explain_os_error

__all__ = ["Checkpoint", "Checkpoints"]

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
class Checkpoint:
    """A verified state: where it lay, after how many steps it was taken, and its tensors."""

    folder: Path
    step: int
    tensors: dict[str, Tensor]


class Checkpoints:
    """The checkpoints of one job in one folder.

    ``epoch`` counts the starts of the job: it is in every name, so that a process left over from an earlier
    start can neither replace nor remove what a later one wrote. ``job_hash`` names spec and inputs: a state
    of another job is never taken for this one's. The newest ``keep`` are kept. ``complaints`` collects
    sentences about checkpoints that could not be used.
    """

    def __init__(self, folder: Path, *, epoch: int = 0, job_hash: str = "", keep: int = 2) -> None:
        self.folder = folder
        self.epoch = epoch
        self.job_hash = job_hash
        self.keep = keep
        self.complaints: list[str] = []

    def write(self, step: int, tensors: dict[str, Tensor]) -> Path:
        """Write the state after ``step`` steps; when this returns, it survives a power cut.

        StudioError("disk") when it cannot be written; earlier checkpoints are then as they were.
        """
        target = self.folder / _name(self.epoch, step)
        if target.is_dir():
            return target
        content = safetensors.torch.save(
            {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
        )
        file = _File(size=len(content), sha256=hashlib.sha256(content).hexdigest())
        manifest = _Manifest(FORMAT, step, self.epoch, self.job_hash, {STATE: file})
        with atomic_folder(target, doing="saving the checkpoint") as work:
            (work / STATE).write_bytes(content)
            (work / MANIFEST).write_bytes(msgspec.json.encode(manifest))
        self._prune()
        return target

    def newest(self, named: Path | None = None) -> Checkpoint | None:
        """The checkpoint ``named`` if it is whole, else the newest whole one of this job, else None."""
        candidates = ([named] if named else []) + [folder for folder in self._folders() if folder != named]
        for folder in candidates:
            try:
                return self._read(folder)
            except StudioError as error:
                self.complaints.append(error.message)
        return None

    def _read(self, folder: Path) -> Checkpoint:
        try:
            content = (folder / STATE).read_bytes()
            manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=_Manifest)
            tensors = safetensors.torch.load(content)
        except OSError as error:
            raise explain_os_error(error, f"reading {folder.name}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, SafetensorError) as error:
            raise _damaged(folder, str(error)) from error
        found = _File(size=len(content), sha256=hashlib.sha256(content).hexdigest())
        named = _name(manifest.epoch, manifest.step)
        if (manifest.format, manifest.files.get(STATE), named) != (FORMAT, found, folder.name):
            raise _damaged(folder, f"{found} is not what the manifest says: {manifest}")
        if manifest.job_hash != self.job_hash:
            raise StudioError("failed", f"{folder.name} was made with another recipe, base or data.")
        return Checkpoint(folder, manifest.step, tensors)

    def _folders(self) -> list[Path]:
        """Finished checkpoints of this and earlier starts, newest first."""
        names = sorted((path.name for path in self.folder.glob("checkpoint-*-*")), reverse=True)
        return [self.folder / name for name in names if int(name.split("-")[1]) <= self.epoch]

    def _prune(self) -> None:
        for old in self._folders()[self.keep :]:
            shutil.rmtree(old, ignore_errors=True)
        for leftover in self.folder.glob(".checkpoint-*"):
            shutil.rmtree(leftover, ignore_errors=True)


def _name(epoch: int, step: int) -> str:
    return f"checkpoint-{epoch:06d}-{step:09d}"


def _damaged(folder: Path, detail: str) -> StudioError:
    return StudioError("failed", f"{folder.name} is damaged.", "An earlier checkpoint is used.", detail)
