"""LoRA files of kohya's trainers (sd-scripts and its relatives): A is lora_down, B lora_up, and every module
has an alpha of its own."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

from engine.formats.convert.plan import Module, Plan, plan_modules
from engine.formats.convert.weights import Stored, Weights
from engine.formats.errors import AdapterError
from engine.formats.plain import open_plain

__all__ = ["is_kohya", "plan_kohya"]

_PART = re.compile(r"(.+)\.(lora_down\.weight|lora_up\.weight|alpha)")
_DIFFUSION = re.compile(
    r"(?:lora_)?(?:unet|transformer)_|(?:unet|text_encoder(?:_\d)?)\.|.*(?:down_blocks|up_blocks|mid_block|input_blocks|"
    r"output_blocks|middle_block|double_blocks|single_blocks|joint_blocks|transformer_blocks)"
)
# Paths with their dots replaced by underscores: the words of which the paths of transformers' text and vision
# models are made. What is not made of them alone cannot be taken apart with certainty.
_WORDS = (
    "text_model", "vision_model", "language_model", "self_attn", "encoder_attn", "q_proj", "k_proj", "v_proj",
    "o_proj", "out_proj", "gate_proj", "up_proj", "down_proj", "gate_up_proj", "qkv_proj", "c_attn", "c_proj",
    "c_fc", "lm_head", "wi_0", "wi_1", "SelfAttention", "EncDecAttention", "DenseReluDense", "model",
    "transformer", "encoder", "decoder", "layers", "layer", "block", "h", "attn", "attention", "mlp", "fc1",
    "fc2", "wi", "wo", "q", "k", "v", "o", r"\d+",
)  # fmt: skip
_WORD = re.compile("|".join(sorted(_WORDS, key=len, reverse=True)))
_NUMBERS = {"F16": "<e", "F32": "<f", "F64": "<d"}


def is_kohya(names: Mapping[str, Stored]) -> bool:
    """Whether the file has the marks of kohya's trainers, or of a diffusion model."""
    return any(
        name.endswith(".lora_down.weight")
        or name.startswith(("lora_unet_", "lora_te"))
        or _DIFFUSION.match(name)
        for name in names
    )


def plan_kohya(weights: Weights) -> Plan:
    """How the file becomes PEFT's. AdapterError with the reason when it cannot: it belongs to a diffusion
    model, or its names do not say which modules they mean."""
    parts: dict[str, dict[str, str]] = {}
    for name in weights.tensors:
        found = _PART.fullmatch(name)
        if _DIFFUSION.match(name):
            raise AdapterError(
                "It is a LoRA for a diffusion model, as its names say.",
                "Adapters for language and vision models can be used here.",
                name,
            )
        if not found:
            raise AdapterError(
                f"It is a file of kohya's trainers with tensors that are no plain LoRA: {name[:160]}.",
                "Export it as a plain LoRA.",
            )
        parts.setdefault(found[1], {})[found[2]] = name
    encoders = {name[: name.index("_", 5)] for name in parts if name.startswith("lora_te")}
    if len(encoders) > 1:
        raise AdapterError(
            "It adapts several text encoders of an image model at once.",
            "Save the part for each of them in a file of its own.",
        )
    modules = {_path(key): _module(weights, key, found) for key, found in parts.items()}
    return plan_modules("kohya", weights, modules)


def _path(key: str) -> str:
    """The path of a module: "lora_te_text_model_encoder_layers_0_mlp_fc1" -> "encoder.layers.0.mlp.fc1"."""
    name = re.sub(r"^lora_(?:te\d?_)?", "", key)
    if "." in name:
        return name
    path, at = [], 0
    while found := _WORD.match(name, at):
        path.append(found[0])
        at = found.end() + 1
        if at > len(name):
            # The first text encoder of an image model is transformers' CLIPTextModel, without a wrapper.
            alone = key.startswith(("lora_te_", "lora_te1_")) and path[0] == "text_model"
            return ".".join(path[alone:])
        if name[at - 1] != "_":
            break
    raise AdapterError(
        f"Its names are of kohya's trainers, and which module {key[:160]} means cannot be told from it.",
        "Convert it with the program that made it.",
    )


def _module(weights: Weights, key: str, found: Mapping[str, str]) -> Module:
    down, up = found.get("lora_down.weight", ""), found.get("lora_up.weight", "")
    if not down or not up:
        raise AdapterError(f"{key[:160]} has only one of lora_down and lora_up.", "Export it again.")
    rank = next(iter(weights.tensors[down].shape), 0)
    alpha = _number(weights, found["alpha"]) if "alpha" in found else float(rank)
    return Module(rank, alpha, {"lora_A.weight": down, "lora_B.weight": up})


def _number(weights: Weights, name: str) -> float:
    """The one number of a tensor."""
    stored = weights.tensors[name]
    if stored.bytes == 0 or stored.dtype not in (*_NUMBERS, "BF16") or any(n != 1 for n in stored.shape):
        raise AdapterError(f"{name[:160]} is not a number.", "Export it again.")
    with open_plain(weights.path) as file:
        file.seek(stored.start)
        raw = file.read(stored.bytes)
    if stored.dtype == "BF16":
        raw = b"\0\0" + raw
    return float(struct.unpack(_NUMBERS.get(stored.dtype, "<f"), raw)[0])
