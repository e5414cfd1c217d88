"""Folders that are no plain LoRA of an untouched base: other methods, changed bases, damage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import peft
import torch
from peft import LoraConfig, PeftConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.engine.lora.zoo.bases import VOCABULARY, build
from tests.engine.lora.zoo.writing import hushed, train

QV = ["q_proj", "v_proj"]
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def trained(base: str, config: PeftConfig, folder: Path, tokens: int = VOCABULARY) -> Path:
    """Have PEFT save whatever ``config`` is, after a step at random, on a base of ``tokens`` tokens."""
    model = build(base)
    with hushed():
        torch.manual_seed(0)
        if tokens != VOCABULARY:
            model.resize_token_embeddings(tokens, mean_resizing=False)
        wrapped = get_peft_model(model, config)
        train(wrapped, torch.Generator().manual_seed(3), torch.float32)
        wrapped.save_pretrained(folder, save_embedding_layers=True if tokens != VOCABULARY else "auto")
    return folder


def changed(
    source: Path,
    folder: Path,
    config: Mapping[str, Any] | None = None,
    tensor: Callable[[str, Tensor], Tensor | None] = lambda name, there: there,
) -> Path:
    """A copy of ``source`` with other settings; a tensor is what ``tensor(name, there)`` says, None: lost."""
    shutil.copytree(source, folder)
    raw = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(raw | dict(config or {})))
    tensors = {name: tensor(name, there) for name, there in load_file(folder / WEIGHTS).items()}
    save_file({name: there for name, there in tensors.items() if there is not None}, folder / WEIGHTS)
    return folder


def lora(**config: Any) -> LoraConfig:
    return LoraConfig(**{"r": 4, "lora_alpha": 6, "target_modules": QV} | config)


OTHER_KINDS: dict[str, Callable[[], PeftConfig]] = {
    "LoHa": lambda: peft.LoHaConfig(r=4, target_modules=QV),
    "LoKr": lambda: peft.LoKrConfig(r=4, target_modules=QV),
    "AdaLoRA": lambda: peft.AdaLoraConfig(target_modules=QV, total_step=10),
    "IA3": lambda: peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "OFT": lambda: peft.OFTConfig(r=4, target_modules=["q_proj"], oft_block_size=0),
    "VeRA": lambda: peft.VeraConfig(r=4, target_modules=["q_proj"]),
    "prompt tuning": lambda: peft.PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"),
    "layer norm tuning": lambda: peft.LNTuningConfig(target_modules=["norm"]),
    "unconverted PiSSA": lambda: lora(init_lora_weights="pissa"),
    "unconverted OLoRA": lambda: lora(init_lora_weights="olora"),
    "aLoRA": lambda: lora(alora_invocation_tokens=[3, 4], task_type="CAUSAL_LM"),
    "bare parameters": lambda: lora(target_modules=[], target_parameters=["q_proj.weight"]),
    "replicated layers": lambda: lora(layer_replication=[[0, 2], [1, 3]]),
    "new tokens": lambda: lora(trainable_token_indices=[5, 6]),
}
