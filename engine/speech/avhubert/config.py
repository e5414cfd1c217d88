"""The sizes of an AV-HuBERT encoder, and how they are read off a checkpoint's shapes. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.formats.errors import StudioError

__all__ = ["BASE", "LARGE", "AvHubertConfig", "derive_config", "parse_config"]

HEAD_WIDTH = 64
"""Of one attention head, in base and large alike; no tensor's shape tells it."""


@dataclass(frozen=True)
class AvHubertConfig:
    """``channels`` are those of the ResNet's four stages, ``masked`` says that mask_emb is there (it is not
    after fine-tuning), ``pre_norm`` that layer norms stand before attention and feed-forward."""

    width: int
    feedforward: int
    layers: int
    heads: int
    audio_features: int = 104
    position_kernel: int = 128
    position_groups: int = 16
    channels: tuple[int, int, int, int] = (64, 128, 256, 512)
    pre_norm: bool = True
    masked: bool = True

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"channels": list(self.channels)}


BASE = AvHubertConfig(width=768, feedforward=3072, layers=12, heads=12)
LARGE = AvHubertConfig(width=1024, feedforward=4096, layers=24, heads=16)


def derive_config(
    shapes: Mapping[str, tuple[int, ...]], *, heads: int | None = None, pre_norm: bool = True
) -> AvHubertConfig:
    """The configuration of an encoder whose tensors, by their published names, have these shapes.

    ``heads`` defaults to one for every 64 of the width. StudioError("adapter") when they are not those of
    an AV-HuBERT encoder.
    """
    try:
        width, audio_features = shapes["feature_extractor_audio.proj.weight"]
        _, per_group, kernel = shapes["encoder.pos_conv.0.weight_v"]
        feedforward = shapes["encoder.layers.0.fc1.weight"][0]
        trunk = "feature_extractor_video.resnet.trunk.layer{}.0.conv1.weight"
        one, two, three, four = (shapes[trunk.format(stage)][0] for stage in (1, 2, 3, 4))
        groups = width // per_group
        numbers = {int(name.split(".")[2]) for name in shapes if name.startswith("encoder.layers.")}
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise StudioError(
            "adapter",
            "These are not the tensors of an AV-HuBERT encoder.",
            "Choose a checkpoint of AV-HuBERT (base or large), or of Llama-AVSR.",
            f"{type(error).__name__}: {error}",
        ) from error
    return AvHubertConfig(
        width=width,
        feedforward=feedforward,
        layers=len(numbers),
        heads=heads or max(1, width // HEAD_WIDTH),
        audio_features=audio_features,
        position_kernel=kernel,
        position_groups=groups,
        channels=(one, two, three, four),
        pre_norm=pre_norm,
        masked="mask_emb" in shapes,
    )


def parse_config(raw: Mapping[str, Any]) -> AvHubertConfig:
    """A configuration as ``as_json`` wrote it. StudioError("adapter") for anything else."""
    try:
        config = AvHubertConfig(**{**raw, "channels": tuple(raw["channels"])})
    except (TypeError, KeyError) as error:
        raise StudioError(
            "adapter", "This is no AV-HuBERT configuration.", "Convert the checkpoint again.", str(error)
        ) from error
    flags = (config.pre_norm, config.masked)
    counts = [
        value for name, value in asdict(config).items() if name not in ("channels", "pre_norm", "masked")
    ]
    if not all(
        type(value) is int and 0 < value < 1 << 16 for value in [*counts, *config.channels]
    ) or not all(type(flag) is bool for flag in flags):
        raise StudioError(
            "adapter", "An AV-HuBERT of these sizes cannot be.", "Convert the checkpoint again."
        )
    if len(config.channels) != 4 or config.width % config.heads or config.width % config.position_groups:
        raise StudioError(
            "adapter", "The sizes of this AV-HuBERT do not fit together.", "Convert the checkpoint again."
        )
    return config
