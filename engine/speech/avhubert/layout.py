"""Every tensor of an AV-HuBERT encoder by its published name, with its shape. Torch-free."""

from __future__ import annotations

from engine.speech.avhubert.config import AvHubertConfig

__all__ = ["layout"]

Shapes = dict[str, tuple[int, ...]]


def layout(config: AvHubertConfig) -> Shapes:
    """{name: shape} of an encoder of these sizes."""
    width = config.width
    found: Shapes = {"mask_emb": (config.audio_features,)} if config.masked else {}
    found |= _linear("feature_extractor_audio.proj", config.audio_features, width)
    found |= _frontend("feature_extractor_video.resnet", config.channels)
    found |= _linear("feature_extractor_video.proj", config.channels[-1], width)
    found |= _norm("layer_norm", 2 * width)
    found |= _linear("post_extract_proj", 2 * width, width)
    found |= {
        "encoder.pos_conv.0.bias": (width,),
        "encoder.pos_conv.0.weight_g": (1, 1, config.position_kernel),
        "encoder.pos_conv.0.weight_v": (width, width // config.position_groups, config.position_kernel),
    }
    for number in range(config.layers):
        found |= _layer(f"encoder.layers.{number}", width, config.feedforward)
    return found | _norm("encoder.layer_norm", width)


def _layer(name: str, width: int, feedforward: int) -> Shapes:
    found = _norm(f"{name}.self_attn_layer_norm", width) | _norm(f"{name}.final_layer_norm", width)
    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
        found |= _linear(f"{name}.self_attn.{part}", width, width)
    return found | _linear(f"{name}.fc1", width, feedforward) | _linear(f"{name}.fc2", feedforward, width)


def _frontend(name: str, channels: tuple[int, ...]) -> Shapes:
    before = channels[0]
    found: Shapes = {f"{name}.frontend3D.0.weight": (before, 1, 5, 7, 7)}
    found |= _batch_norm(f"{name}.frontend3D.1", before)
    found[f"{name}.frontend3D.2.weight"] = (before,)
    for stage, width in enumerate(channels, 1):
        for number in (0, 1):
            found |= _block(f"{name}.trunk.layer{stage}.{number}", before, width, down=stage > 1 > number)
            before = width
    return found


def _block(name: str, before: int, width: int, *, down: bool) -> Shapes:
    found: Shapes = {
        f"{name}.conv1.weight": (width, before, 3, 3),
        f"{name}.conv2.weight": (width, width, 3, 3),
    }
    for number in (1, 2):
        found |= _batch_norm(f"{name}.bn{number}", width)
        found[f"{name}.relu{number}.weight"] = (width,)
    if down:
        found[f"{name}.downsample.0.weight"] = (width, before, 1, 1)
        found |= _batch_norm(f"{name}.downsample.1", width)
    return found


def _linear(name: str, before: int, after: int) -> Shapes:
    return {f"{name}.weight": (after, before), f"{name}.bias": (after,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _batch_norm(name: str, width: int) -> Shapes:
    running = {f"{name}.{part}": (width,) for part in ("running_mean", "running_var")}
    return _norm(name, width) | running | {f"{name}.num_batches_tracked": ()}
