"""A clip as a model takes it: sound at 16 kHz, the mouth at 25 pictures a second, and what was said."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.formats.errors import StudioError
from engine.speech.config import Mode
from engine.speech.shape import CROP, DEVIATION, FPS, MEAN, SAMPLE_RATE

__all__ = ["Clip", "Mode", "as_lips", "available_mode"]


@dataclass(frozen=True)
class Clip:
    """``sound`` [samples] between -1 and 1 at 16 kHz, ``mouth`` uint8 [frames, 96, 96] grey at 25 a second;
    either may be missing."""

    sound: Tensor | None
    mouth: Tensor | None
    text: str = ""

    @property
    def seconds(self) -> float:
        """Of what there is the longer."""
        heard = 0.0 if self.sound is None else len(self.sound) / SAMPLE_RATE
        return max(heard, 0.0 if self.mouth is None else len(self.mouth) / FPS)


def available_mode(clip: Clip, wanted: Mode) -> Mode:
    """``wanted``, or as much of it as the clip has. StudioError("data") when it has neither."""
    heard, seen = clip.sound is not None, clip.mouth is not None
    if not (heard or seen):
        raise StudioError("data", "The clip has neither sound nor a face.", "Choose another clip.")
    if heard and seen:
        return wanted
    return "audio" if heard else "video"


def as_lips(mouth: Tensor, top: int | None = None, left: int | None = None) -> Tensor:
    """Grey pictures uint8 [..., H, W] as the encoder reads them: an 88 wide part (default: the middle),
    (x / 255 - mean) / deviation, float32."""
    height, width = mouth.shape[-2:]
    top = (height - CROP) // 2 if top is None else top
    left = (width - CROP) // 2 if left is None else left
    part = mouth[..., top : top + CROP, left : left + CROP]
    return (part.to(torch.float32) / 255 - MEAN) / DEVIATION
