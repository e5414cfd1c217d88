"""The encoder: an AV-HuBERT in small, taught to say at every picture which word is being said.

Generated speech comes with its times, so each frame has its answer; that is learned many times faster than
from whole sentences. The reading of words is thrown away afterwards. One encoder hears and sees, each alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from engine.speech.augment import augmented
from engine.speech.avhubert.config import AvHubertConfig
from engine.speech.avhubert.encoder import AvHubert
from engine.speech.avhubert.file import write_avhubert
from engine.speech.encoders import AvHubertEar, AvHubertEye
from engine.starter.speech.clips import Clips
from engine.starter.speech.grammar import WORDS
from engine.training import Loss
from engine.training.text import shuffled

__all__ = ["EncoderRecipe", "EncoderTask", "new_encoder"]

OTHERS = 12
"""Clips whose voices may babble over one."""


@dataclass(frozen=True)
class EncoderRecipe:
    """``heard`` clips of a step are listened to and ``seen`` of these looked at: sound costs a sixteenth."""

    width: int = 144
    feedforward: int = 384
    layers: int = 4
    channels: tuple[int, int, int, int] = (8, 12, 24, 48)
    heard: int = 24
    seen: int = 8
    steps: int = 800
    learning_rate: float = 2e-3
    seed: int = 3


def new_encoder(recipe: EncoderRecipe) -> AvHubert:
    """The untrained encoder, the same for the same seed."""
    torch.manual_seed(recipe.seed)
    config = AvHubertConfig(
        width=recipe.width,
        feedforward=recipe.feedforward,
        layers=recipe.layers,
        heads=4,
        position_kernel=16,
        position_groups=4,
        channels=recipe.channels,
        masked=False,
    )
    return AvHubert(config)


class EncoderTask:
    """What the training loop needs: the encoder, its reading of words, and batch norm's running means."""

    def __init__(self, encoder: AvHubert, clips: Clips, recipe: EncoderRecipe) -> None:
        self.encoder = encoder.train()
        self.clips = clips
        self.recipe = recipe
        self.reader = nn.Linear(encoder.config.width, len(WORDS) + 1)
        self._ear, self._eye = AvHubertEar(encoder), AvHubertEye(encoder)

    def parameters(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        found |= self.encoder.named_parameters()
        return found | dict(self.reader.named_parameters(prefix="reader"))

    def state(self) -> dict[str, Tensor]:
        return {name: buffer.clone() for name, buffer in self.encoder.named_buffers()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        for name, buffer in self.encoder.named_buffers():
            buffer.copy_(state[name])

    def batches(self, order: torch.Generator) -> list[list[int]]:
        return shuffled(len(self.clips), self.recipe.heard, order)

    def loss(self, numbers: list[int]) -> Loss:
        """Cross-entropy in nats of the word in each picture: by ear, and by eye."""
        clips = []
        for place, number in enumerate(numbers):
            others = [self.clips.sound(i) for i in torch.randint(len(self.clips), (OTHERS,)).tolist()]
            clips.append(augmented(self.clips.clip(number, seen=place < self.recipe.seen), others))
        heard, right = self._read(self._ear(clips), numbers)
        seen, spotted = self._read(self._eye(clips[: self.recipe.seen]), numbers[: self.recipe.seen])
        metrics: dict[str, Tensor | float] = {
            "ear": heard.detach(),
            "eye": seen.detach(),
            "ear right": right,
            "eye right": spotted,
        }
        return Loss(heard + seen, sum(self.clips.frames(number) for number in numbers), metrics)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the encoder; its weights are stored as float16."""
        write_avhubert(self.encoder.eval().half(), folder)
        return {"parameters": sum(parameter.numel() for parameter in self.encoder.parameters())}

    def _read(self, vectors: Sequence[Tensor], numbers: Sequence[int]) -> tuple[Tensor, float]:
        """The loss, and the share of pictures in which the right word is the likeliest."""
        scores, wanted = [], []
        for rows, number in zip(vectors, numbers, strict=True):
            words = self.clips.words_in_time(number)
            length = min(len(rows), len(words))
            scores.append(self.reader(rows[:length]))
            wanted.append(words[:length])
        said, asked = torch.cat(scores), torch.cat(wanted)
        return cross_entropy(said, asked), float((said.argmax(1) == asked).float().mean())
