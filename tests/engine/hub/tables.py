"""Adapters for the test Hub: a config and a safetensors file whose body is nothing but zeros."""

import json
import struct

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def packed(shapes, length=None):
    """A safetensors file with tensors of these shapes; ``length`` is what it says of its header's."""
    header, place = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        size = 4
        for each in shape:
            size *= each
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [place, place + size]}
        place += size
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(place)


def factors(layers=2, width=128, names=("q_proj", "v_proj"), rank=4):
    """The shapes of a LoRA on a Llama whose projections are all ``width`` wide."""
    shapes = {}
    for layer in range(layers):
        for name in names:
            part = "self_attn" if name[0] in "qkvo" else "mlp"
            path = f"base_model.model.model.layers.{layer}.{part}.{name}"
            shapes[f"{path}.lora_A.weight"] = (rank, width)
            shapes[f"{path}.lora_B.weight"] = (width, rank)
    return shapes


def config(**changes):
    raw = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
    return json.dumps(raw | changes).encode()


def adapter(shapes=None, **changes):
    """The files of a repository."""
    return {CONFIG: config(**changes), WEIGHTS: packed(factors() if shapes is None else shapes)}
