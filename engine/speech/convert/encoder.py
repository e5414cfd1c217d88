"""An AV-HuBERT encoder inside a checkpoint: which of its tensors they are, and what becomes of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.formats.convert.plan import Made
from engine.formats.convert.weights import Stored
from engine.formats.errors import AdapterError
from engine.speech.avhubert.config import AvHubertConfig, derive_config
from engine.speech.avhubert.layout import layout

__all__ = ["EncoderPlan", "find_encoder", "plan_encoder"]

LORA_SCALE = 2.0
"""Of the LoRA that Llama-AVSR's lip reader trains on the encoder's queries and values."""
_MARK = "post_extract_proj.weight"
_HEADS = ("final_proj.", "label_embs_concat", "target_glu.")
_NEWER = {
    "encoder.pos_conv.0.parametrizations.weight.original0": "encoder.pos_conv.0.weight_g",
    "encoder.pos_conv.0.parametrizations.weight.original1": "encoder.pos_conv.0.weight_v",
}
_LORA = re.compile(r"(.*\.self_attn)\.lora_(down|up)_([QV])\.weight")


@dataclass(frozen=True)
class EncoderPlan:
    """``config``, and {name in the encoder: name in the checkpoint, or what is made}."""

    config: AvHubertConfig
    tensors: Mapping[str, str | Made]


def find_encoder(names: Mapping[str, Stored]) -> str | None:
    """What stands before an encoder's names in a checkpoint ("encoder.w2v_model." ...); None: it has none."""
    found = [name.removesuffix(_MARK) for name in names if name.endswith(_MARK)]
    return min(found, key=len) if found else None


def plan_encoder(tensors: Mapping[str, Stored], prefix: str) -> EncoderPlan:
    """The encoder below ``prefix``, its pre-training heads left out and a LoRA in it folded in.

    AdapterError when a tensor is missing, has another shape, or is none of an encoder's.
    """
    named = {
        _NEWER.get(name.removeprefix(prefix), name.removeprefix(prefix)): name
        for name in tensors
        if name.startswith(prefix) and not name.removeprefix(prefix).startswith(_HEADS)
    }
    lora = {name: source for name, source in named.items() if _LORA.fullmatch(name)}
    plain: dict[str, str | Made] = {name: source for name, source in named.items() if name not in lora}
    shapes = {name: tensors[named[name]].shape for name in plain}
    config = derive_config(shapes)
    expected = layout(config)
    if shapes != expected:
        odd = sorted(set(shapes.items()) ^ set(expected.items()))
        raise AdapterError(
            f"The AV-HuBERT in this file is not complete, or has tensors that no AV-HuBERT has: {odd[0][0]}.",
            "Download it again, or choose another checkpoint.",
            str(odd[:6]),
        )
    return EncoderPlan(config, plain | _folded(lora, named, tensors))


def _folded(
    lora: Mapping[str, str], named: Mapping[str, str], tensors: Mapping[str, Stored]
) -> dict[str, str | Made]:
    """{projection: W + 2 up down}."""
    places = {(match[1], match[3]) for match in map(_LORA.fullmatch, lora) if match}
    made: dict[str, str | Made] = {}
    for place, letter in sorted(places):
        target = f"{place}.{letter.lower()}_proj.weight"
        parts = [f"{place}.lora_{side}_{letter}.weight" for side in ("down", "up")]
        if target not in named or not all(part in lora for part in parts):
            raise AdapterError(f"{place} has half a LoRA.", "Download the checkpoint again.")
        sources = (named[target], lora[parts[0]], lora[parts[1]])
        weight, down, up = (tensors[source].shape for source in sources)
        if (len(down), len(up)) != (2, 2) or (up[0], down[1]) != weight or up[1] != down[0]:
            raise AdapterError(f"The LoRA of {target} has another size.", "Download the checkpoint again.")
        made[target] = Made(weight, sources, _fold)
    return made


def _fold(weight: Any, down: Any, up: Any) -> Any:
    return weight + LORA_SCALE * (up @ down)
