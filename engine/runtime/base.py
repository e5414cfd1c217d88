"""A base model read from a folder of a stranger: weights as safetensors, no code, nothing guessed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from engine.formats.architectures import ARCHITECTURES, STATEFUL
from engine.formats.base_config import check_config
from engine.formats.errors import AdapterError, StudioError
from engine.formats.safetensors_file import read_header

__all__ = ["Base", "load_base"]

MAX_JSON = 64 * 2**20
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
HINT = "Choose the folder of a transformers model with config.json, tokenizer.json and .safetensors weights."


@dataclass(frozen=True)
class Base:
    """A frozen model in evaluation mode on ``device``, its tokenizer, and the tokens that end a text."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    ends: frozenset[int]

    def new_cache(self) -> DynamicCache:
        """What one batch of texts leaves behind for its next tokens: keys and values, or states."""
        return DynamicCache(config=self.model.config)

    def read(
        self,
        ids: Tensor,
        cache: DynamicCache | None,
        *,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        model: Callable[..., Any] | None = None,
    ) -> Tensor:
        """One forward pass over ``ids`` [B, T], going on from ``cache``; logits [B, vocabulary] of the last
        tokens.

        ``mask`` [B, T so far] is 0 for padding, ``positions`` are of ``ids``. ``model`` stands in for the
        base's own where it is wrapped.
        """
        kept: dict[str, Any] = {"past_key_values": cache}
        if self.model.config.model_type in STATEFUL:
            # Its states have forgotten the padding already, and there are no positions.
            kept = {"cache_params": cache}
            mask, positions = mask if mask is not None and mask.shape == ids.shape else None, None
        if positions is not None:
            kept["position_ids"] = positions
        output = (model or self.model)(
            input_ids=ids, attention_mask=mask, use_cache=cache is not None, logits_to_keep=1, **kept
        )
        logits: Tensor = output.logits[:, -1]
        return logits


def load_base(folder: str | Path, name: str, device: str = "auto") -> Base:
    """Load the base in ``folder``. ``device`` auto is the GPU if there is one.

    StudioError("refused") when the folder asks for code of its own to run, StudioError("base") when it is
    not a whole model of a known architecture.
    """
    folder = Path(folder)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    config = _config(folder, name)
    _check_files(folder, name)
    model = _model(folder, name, config, _dtype(config, device))
    tokenizer = _tokenizer(folder, name)
    ends = {tokenizer.eos_token_id} | _as_set(config.get("eos_token_id"))
    if model.generation_config is not None:
        ends |= _as_set(model.generation_config.eos_token_id)
    model = model.requires_grad_(False).eval().to(device)
    return Base(
        name, model, tokenizer, torch.device(device), frozenset(end for end in ends if end is not None)
    )


def _read_json(path: Path, name: str) -> dict[str, Any]:
    if not path.is_file():
        raise StudioError("base", f"The base {name} has no {path.name}.", HINT, str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MAX_JSON + 1)
        if len(content) > MAX_JSON:
            raise StudioError("base", f"{path.name} of {name} is too large to be one.", HINT)
        value = json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise StudioError("base", f"{path.name} of {name} cannot be read.", HINT, str(error)) from error
    if not isinstance(value, dict):
        raise StudioError("base", f"{path.name} of {name} is not a JSON object.", HINT)
    return value


def _config(folder: Path, name: str) -> dict[str, Any]:
    """The config without what could choose code."""
    config = _read_json(folder / "config.json", name)
    if "auto_map" in _read_json(folder / "tokenizer_config.json", name):
        config = config | {"auto_map": "the tokenizer's"}
    check_config(config, name)
    config = _floats(config)
    # These name kernels to fetch, or models inside the model; neither is needed.
    return {
        key: value
        for key, value in config.items()
        if not key.lstrip("_").startswith("attn_implementation") and not key.startswith("kernel")
    }


def _floats(value: Any) -> Any:
    """JSON has no word for infinity; transformers writes {"__float__": "Infinity"}."""
    if isinstance(value, dict):
        if value.keys() == {"__float__"} and value["__float__"] in ("Infinity", "-Infinity", "NaN"):
            return float(value["__float__"])
        return {key: _floats(each) for key, each in value.items()}
    return [_floats(each) for each in value] if isinstance(value, list) else value


def _check_files(folder: Path, name: str) -> None:
    if (folder / "adapter_config.json").exists():
        raise StudioError("base", f"{name} is an adapter, not a base.", "Import it as an adapter.")
    if not (folder / "tokenizer.json").is_file():
        raise StudioError("base", f"The base {name} has no tokenizer.json.", HINT)
    weights = {path.name for path in folder.glob("*.safetensors")}
    if not weights:
        raise StudioError(
            "base", f"The base {name} has no .safetensors weights.", "Other weights are never opened."
        )
    index = folder / "model.safetensors.index.json"
    if index.exists():
        named = _read_json(index, name).get("weight_map")
        if not isinstance(named, dict) or not set(named.values()) <= weights:
            raise StudioError("base", f"The base {name} lacks some of its weight files.", "Fetch it again.")
    for file in sorted(weights):
        try:
            read_header(folder / file)
        except AdapterError as error:
            raise StudioError(
                "base", f"{file} of {name}: {error.message}", "Fetch it again.", error.detail
            ) from error


def _dtype(config: dict[str, Any], device: str) -> torch.dtype:
    stored = DTYPES.get(str(config.get("dtype", config.get("torch_dtype"))), torch.float32)
    # Half precision is for GPUs; processors compute it slowly or not at all.
    return torch.float32 if stored == torch.float16 and device == "cpu" else stored


def _model(folder: Path, name: str, config: dict[str, Any], dtype: torch.dtype) -> PreTrainedModel:
    kind = getattr(transformers, ARCHITECTURES[config["model_type"]])
    try:
        model, found = kind.from_pretrained(
            folder,
            config=kind.config_class.from_dict(config),
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise StudioError("base", f"The base {name} could not be loaded.", HINT, str(error)) from error
    missing = sorted(found["missing_keys"]) + sorted(str(key) for key in found["mismatched_keys"])
    if missing:
        raise StudioError(
            "base",
            f"The weights of {name} are not whole: {len(missing)} tensors are missing or of another shape.",
            "Fetch the base again.",
            "\n".join(missing[:50]),
        )
    return model


def _tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    try:
        return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise StudioError(
            "base", f"The tokenizer of {name} could not be loaded.", HINT, str(error)
        ) from error


def _as_set(value: int | list[int] | None) -> set[int | None]:
    return set(value) if isinstance(value, list) else {value}
