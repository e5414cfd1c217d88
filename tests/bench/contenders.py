"""Who takes part: a base with random weights, four experts on all of it, and PEFT's ways to play them."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from peft import PeftModel, XLoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from engine.lora import Adapter, Bank, Gates, new_adapter, write_adapter
from engine.mixer import Router

EXPERTS, RANK = 4, 16
SHARES = (0.4, 0.3, 0.2, 0.1)
STARTER = Path(__file__).parents[2] / "resources" / "starter" / "base"


def llama(width: int, device: torch.device, kind: torch.dtype, layers: int = 6) -> nn.Module:
    """A Llama of ``width`` with random weights: time does not depend on them. On a GPU one of 8 billion."""
    config = LlamaConfig(
        hidden_size=width,
        intermediate_size=width * 11 // 4,
        num_hidden_layers=layers,
        num_attention_heads=max(4, width // 64),
        vocab_size=8000 if width > 512 else 256,
        max_position_embeddings=2048,
    )
    if device.type == "cuda":
        config = LlamaConfig(
            hidden_size=4096,
            intermediate_size=14336,
            num_hidden_layers=32,
            num_attention_heads=32,
            num_key_value_heads=8,
            vocab_size=128256,
            max_position_embeddings=8192,
        )
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(kind)
    try:
        with device:
            return LlamaForCausalLM(config).eval().requires_grad_(False)
    finally:
        torch.set_default_dtype(before)


def starter(device: torch.device, kind: torch.dtype) -> nn.Module:
    return AutoModelForCausalLM.from_pretrained(STARTER).eval().requires_grad_(False).to(device, kind)


def twin(model: nn.Module) -> nn.Module:
    """Another model that shares the weights: whoever wraps or hooks it leaves the first one alone."""
    return copy.deepcopy(model, {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]})


def experts(model: nn.Module, count: int = EXPERTS) -> dict[str, Adapter]:
    """Named as X-LoRA wants them: "0", "1", ..."""
    adapters = {}
    for index in range(count):
        adapter = new_adapter(model, RANK, seed=index, name=str(index))
        dice = torch.Generator().manual_seed(100 + index)
        for factors in adapter.factors.values():
            factors.B.normal_(0.0, 0.02, generator=dice)
        adapters[adapter.name] = adapter
    return adapters


def numbers(bank: Bank) -> int:
    """How many numbers the experts' factors have: each is multiplied once per token."""
    return sum(f.A.numel() + f.B.numel() for a in bank.adapters.values() for f in a.factors.values())


def mixed(bank: Bank, kind: str, device: torch.device) -> Gates:
    """All experts at full fader under a router that leans this way and that."""
    router = Router(bank.layout(), bank.experts, kind, seed=0).requires_grad_(False).to(device)
    return bank.new_gates(dict.fromkeys(bank.experts, 1.0), router=router)


def peft(model: nn.Module, adapters: dict[str, Adapter], folder: Path, trainable: bool = False) -> PeftModel:
    """The same base under PEFT with the same experts."""
    first, *others = adapters
    for name, adapter in adapters.items():
        write_adapter(adapter, folder / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = PeftModel.from_pretrained(
            twin(model), folder / first, adapter_name=first, is_trainable=trainable
        )
        for name in others:
            wrapped.load_adapter(folder / name, adapter_name=name)
    return wrapped.eval()


def xlora(model: nn.Module, adapters: dict[str, Adapter], folder: Path) -> PeftModel:
    """The same base and experts under PEFT's X-LoRA, its classifier one layer deep with gates by layer."""
    paths = {}
    for name, adapter in adapters.items():
        write_adapter(adapter, folder / name)
        paths[name] = str(folder / name)
    base = twin(model)
    base.config = copy.deepcopy(model.config)
    base.config.use_cache = False
    config = XLoraConfig(
        task_type="CAUSAL_LM",
        hidden_size=model.config.hidden_size,
        adapters=paths,
        xlora_depth=1,
        layerwise_scalings=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return get_peft_model(base, config).eval()


def inject(wrapped: PeftModel, shares: Sequence[float]) -> None:
    """Let X-LoRA's classifier say ``shares`` of every token and layer, whatever it reads."""
    last = wrapped.base_model.internal_xlora_classifier.layers[-1]
    with torch.no_grad():
        last.weight.zero_()
        bias = torch.tensor([math.log(share) for share in shares])
        last.bias.copy_(bias.repeat(len(last.bias) // len(shares)))


def apart(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, relative to the largest number expected."""
    return float((ours.double() - theirs.double()).abs().max() / theirs.double().abs().max())


def exact(kind: torch.dtype) -> float:
    """How near two orders of the same sums must be."""
    return 1e-5 if kind == torch.float32 else 5e-2
