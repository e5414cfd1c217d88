"""What lives in the zoo: every adapter folder that PEFT is asked to write, by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

__all__ = ["RECIPES", "Recipe", "of"]


@dataclass(frozen=True)
class Recipe:
    """A LoraConfig for a base. ``dtype`` is the file's number format; ``convert`` an initialisation that
    rewrites the base, undone by PEFT's own conversion when it is saved."""

    base: str
    config: dict[str, Any] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    convert: str = ""

    @property
    def dora(self) -> bool:
        return bool(self.config.get("use_dora"))

    @property
    def replaces(self) -> bool:
        """Whether whole parameters of the base are exchanged: they can have one owner only."""
        config = self.config
        whole = config.get("modules_to_save") or config.get("task_type") == "SEQ_CLS"  # PEFT adds the score
        return bool(whole) or config.get("bias", "none") != "none"

    @property
    def additive(self) -> bool:
        """Whether PEFT's sum of active adapters is exact, whatever the order and the weights."""
        return not (self.dora or self.replaces)


QV = ["q_proj", "v_proj"]
MLP = ["gate_proj", "up_proj", "down_proj"]
PISSA = {"target_modules": QV}
LLAMA: dict[str, dict[str, Any]] = {
    "plain": {"target_modules": QV},
    "every-linear": {"target_modules": "all-linear"},
    "rslora": {"target_modules": ["q_proj", "down_proj"], "use_rslora": True, "r": 6, "lora_alpha": 3},
    "rank-pattern": {
        "target_modules": ["q_proj", "k_proj"],
        "rank_pattern": {"layers.1.self_attn.q_proj": 7, "k_proj": 2},
    },
    "alpha-pattern": {"target_modules": MLP, "alpha_pattern": {r"layers\.[02]\..*up_proj": 31}},
    "both-patterns": {
        "target_modules": [*QV, "up_proj"],
        "rank_pattern": {r"layers\.\d+\.mlp\..*": 3, "^model.layers.0.self_attn.q_proj": 9},
        "alpha_pattern": {"v_proj": 13, ".*proj": 5},
        "use_rslora": True,
    },
    "regex": {"target_modules": r".*layers\.[12]\.self_attn\.(q|o)_proj"},
    "one-layer": {"target_modules": MLP, "layers_to_transform": 1},
    "some-layers": {"target_modules": QV, "layers_to_transform": [0, 2], "layers_pattern": "layers"},
    "excluding": {
        "target_modules": "all-linear",
        "exclude_modules": ["down_proj", "layers.1.self_attn.q_proj"],
    },
    "paths": {"target_modules": ["model.layers.0.mlp.up_proj", "layers.2.self_attn.k_proj"]},
    "rank-one": {"target_modules": "all-linear", "r": 1, "lora_alpha": 1},
    "wider-than-the-base": {"target_modules": ["k_proj"], "r": 80, "lora_alpha": 16},
    "negative-alpha": {"target_modules": ["o_proj", "gate_proj"], "lora_alpha": -5},
    "orthogonal": {"target_modules": ["q_proj"], "init_lora_weights": "orthogonal"},
    "dora": {"target_modules": "all-linear", "use_dora": True},
    "dora-attention": {"target_modules": ["q_proj", "o_proj"], "use_dora": True, "r": 2},
    "dora-rslora": {"target_modules": [*QV, "down_proj"], "use_dora": True, "use_rslora": True, "r": 6},
    "dora-patterns": {
        "target_modules": ["k_proj", *MLP],
        "use_dora": True,
        "rank_pattern": {"k_proj": 1},
        "alpha_pattern": {"layers.0.mlp.down_proj": 17},
    },
    "tokens": {"target_modules": ["embed_tokens"]},
    "tokens-and-queries": {"target_modules": ["embed_tokens", "q_proj"], "use_rslora": True},
    "dora-tokens": {"target_modules": ["embed_tokens", "v_proj"], "use_dora": True},
    "head": {"target_modules": ["lm_head"]},
    "head-and-tokens": {"target_modules": ["lm_head", "embed_tokens", "up_proj"]},
    "dora-head": {"target_modules": ["lm_head", "down_proj"], "use_dora": True},
    "own-head": {"target_modules": QV, "modules_to_save": ["lm_head"]},
    "own-tokens": {"target_modules": QV, "modules_to_save": ["embed_tokens"]},
    "own-norms": {"target_modules": ["k_proj"], "modules_to_save": ["norm", "input_layernorm"]},
    "lora-bias": {"target_modules": ["q_proj", "down_proj"], "lora_bias": True},
}
TIED: dict[str, dict[str, Any]] = {
    "tokens": {"target_modules": ["embed_tokens"]},
    "head": {"target_modules": ["lm_head"]},
    "head-and-tokens": {"target_modules": ["lm_head", "embed_tokens", "q_proj"]},
    "dora-head": {"target_modules": ["lm_head"], "use_dora": True},
    "own-tokens": {"target_modules": ["o_proj"], "modules_to_save": ["embed_tokens"]},
    "own-head": {"target_modules": ["o_proj"], "modules_to_save": ["lm_head"]},
}
JUDGE: dict[str, dict[str, Any]] = {
    "score": {"target_modules": QV, "task_type": "SEQ_CLS"},
    "dora-score": {"target_modules": ["o_proj", "up_proj"], "use_dora": True, "task_type": "SEQ_CLS"},
    "lora-score": {"target_modules": ["v_proj", "score"]},
}
GPT2: dict[str, dict[str, Any]] = {
    "fused-qkv": {"target_modules": ["c_attn"]},
    "every-conv1d": {"target_modules": ["c_attn", "c_proj", "c_fc"], "use_rslora": True},
    "ranks": {"target_modules": ["c_attn", "c_fc"], "rank_pattern": {r"h\.1\.attn\.c_attn": 9}},
    "dora": {"target_modules": ["c_attn", "c_proj"], "use_dora": True},
    "dora-rslora": {"target_modules": ["c_attn", "c_fc", "c_proj"], "use_dora": True, "use_rslora": True},
    "lora-bias": {"target_modules": ["c_attn", "c_fc"], "lora_bias": True, "use_rslora": True},
    "all-biases": {"target_modules": ["c_attn"], "bias": "all"},
    "own-biases": {"target_modules": ["c_attn", "c_fc"], "bias": "lora_only"},
    "dora-biases": {"target_modules": ["c_attn", "c_proj"], "use_dora": True, "bias": "lora_only"},
    "words": {"target_modules": ["wte"]},
    "positions": {"target_modules": ["wpe", "c_attn"]},
    "head": {"target_modules": ["lm_head"], "fan_in_fan_out": False},
    "own-norm": {"target_modules": ["c_fc"], "modules_to_save": ["ln_f"]},
}
MAMBA: dict[str, dict[str, Any]] = {
    "in": {"target_modules": ["in_proj"]},
    "in-and-x": {"target_modules": ["in_proj", "x_proj"], "r": 3},
    "with-an-unread-one": {"target_modules": ["in_proj", "dt_proj"]},
    "dora": {"target_modules": ["in_proj", "x_proj"], "use_dora": True},
    "tokens": {"target_modules": ["embeddings", "in_proj"]},
    "all-biases": {"target_modules": ["in_proj"], "bias": "all"},
}
MAMBA2: dict[str, dict[str, Any]] = {
    "in": {"target_modules": ["in_proj"]},
    "rslora": {"target_modules": ["in_proj", "lm_head"], "use_rslora": True, "r": 5},
    "dora": {"target_modules": ["in_proj"], "use_dora": True},
    "own-norm": {"target_modules": ["in_proj"], "modules_to_save": ["norm_f"]},
}
VIT: dict[str, dict[str, Any]] = {
    "classifier": {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["classifier"]},
    "every-linear": {"target_modules": "all-linear"},
    "rslora": {"target_modules": ["q_proj", "k_proj"], "use_rslora": True, "rank_pattern": {"k_proj": 7}},
    "dora": {"target_modules": ["q_proj", "fc1"], "use_dora": True, "modules_to_save": ["classifier"]},
    "lora-bias": {"target_modules": ["v_proj", "o_proj", "fc2"], "lora_bias": True},
    "all-biases": {"target_modules": ["q_proj"], "bias": "all", "modules_to_save": ["classifier"]},
    "own-biases": {"target_modules": ["q_proj", "fc1"], "bias": "lora_only"},
    "lora-classifier": {"target_modules": ["v_proj", "classifier"]},
}
T5: dict[str, dict[str, Any]] = {
    "plain": {"target_modules": ["q", "v"]},
    "every-linear": {"target_modules": "all-linear", "use_rslora": True, "lora_alpha": 2},
    "decoder": {"target_modules": r"decoder\..*\.(q|k|v|wo)"},
    "dora": {"target_modules": ["q", "wi", "wo"], "use_dora": True},
    "tokens": {"target_modules": ["embed_tokens", "o"]},
    "shared-and-queries": {"target_modules": ["shared", "q"]},
    "head": {"target_modules": ["lm_head", "k"]},
    "own-norms": {"target_modules": ["k"], "modules_to_save": ["final_layer_norm"]},
}

