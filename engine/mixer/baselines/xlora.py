"""PEFT's own X-LoRA (Buehler & Buehler, arXiv 2402.07148) over a base that others go on using."""

from __future__ import annotations

import copy
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from engine.formats.errors import StudioError
from engine.lora import Adapter, write_adapter
from engine.training.randomness import Randomness

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["classifier", "twin", "xlora"]


def xlora(model: PreTrainedModel, adapters: Mapping[str, Adapter], seed: int = 0) -> nn.Module:
    """A PeftModel with an X-LoRA over ``adapters``, only its classifier trainable; ``model`` stays as it is.

    The classifier is PEFT's with one linear layer and scalings of its own for every projection, drawn from
    ``seed``. It keeps no cache: call with ``use_cache=False`` and the whole text. StudioError("adapter")
    where PEFT does not take the experts.
    """
    from peft import XLoraConfig, get_peft_model

    for name, adapter in adapters.items():
        if any(factors.magnitude is not None for factors in adapter.factors.values()):
            raise StudioError("adapter", f"PEFT's X-LoRA does not take DoRA, and {name} is one.")
        # PEFT puts every key of an expert's file under model., whatever the base is built like.
        if outside := [path for path in adapter.factors if not path.startswith("model.")]:
            why = f"PEFT's X-LoRA takes projections under model. only, and {name} adapts {outside[0]}."
            raise StudioError("adapter", why)
    copied = twin(model)
    copied.config.use_cache = False
    with tempfile.TemporaryDirectory() as folder, Randomness(seed).drawn():
        # PEFT finds experts by their number: other names are a KeyError.
        places = {str(number): Path(folder) / str(number) for number in range(len(adapters))}
        for place, adapter in zip(places.values(), adapters.values(), strict=True):
            write_adapter(adapter, place)
        config = XLoraConfig(
            task_type="CAUSAL_LM",
            hidden_size=copied.config.hidden_size,
            adapters={name: str(place) for name, place in places.items()},
            layerwise_scalings=True,
            xlora_dropout_p=0.0,
        )
        try:
            peft: nn.Module = get_peft_model(copied, config)
        except (ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
            raise StudioError(
                "adapter", "PEFT's X-LoRA does not take these experts on this base.", detail=str(error)
            ) from error
    return peft.eval()


def classifier(peft: nn.Module) -> dict[str, Tensor]:
    """What X-LoRA trains."""
    return {name: each for name, each in peft.named_parameters() if each.requires_grad}


def twin(model: nn.Module) -> Any:
    """A copy of ``model`` that shares every parameter and buffer with it, and has none of its hooks."""
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    for module in model.modules():
        for name, value in vars(module).items():
            if name.endswith(("_hooks", "_hooks_with_kwargs", "_hooks_always_called")):
                shared[id(value)] = OrderedDict()
    return copy.deepcopy(model, shared)
