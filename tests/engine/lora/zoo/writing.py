"""PEFT, the yardstick: it writes the zoo's folders, and says what a model with them answers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn

from tests.engine.lora.zoo.bases import build
from tests.engine.lora.zoo.recipes import Recipe


@contextmanager
def hushed() -> Iterator[None]:
    """PEFT warns of much that is meant here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def write(name: str, recipe: Recipe, folder: Path) -> Path:
    """Have PEFT make the adapter of ``recipe``, give it something to say, and save it."""
    seed = sum(map(ord, name))
    with hushed():
        peft = start(recipe, seed)
        untrained = folder.with_name(f"{folder.name}-untrained")
        if recipe.convert:
            config = peft.peft_config["default"]
            config.init_lora_weights = True  # as PEFT wants it, to be able to take the start away again
            peft.save_pretrained(untrained)
            config.init_lora_weights = recipe.convert
        train(peft, torch.Generator().manual_seed(seed), recipe.dtype)
        how = {"path_initial_model_for_weight_conversion": str(untrained)} if recipe.convert else {}
        peft.save_pretrained(folder, **how)
    return folder


def start(recipe: Recipe, seed: int) -> PeftModel:
    """The base with a fresh adapter of ``recipe``."""
    torch.manual_seed(seed)  # PEFT draws A from the global generator
    config = {"r": 4, "lora_alpha": 6} | recipe.config
    if recipe.convert:
        config["init_lora_weights"] = recipe.convert
    return get_peft_model(build(recipe.base), LoraConfig(**config))


def train(peft: PeftModel, dice: torch.Generator, dtype: torch.dtype) -> None:
    """A step at random for everything that can learn, large enough to be heard; the factors in ``dtype``."""
    for path, parameter in peft.named_parameters():
        if parameter.requires_grad:
            loud = "lora_B" in path or "lora_embedding" in path
            parameter.data += (0.3 if loud else 0.1) * torch.randn(parameter.shape, generator=dice)
            if "lora_" in path:
                parameter.data = parameter.data.to(dtype)


def load(model: nn.Module, folders: Mapping[str, Path]) -> PeftModel:
    """``model`` under PEFT with all of ``folders``; ``play`` says which are active."""
    with hushed():
        first, *others = folders
        peft = PeftModel.from_pretrained(model, folders[first], adapter_name=_tag(first))
        for name in others:
            peft.load_adapter(folders[name], adapter_name=_tag(name))
    return peft.eval()


def play(peft: PeftModel, weights: Mapping[str, float]) -> PeftModel:
    """PEFT's sum of active adapters, each with a weight on its own scale."""
    with hushed():
        peft.base_model.set_adapter([_tag(name) for name in weights])
    for module in peft.modules():
        if isinstance(module, LoraLayer):
            for name, weight in weights.items():
                module.set_scale(_tag(name), weight)
    return peft


def _tag(name: str) -> str:
    """PEFT refuses adapters whose names end as a module's name does."""
    return f"{name}-zoo"
