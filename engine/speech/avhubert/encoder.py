"""The whole encoder: lips and sound are projected, fused frame by frame, and read by one transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.formats.errors import StudioError
from engine.speech.avhubert.config import AvHubertConfig
from engine.speech.avhubert.frontend import Frontend
from engine.speech.avhubert.transformer import Transformer

__all__ = ["AvHubert"]


class Modality(nn.Module):
    """One modality's way to the fused width: a projection, of lips after the front-end ``resnet``."""

    def __init__(self, features: int, width: int, resnet: Frontend | None = None) -> None:
        super().__init__()
        self.resnet = resnet
        self.proj = nn.Linear(features, width)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.proj(x)
        return projected


class AvHubert(nn.Module):
    """25 vectors a second of ``config.width`` from lips, sound or both."""

    def __init__(self, config: AvHubertConfig) -> None:
        super().__init__()
        self.config = config
        self.feature_extractor_audio = Modality(config.audio_features, config.width)
        self.feature_extractor_video = Modality(config.channels[-1], config.width, Frontend(config.channels))
        self.layer_norm = nn.LayerNorm(2 * config.width)
        self.post_extract_proj = nn.Linear(2 * config.width, config.width)
        self.encoder = Transformer(config)
        if config.masked:
            # Stands in for masked sound in pre-training; kept because the published files have it.
            self.mask_emb = nn.Parameter(torch.empty(config.audio_features).uniform_())

    def forward(
        self,
        audio: Tensor | None = None,
        video: Tensor | None = None,
        real: Tensor | None = None,
        looked: Tensor | None = None,
    ) -> Tensor:
        """[B, T, width] of filterbanks ``audio`` [B, T, 104] and frames ``video`` [B, T, 88, 88], or what
        ``look`` has made of these.

        A modality that is None is zeros where the two are fused, as modality dropout trained it. ``real``
        [B, T] is false where a row is padded (with zeros); the result there means nothing. StudioError
        when there is neither, or the two differ in length.
        """
        looked = self.look(video) if video is not None else looked
        return self.encoder(self.fuse(audio, looked), real)  # type: ignore[no-any-return]

    def look(self, video: Tensor) -> Tensor:
        """Frames [B, T, 88, 88] through the front-end: [B, T, channels]."""
        resnet = self.feature_extractor_video.resnet
        assert resnet is not None
        looked: Tensor = resnet(video)
        return looked

    def fuse(self, audio: Tensor | None, looked: Tensor | None) -> Tensor:
        """What the transformer reads: [B, T, width]."""
        heard = None if audio is None else self.feature_extractor_audio(audio)
        seen = None if looked is None else self.feature_extractor_video(looked)
        there = heard if heard is not None else seen
        if there is None:
            raise StudioError("usage", "There is neither sound nor video.", "Give at least one of them.")
        if heard is not None and seen is not None and heard.shape != seen.shape:
            raise StudioError(
                "usage",
                f"The sound has {heard.shape[1]} frames and the video {seen.shape[1]}.",
                "Cut or pad the sound to the video.",
            )
        nothing = torch.zeros_like(there)
        fused = torch.cat([nothing if heard is None else heard, nothing if seen is None else seen], -1)
        projected: Tensor = self.post_extract_proj(self.layer_norm(fused))
        return projected
