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

__all__ = ["AvHubertEar", "AvHubertEye", "Encoder", "WhisperEar"]

LEAST = 25
"""Vectors kept of even the shortest sound, as Llama-AVSR does."""


class Encoder(Protocol):
    """``width`` of its vectors, ``rate`` of them a second."""

    width: int
    rate: int

    def __call__(self, clips: Sequence[Clip]) -> list[Tensor]:
        """[T, width] for each clip; it has what this encoder reads."""


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
        return _encode(self.encoder, rows, "audio")


class AvHubertEye:
    """The lips alone through an AV-HuBERT: 25 vectors a second."""

    rate = FPS

    def __init__(self, encoder: AvHubert) -> None:
        self.encoder = encoder
        self.width = encoder.config.width

    def __call__(self, clips: Sequence[Clip]) -> list[Tensor]:
        rows = [as_lips(clip.mouth) for clip in clips if clip.mouth is not None]
        return _encode(self.encoder, rows, "video")


def _encode(encoder: AvHubert, rows: Sequence[Tensor], modality: str) -> list[Tensor]:
    """Rows of any length through ``encoder`` together, padding unheard."""
    weight = encoder.post_extract_proj.weight
    lengths = torch.tensor([len(row) for row in rows])
    batch = pad_sequence(list(rows), batch_first=True).to(weight.device, weight.dtype)
    real = torch.arange(batch.shape[1]) < lengths[:, None]
    vectors = encoder(**{modality: batch}, real=real.to(weight.device))
    return [vector[:length] for vector, length in zip(vectors, lengths.tolist(), strict=True)]
