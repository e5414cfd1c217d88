"""Training a speech model: bridges, tags and LoRA learn all three tasks at every rate, one of each a step.

Modality dropout as in Omni-AVSR: a step is of sound, of lips or of both, drawn 1 : 1.5 : 1; and Matryoshka:
its rates are drawn among those that the model shall be good at.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from engine.formats.errors import DataError
from engine.speech.augment import augmented
from engine.speech.clip import Clip, Mode
from engine.speech.config import Rates
from engine.speech.errors import normalised
from engine.speech.file import write_speech_model
from engine.speech.model import SpeechModel
from engine.training import Loss
from engine.training.play import play
from engine.training.text import Example, collate, completion_logits, completion_loss, shuffled

__all__ = ["SpeechTask"]

WEIGHTING: dict[Mode, float] = {"audio": 1.0, "video": 1.5, "both": 1.0}
"""How often each task is drawn, as Omni-AVSR weighs them."""


class SpeechTask:
    """A Task: ``model`` (made ``trainable``) learns the texts of ``clips``.

    ``noisy`` augments what is heard and seen. A step's draw of task and rates depends on nothing but
    ``seed`` and the step. The metrics of a step have its loss once more under its task and rates. DataError
    for a clip without a text.
    """

    def __init__(
        self,
        model: SpeechModel,
        clips: Sequence[Clip],
        *,
        batch_size: int = 8,
        noisy: bool = True,
        seed: int = 0,
    ) -> None:
        for number, clip in enumerate(clips, 1):
            if not normalised(clip.text):
                raise DataError(f"Clip {number} has no text to learn.", "Write down what is said in it.")
        self.model = model
        self.clips = list(clips)
        self.batch_size = batch_size
        self.noisy = noisy
        self.seed = seed
        self.texts = [
            [*model.tokenizer(normalised(clip.text), add_special_tokens=False).input_ids, model.end]
            for clip in clips
        ]
        self.at_step(0)

    def parameters(self) -> dict[str, Tensor]:
        return self.model.parameters()

    def batches(self, order: torch.Generator) -> list[list[int]]:
        return shuffled(len(self.clips), self.batch_size, order)

    def at_step(self, step: int) -> None:
        """Draw the task and the rates of this step; they hold for all of its batches."""
        chance = random.Random(f"speech {self.seed} {step}")
        modes = self.model.modes
        self.mode: Mode = chance.choices(modes, [WEIGHTING[mode] for mode in modes])[0]
        config = self.model.config
        self.ratio = Rates(
            chance.choice(config.audio_rates or (1,)), chance.choice(config.video_rates or (1,))
        )

    def loss(self, numbers: list[int]) -> Loss:
        """Cross-entropy in nats of texts and their end, in the step's task and at its rates."""
        model = self.model
        clips = [self.clips[number] for number in numbers]
        if self.noisy:
            clips = [
                augmented(clip, self._others(number)) for clip, number in zip(clips, numbers, strict=True)
            ]
        read = model.read(clips, self.mode, self.ratio)
        texts = [self.texts[number] for number in numbers]
        examples = [Example([0] * len(r) + text, len(r)) for r, text in zip(read, texts, strict=True)]
        batch = collate(examples, model.llm.device)
        rows = [torch.cat([r, model.embed(text[:-1])]) for r, text in zip(read, texts, strict=True)]
        with play(model.bank, model.gates):
            logits = completion_logits(model.llm, batch, pad_sequence(rows, batch_first=True))
        value = completion_loss(logits, batch)
        return Loss(value, batch.read, {f"loss {self._said()}": value.detach()})

    def save(self, folder: Path) -> dict[str, Any]:
        """Write what was trained to a new folder."""
        write_speech_model(self.model, folder)
        return {"parameters": sum(tensor.numel() for tensor in self.parameters().values())}

    def close(self) -> None:
        self.model.close()

    def _others(self, number: int) -> list[Tensor]:
        """The voices that babble over clip ``number``: those of all others."""
        return [c.sound for i, c in enumerate(self.clips) if i != number and c.sound is not None]

    def _said(self) -> str:
        heard = "" if self.mode == "video" else f" {self.ratio.audio}"
        return f"{self.mode}{heard}" + ("" if self.mode == "audio" else f" {self.ratio.video}")
