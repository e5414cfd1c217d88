"""What hears and sees: encoders with one way to be asked, a list of clips in, vectors in time out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from engine.speech.avhubert.encoder import AvHubert
from engine.speech.clip import Clip, as_lips
from engine.speech.filterbank import filterbank
from engine.speech.shape import FPS, SAMPLE_RATE, WHISPER_RATE

if TYPE_CHECKING:
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

__all__ = ["AvHubertEar", "AvHubertEye", "Encoder", "Eye", "WhisperEar"]

LEAST = 25
"""Vectors kept of even the shortest sound, as Llama-AVSR does."""


class Encoder(Protocol):
    """``width`` of its vectors, ``rate`` of them a second."""

    width: int
    rate: int

    def __call__(self, clips: Sequence[Clip]) -> list[Tensor]:
        """[T, width] for each clip; it has what this encoder reads."""


class Eye(Encoder, Protocol):
    """An encoder of lips, which may also read them together with the sound."""

    def together(self, clips: Sequence[Clip]) -> list[Tensor]:
        """[T, width] for each clip, which has both."""


class WhisperEar:
    """The encoder of a Whisper (arXiv 2212.04356): 50 vectors a second, whatever the length.

    A sound is normalised as a whole, then read in windows as long as Whisper's positions reach (30 s); what
    the last one is filled up with is cut off again.
    """

    rate = WHISPER_RATE

    def __init__(self, encoder: WhisperEncoder) -> None:
        from transformers import WhisperFeatureExtractor

        self.encoder = encoder.eval().requires_grad_(False)
        self.width: int = encoder.config.d_model
        self._positions: int = encoder.config.max_source_positions
        self._features = WhisperFeatureExtractor(
            feature_size=encoder.config.num_mel_bins, chunk_length=self._positions // WHISPER_RATE
        )

    def __call__(self, clips: Sequence[Clip]) -> list[Tensor]:
        samples = self._positions * SAMPLE_RATE // WHISPER_RATE
        windows: list[Tensor] = []
        counts = []
        for clip in clips:
            assert clip.sound is not None
            sound = functional.layer_norm(clip.sound.float(), clip.sound.shape)
            pieces = torch.split(sound, samples) if len(sound) else (sound.new_zeros(1),)
            windows += pieces
            counts.append(len(pieces))
        features = self._features(
            [window.cpu().numpy() for window in windows], sampling_rate=SAMPLE_RATE, return_tensors="pt"
        ).input_features
        weight = self.encoder.conv1.weight
        vectors = self.encoder(features.to(weight.device, weight.dtype)).last_hidden_state
        return [
            part.flatten(0, 1)[: max(len(clip.sound) * WHISPER_RATE // SAMPLE_RATE, LEAST)]  # type: ignore[arg-type]
            for part, clip in zip(vectors.split(counts), clips, strict=True)
        ]


class AvHubertEar:
    """The sound alone through an AV-HuBERT: 25 vectors a second."""

    rate = FPS

    def __init__(self, encoder: AvHubert) -> None:
        self.encoder = encoder
        self.width = encoder.config.width

    def __call__(self, clips: Sequence[Clip]) -> list[Tensor]:
        rows = [filterbank(clip.sound) for clip in clips if clip.sound is not None]
        return _encode(self.encoder, audio=rows)


class AvHubertEye:
    """The lips through an AV-HuBERT, alone or together with the sound: 25 vectors a second."""

    rate = FPS

    def __init__(self, encoder: AvHubert) -> None:
        self.encoder = encoder
        self.width = encoder.config.width

    def __call__(self, clips: Sequence[Clip]) -> list[Tensor]:
        return _encode(self.encoder, looked=self.look(clips))

    def together(self, clips: Sequence[Clip]) -> list[Tensor]:
        """[T, width] of each clip's lips and sound, fused picture by picture."""
        rows = self.look(clips)
        sounds = [clip.sound for clip in clips if clip.sound is not None]
        heard = [_in_step(filterbank(sound), len(row)) for sound, row in zip(sounds, rows, strict=True)]
        return _encode(self.encoder, looked=rows, audio=heard)

    def look(self, clips: Sequence[Clip]) -> list[Tensor]:
        """What the front-end makes of the lips of each clip, [T, its channels]."""
        rows = [as_lips(clip.mouth) for clip in clips if clip.mouth is not None]
        weight = self.encoder.post_extract_proj.weight
        looked = self.encoder.look(pad_sequence(rows, batch_first=True).to(weight.device, weight.dtype))
        return [row[: len(lips)] for row, lips in zip(looked, rows, strict=True)]


def _in_step(rows: Tensor, length: int) -> Tensor:
    """Cut to ``length``, or filled up with silence."""
    return functional.pad(rows[:length], (0, 0, 0, max(0, length - len(rows))))


def _encode(encoder: AvHubert, **rows: Sequence[Tensor]) -> list[Tensor]:
    """Rows of any length through ``encoder`` together, padding unheard; those of each name as long."""
    weight = encoder.post_extract_proj.weight
    lengths = torch.tensor([len(row) for row in next(iter(rows.values()))])
    batches = {
        name: pad_sequence(list(its), batch_first=True).to(weight.device, weight.dtype)
        for name, its in rows.items()
    }
    real = torch.arange(int(lengths.max())) < lengths[:, None]
    vectors = encoder(**batches, real=real.to(weight.device))
    return [vector[:length] for vector, length in zip(vectors, lengths.tolist(), strict=True)]
