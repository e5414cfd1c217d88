"""Training a speech model: bridges, tags and LoRA learn all three tasks at every rate, one of each a step.

Modality dropout as in Omni-AVSR: a step is of sound, of lips or of both, drawn 1 : 1.5 : 1; and Matryoshka:
its rates are drawn among those that the model shall be good at.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
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
from engine.speech.scoring import Clips, word_errors
from engine.training import Loss
from engine.training.play import play
from engine.training.text import Example, collate, completion_logits, completion_loss, shuffled

__all__ = ["SpeechTask"]

WEIGHTING: dict[Mode, float] = {"audio": 1.0, "video": 1.5, "both": 1.0}
"""How often each task is drawn, as Omni-AVSR weighs them."""


class SpeechTask:
    """A Task: ``model`` (made ``trainable``) learns the texts of ``clips``.

    ``noisy`` augments what is heard and seen. A step's draw of task and rates depends on nothing but
    ``seed`` and the step. The metrics of a step have its loss once more under its task and rates. Word error
    rates on ``heldout`` (see ``word_errors``) are measured before the first step, every ``score_every`` and
    at the end; ``scores`` are the newest. Clips are asked for one by one, and may be a sequence that reads
    them. DataError for a clip without a text.
    """

    def __init__(
        self,
        model: SpeechModel,
        clips: Clips,
        *,
        batch_size: int = 8,
        noisy: bool = True,
        seed: int = 0,
        heldout: Clips = (),
        score_every: int = 100,
    ) -> None:
        self.model = model
        self.clips = clips
        self.batch_size = batch_size
        self.noisy = noisy
        self.seed = seed
        self.heldout = heldout
        self.score_every = score_every
        self.scores: dict[str, float] = {}
        self.texts: list[list[int]] = []
        self._heard: list[int] = []
        for number in range(len(clips)):
            clip = clips[number]
            if not (text := normalised(clip.text)):
                raise DataError(f"Clip {number + 1} has no text to learn.", "Write down what is said in it.")
            self.texts.append([*model.tokenizer(text, add_special_tokens=False).input_ids, model.end])
            if clip.sound is not None:
                self._heard.append(number)
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
        read = model.read(self.drawn(numbers), self.mode, self.ratio)
        texts = [self.texts[number] for number in numbers]
        examples = [Example([0] * len(r) + text, len(r)) for r, text in zip(read, texts, strict=True)]
        batch = collate(examples, model.llm.device)
        rows = [torch.cat([r, model.embed(text[:-1])]) for r, text in zip(read, texts, strict=True)]
        with play(model.bank, model.gates):
            logits = completion_logits(model.llm, batch, pad_sequence(rows, batch_first=True))
        value = completion_loss(logits, batch)
        return Loss(value, batch.read, {f"loss {self._said()}": value.detach()})

    def drawn(self, numbers: Sequence[int]) -> list[Clip]:
        """The clips of a step, as it hears and sees them."""
        clips = [self.clips[number] for number in numbers]
        if not self.noisy:
            return clips
        return [augmented(clip, self._others(number)) for clip, number in zip(clips, numbers, strict=True)]

    def measure(self, step: int, last: bool) -> Generator[None, None, dict[str, float]] | None:
        """Word error rates on the held-out clips, when they are due."""
        return self._measure() if len(self.heldout) and (step % self.score_every == 0 or last) else None

    def _measure(self) -> Generator[None, None, dict[str, float]]:
        scoring = word_errors(self.model, self.heldout)
        while True:
            try:
                next(scoring)
            except StopIteration as end:
                self.scores = end.value
                return self.scores
            yield

    def save(self, folder: Path) -> dict[str, Any]:
        """Write what was trained to a new folder."""
        write_speech_model(self.model, folder)
        return {"parameters": sum(tensor.numel() for tensor in self.parameters().values())}

    def close(self) -> None:
        self.model.close()

    def _others(self, number: int) -> _Sounds:
        """The voices that babble over clip ``number``: those of all others."""
        return _Sounds(self.clips, [other for other in self._heard if other != number])

    def _said(self) -> str:
        heard = "" if self.mode == "video" else f" {self.ratio.audio}"
        return f"{self.mode}{heard}" + ("" if self.mode == "audio" else f" {self.ratio.video}")


class _Sounds:
    """What is heard in some of the clips, each read when it is asked for."""

    def __init__(self, clips: Clips, numbers: Sequence[int]) -> None:
        self._clips, self._numbers = clips, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, at: int) -> Tensor:
        sound = self._clips[self._numbers[at]].sound
        assert sound is not None
        return sound
