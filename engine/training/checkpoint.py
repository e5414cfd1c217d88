"""The checkpoints of one job: tensors in, verified tensors out, the newest few kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
from torch import Tensor

from engine.formats.checkpoint_folder import (
    checkpoint_folders,
    read_checkpoint,
    remove_old_checkpoints,
    write_checkpoint,
)
from engine.formats.errors import StudioError

__all__ = ["Checkpoint", "Checkpoints"]


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
        """Write the state after ``step`` steps, durably. StudioError("disk") leaves earlier ones as they
        were."""
        content = safetensors.torch.save(
            {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
        )
        target = write_checkpoint(self.folder, self.epoch, step, self.job_hash, content)
        remove_old_checkpoints(self.folder, self.epoch, self.keep)
        return target

    def newest(self, named: Path | None = None) -> Checkpoint | None:
        """The checkpoint ``named`` if it is whole, else the newest whole one of this job, else None."""
        others = [folder for folder in checkpoint_folders(self.folder, self.epoch) if folder != named]
        for folder in [named, *others] if named else others:
            try:
                found = read_checkpoint(folder)
            except StudioError as error:
                self.complaints.append(error.message)
                continue
            if found.job_hash == self.job_hash:
                return Checkpoint(folder, found.step, safetensors.torch.load(found.content))
            self.complaints.append(f"{folder.name} was made with another recipe, base or data.")
        return None
