"""The encoder: an AV-HuBERT in small, taught to say at every picture which word is being said.

Generated speech comes with its times, so each frame has its answer; that is learned many times faster than
from whole sentences. The reading of words is thrown away afterwards. First one encoder learns to hear and to
see; then its front-end rests, and it learns to hear, to see and to do both, where now and then the lips are
another's or stand still: what does not fit the sound is not to be believed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from engine.formats.files import atomic_folder
from engine.speech.augment import augmented, gapped, narrowed
from engine.speech.avhubert.config import AvHubertConfig
from engine.speech.avhubert.encoder import AvHubert
from engine.speech.avhubert.file import write_avhubert
from engine.speech.clip import Clip
from engine.speech.encoders import AvHubertEar, AvHubertEye
from engine.speech.noise import babble, mix
from engine.starter.speech.clips import Clips
from engine.starter.speech.grammar import WORDS
from engine.starter.speech.looks import KeptEye, Looked, with_gaps
from engine.training import Loss
from engine.training.text import shuffled

__all__ = [
    "ENCODER",
    "READING",
    "SNRS",
    "EncoderRecipe",
    "EncoderTask",
    "FusionTask",
    "drawn_sound",
    "new_encoder",
    "odd_look",
]

ENCODER, READING = "encoder.safetensors", "words.safetensors"
"""What the first part leaves to the second."""
OTHERS = 12
"""Clips whose voices may babble over one."""


@dataclass(frozen=True)
class EncoderRecipe:
    """``heard`` clips of a step are listened to and, in the first ``steps``, ``seen`` of these looked at:
    sound costs a sixteenth. Then come ``fused`` steps on ``looks`` clips."""

    width: int = 144
    feedforward: int = 384
    layers: int = 4
    channels: tuple[int, int, int, int] = (8, 12, 24, 48)
    heard: int = 24
    seen: int = 8
    steps: int = 480
    fused: int = 2600
    looks: int = 2500
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
        """Write the encoder as it is, and its reading of words, which the second part goes on with."""
        with atomic_folder(folder, doing="writing the encoder") as work:
            save_file(self.encoder.state_dict(), work / ENCODER)
            save_file(self.reader.state_dict(), work / READING)
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


SNRS = (-10.0, -5.0, 0.0, 5.0, 10.0, math.inf, math.inf)
"""Decibels at which the recipe mixes babble in."""
TASKS = {"ear": 0.4, "eye": 0.18, "both": 0.42}
ANOTHERS, FROZEN = 0.12, 0.08
"""The shares of lips that belong to another sentence, and that stand still, where both are read."""
VOICES = 6


class FusionTask:
    """The second part: ``clips`` are heard, seen as the resting front-end saw them, or both."""

    def __init__(
        self,
        encoder: AvHubert,
        words: nn.Linear,
        clips: Sequence[Looked],
        targets: Sequence[Tensor],
        size: int,
    ) -> None:
        self.encoder = encoder.eval()  # there is no dropout, and the front-end keeps its batch norm
        self.encoder.feature_extractor_video.resnet.requires_grad_(False)  # type: ignore[union-attr]
        self.words = words
        self.clips = clips
        self.targets = targets
        self.size = size
        self._ear, self._eye = AvHubertEar(encoder), KeptEye(encoder)

    def parameters(self) -> dict[str, Tensor]:
        learning: dict[str, Tensor] = {}
        learning |= {name: p for name, p in self.encoder.named_parameters() if p.requires_grad}
        return learning | dict(self.words.named_parameters(prefix="words"))

    def batches(self, order: torch.Generator) -> list[list[int]]:
        return shuffled(len(self.clips), self.size, order)

    def loss(self, numbers: list[int]) -> Loss:
        """Cross-entropy in nats of the word in each picture, of one task drawn for the step."""
        task = list(TASKS)[int(torch.multinomial(torch.tensor(list(TASKS.values())), 1))]
        clips = [self._drawn(number, task) for number in numbers]
        ways: dict[str, Callable[[Sequence[Clip]], list[Tensor]]] = {
            "ear": self._ear,
            "eye": self._eye,
            "both": self._eye.together,
        }
        scores, wanted = [], []
        for rows, number in zip(ways[task](clips), numbers, strict=True):
            length = min(len(rows), len(self.targets[number]))
            scores.append(self.words(rows[:length]))
            wanted.append(self.targets[number][:length])
        said, asked = torch.cat(scores), torch.cat(wanted)
        value = cross_entropy(said, asked)
        right = (said.argmax(1) == asked).float().mean()
        return Loss(value, len(asked), {task: value.detach(), f"{task} right": right})

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the encoder; its weights are stored as float16."""
        write_avhubert(self.encoder.half(), folder)
        return {"parameters": sum(parameter.numel() for parameter in self.encoder.parameters())}

    def _drawn(self, number: int, task: str) -> Looked:
        clip = self.clips[number]
        assert clip.sound is not None and clip.look is not None
        look = odd_look(clip, self.clips) if task == "both" else clip.look
        return replace(clip, sound=gapped(drawn_sound(clip.sound, self.clips)), look=with_gaps(look.float()))


def drawn_sound(sound: Tensor, others: Sequence[Clip]) -> Tensor:
    """``sound`` in babble of ``others`` at one of ``SNRS``, now and then as a telephone has it."""
    snr = SNRS[int(torch.randint(len(SNRS), ()))]
    if snr == math.inf:
        return narrowed(sound)
    drawn = [others[i].sound for i in torch.randint(len(others), (VOICES,)).tolist()]
    return narrowed(mix(sound, babble([voice for voice in drawn if voice is not None], len(sound)), snr))


def odd_look(clip: Looked, others: Sequence[Looked]) -> Tensor:
    """What is seen beside a sound: now and then lips that do not belong to it."""
    assert clip.look is not None
    chance = float(torch.rand(()))
    if chance < ANOTHERS:
        other = others[int(torch.randint(len(others), ()))].look
        assert other is not None
        filled = torch.cat([other, other[-1:].expand(max(0, len(clip.look) - len(other)), -1)])
        return filled[: len(clip.look)]
    still = clip.look[len(clip.look) // 2].expand_as(clip.look)
    return still if chance < ANOTHERS + FROZEN else clip.look