RECIPES: dict[str, Recipe] = {
    f"{base}-{name}": Recipe(base, config)
    for base, configs in {
        "llama": LLAMA,
        "tied": TIED,
        "judge": JUDGE,
        "gpt2": GPT2,
        "mamba": MAMBA,
        "mamba2": MAMBA2,
        "vit": VIT,
        "t5": T5,
    }.items()
    for name, config in configs.items()
} | {
    "llama-bf16": Recipe("llama", {"target_modules": "all-linear"}, torch.bfloat16),
    "llama-fp16": Recipe("llama", {"target_modules": QV}, torch.float16),
    "llama-dora-bf16": Recipe("llama", {"target_modules": MLP, "use_dora": True}, torch.bfloat16),
    "vit-bf16": Recipe("vit", {"target_modules": ["q_proj", "fc2"]}, torch.bfloat16),
    "llama-pissa": Recipe("llama", PISSA, convert="pissa"),
    "llama-pissa-rslora": Recipe("llama", {**PISSA, "use_rslora": True, "lora_alpha": 2}, convert="pissa"),
    "llama-pissa-patterns": Recipe(
        "llama", {**PISSA, "rank_pattern": {"v_proj": 2}, "alpha_pattern": {"q_proj": 9}}, convert="pissa"
    ),
    "llama-olora": Recipe("llama", {"target_modules": ["q_proj", "up_proj"]}, convert="olora"),
    "vit-olora": Recipe("vit", {"target_modules": ["q_proj", "v_proj"]}, convert="olora"),
}


def of(base: str) -> list[str]:
    """The names of the folders made for a base."""
    return [name for name, recipe in RECIPES.items() if recipe.base == base]
