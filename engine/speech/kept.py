"""Clips kept in a folder as models take them, mapped into memory when one is asked for: any number of them
costs no more memory than a batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy
import torch
from torch import Tensor

from engine.formats.files import explain_os_error, write_file
from engine.speech.clip import Clip
from engine.speech.video import Recording

__all__ = ["KeptClips"]


class _Note(msgspec.Struct, frozen=True):
    """Written last, so that where it is the clip is whole."""

    text: str
    sound: bool
    mouth: bool


class KeptClips:
    """Clips of ``folder`` by their ``numbers`` there."""

    def __init__(self, folder: Path, numbers: Sequence[int]) -> None:
        self.folder = folder
        self.numbers = list(numbers)

    @classmethod
    def whole(cls, folder: Path) -> KeptClips:
        """All that were kept, from the first to the last without a gap."""
        folder.mkdir(exist_ok=True)
        count = 0
        while _note(folder, count).is_file():
            count += 1
        return cls(folder, range(count))

    def keep(self, recording: Recording, text: str) -> None:
        """One more. StudioError("disk") when it cannot be written."""
        number = len(self)
        try:
            for name, signal in (("sound", recording.sound), ("mouth", recording.mouth)):
                if signal is not None:
                    numpy.save(_signal(self.folder, number, name), signal)
        except OSError as error:
            raise explain_os_error(error, "keeping the clips") from error
        note = _Note(text, recording.sound is not None, recording.mouth is not None)
        write_file(_note(self.folder, number), msgspec.json.encode(note), doing="keeping the clips")
        self.numbers.append(number)

    def some(self, numbers: Sequence[int]) -> KeptClips:
        """Those at these places."""
        return KeptClips(self.folder, [self.numbers[number] for number in numbers])

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, at: int) -> Clip:
        number = self.numbers[at]
        note = msgspec.json.decode(_note(self.folder, number).read_bytes(), type=_Note)
        sound = self._signal(number, "sound") if note.sound else None
        mouth = self._signal(number, "mouth") if note.mouth else None
        return Clip(sound, mouth, note.text)

    def _signal(self, number: int, name: str) -> Tensor:
        # Mapped for this process alone: torch wants memory that could be written to.
        return torch.from_numpy(numpy.load(_signal(self.folder, number, name), mmap_mode="c"))


def _note(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.json"


def _signal(folder: Path, number: int, name: str) -> Path:
    return folder / f"{number:06d}.{name}.npy"
