"""What the eye's front-end makes of clips, worked out once: it rests while all else learns, and drawing and
looking are most of the work."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.formats.files import atomic_folder
from engine.speech.clip import Clip
from engine.speech.encoders import AvHubertEye
from engine.speech.shape import CROP, SIDE
from engine.starter.speech.clips import Clips

__all__ = ["KeptEye", "Looked", "look_at", "with_gaps"]

log = logging.getLogger(__name__)
FILE = "looks.safetensors"
LONGEST_GAP = 10
"""Pictures of each 25 that may be hidden."""


@dataclass(frozen=True)
class Looked(Clip):
    """A clip whose lips were looked at before: ``look`` [T, channels]. ``mouth`` has only its length."""

    look: Tensor | None = None


class KeptEye(AvHubertEye):
    """An eye that is shown what its front-end made of the lips."""

    def look(self, clips: Sequence[Clip]) -> list[Tensor]:
        return [clip.look.float() for clip in clips if isinstance(clip, Looked) and clip.look is not None]


def look_at(folder: Path, clips: Clips, eye: AvHubertEye, numbers: range, seed: int) -> list[Looked]:
    """``numbers`` of ``clips``, each with what ``eye`` makes of it under a drawn crop; kept in ``folder``."""
    if not folder.exists():
        chance = torch.Generator().manual_seed(seed)
        looks = []
        for number in numbers:
            if number % 500 == 0:
                log.info("looks %d of %d to %d", number, numbers.start, numbers.stop)
            looks.append(looked(eye, _cropped(clips.clip(number), chance)).look)
        with atomic_folder(folder, doing="writing what was seen") as work:
            save_file({str(number): look for number, look in zip(numbers, looks, strict=True)}, work / FILE)
    kept = load_file(folder / FILE)
    return [_without_mouth(clips.clip(number, seen=False), kept[str(number)]) for number in numbers]


@torch.no_grad()
def looked(eye: AvHubertEye, clip: Clip) -> Looked:
    """``clip`` with what ``eye`` makes of its mouth, in its place."""
    return _without_mouth(clip, eye.look([clip])[0].half())


def with_gaps(look: Tensor) -> Tensor:
    """``look`` with a stretch of each second hidden under its mean."""
    hidden = look.clone()
    for _ in range(-(-len(look) // 25)):
        length = int(torch.rand(()) * LONGEST_GAP)
        start = int(torch.randint(max(1, len(look) - length + 1), ()))
        hidden[start : start + length] = look.mean(0)
    return hidden


def _cropped(clip: Clip, chance: torch.Generator) -> Clip:
    assert clip.mouth is not None
    top, left = (int(torch.randint(SIDE - CROP + 1, (), generator=chance)) for _ in range(2))
    return replace(clip, mouth=clip.mouth[:, top : top + CROP, left : left + CROP])


def _without_mouth(clip: Clip, look: Tensor | None) -> Looked:
    assert look is not None
    return Looked(
        clip.sound, torch.zeros(1, 1, 1, dtype=torch.uint8).expand(len(look), 1, 1), clip.text, look
    )
