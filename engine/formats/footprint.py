"""What a base takes of memory, to answer and to train a LoRA, told from its config before it is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.formats.architectures import STATEFUL
from engine.formats.errors import StudioError

__all__ = ["Footprint", "Sizes", "footprint", "read_sizes"]

CONTEXT = 4096
"""Tokens of one conversation that the keys and values are counted for."""

RANK = 16
BATCH = 2048
"""Tokens of one training step: 32 rows of 64, or 8 of 256."""

RUNTIME = 400 << 20
"""Bytes of a runtime's process before it holds a base: Python, torch and transformers."""

# What a size may be at most, several times what the largest models have.
_LARGEST = {"layers": 1000, "width": 1 << 17, "inner": 1 << 20, "vocabulary": 1 << 23, "few": 4096}


@dataclass(frozen=True)
class Sizes:
    """The sizes in a config, for one layer where nothing else is said.

    ``projections`` are (d_in, d_out), a fresh LoRA takes the first ``trained`` of them and reads ``inputs``
    numbers for them. ``key_value`` numbers are a token's keys, ``state`` those that a Mamba keeps in their
    place; ``windowed`` layers forget what is older than ``window`` tokens. ``between`` numbers per token is
    what autograd keeps besides inputs and outputs of projections and norms. ``tables`` are the numbers in the
    embeddings and the head.
    """

    layers: int
    width: int
    vocabulary: int
    tables: int
    projections: tuple[tuple[int, int], ...]
    trained: int
    inputs: int
    between: int
    key_value: int = 0
    state: int = 0
    window: int = CONTEXT
    windowed: int = 0

    @property
    def parameters(self) -> int:
        """About how many numbers such a base has: those of its matrices."""
        return self.tables + self.layers * sum(d_in * d_out for d_in, d_out in self.projections)


@dataclass(frozen=True)
class Footprint:
    """Bytes: the weights as they are played, one conversation's keys and values (or states), and what
    training a LoRA needs besides the weights."""

    weights: int
    kv_cache: int
    training: int

    @property
    def to_answer(self) -> int:
        return RUNTIME + self.weights + self.kv_cache

    @property
    def to_train(self) -> int:
        return RUNTIME + self.weights + self.training


def footprint(config: Mapping[str, Any], parameters: int = 0, *, gpu: bool = False) -> Footprint:
    """The memory of a base with this ``config``; ``parameters`` where they are known better than from it.

    b = bytes of a number as it is played: those of the config's dtype, but float32 where it names none, and
    for float16 without a GPU.

    * weights = b parameters
    * kv_cache = 2 b (numbers of a token's keys) per layer and token, for one conversation of 4,096 tokens (of
      a layer with a window: as many as it sees); of a Mamba b (numbers of its states), however long the text
    * training, a LoRA of rank r = 16 on every projection that a fresh one takes, 2,048 tokens a step:
      16 bytes for each of its r (d_in + d_out) numbers (float32: itself, gradient, AdamW's two moments), and
      what autograd keeps per token and layer: b (inputs and outputs of all projections, and what lies between
      them), 16 bytes for each number of the width (two norms, computed in float32), and, where b < 4, the
      factors' inputs once more in float32. Half of the tokens are learned: 12 bytes per token of the
      vocabulary for each. Without gradient checkpointing, which the loop has not; attention's scores are
      not kept; a Mamba without the fused kernels of mamba_ssm.

    Weights, keys and states are exact on the bases measured; training is within a fifth of the peak.
    StudioError as ``read_sizes``.
    """
    sizes = read_sizes(config)
    b = _bytes(config, gpu)
    tokens = (sizes.layers - sizes.windowed) * CONTEXT + sizes.windowed * min(CONTEXT, sizes.window)
    lora = RANK * sizes.layers * sum(d_in + d_out for d_in, d_out in sizes.projections[: sizes.trained])
    flow = sum(d_in + d_out for d_in, d_out in sizes.projections) + sizes.between
    kept = b * flow + 16 * sizes.width + (4 * sizes.inputs if b < 4 else 0)
    return Footprint(
        weights=b * (parameters or sizes.parameters),
        kv_cache=b * (2 * sizes.key_value * tokens + sizes.state * sizes.layers),
        training=16 * lora + BATCH * sizes.layers * kept + BATCH // 2 * 12 * sizes.vocabulary,
    )


def read_sizes(config: Mapping[str, Any]) -> Sizes:
    """The sizes in the config.json of a kind that is played (see ``check_config``). StudioError("refused")
    for sizes that no model has: whoever built such a model would fill the memory."""
    kind = str(config.get("model_type"))
    if kind in STATEFUL:
        return _mamba(config, kind)
    return _gpt2(config) if kind == "gpt2" else _transformer(config, kind)


def _bytes(config: Mapping[str, Any], gpu: bool) -> int:
    stored = str(config.get("dtype") or config.get("torch_dtype")).removeprefix("torch.")
    return 2 if stored == "bfloat16" or (stored == "float16" and gpu) else 4


def _transformer(config: Mapping[str, Any], kind: str) -> Sizes:
    layers, width = _size(config, "num_hidden_layers", "layers"), _size(config, "hidden_size", "width")
    inner, heads = _size(config, "intermediate_size", "inner"), _size(config, "num_attention_heads", "few")
    head_dim = _size(config, "head_dim", "width", max(1, width // heads))
    query = heads * head_dim
    key = head_dim * _size(config, "num_key_value_heads", "few", heads)
    if max(query, key) > 16 * width:
        raise _absurd("num_attention_heads", heads)
    attention: tuple[tuple[int, int], ...] = ((width, query), (width, key), (width, key), (query, width))
    forward: tuple[tuple[int, int], ...] = ((width, inner), (width, inner), (inner, width))
    if kind == "phi3":
        attention, forward = ((width, query + 2 * key), (query, width)), ((width, 2 * inner), (inner, width))
    if kind == "gpt_neox":
        attention, forward = ((width, 3 * query), (query, width)), ((width, inner), (inner, width))
    vocabulary, projections = _size(config, "vocab_size", "vocabulary"), attention + forward
    return Sizes(
        layers=layers,
        width=width,
        vocabulary=vocabulary,
        tables=_tables(config, kind, vocabulary, width),
        projections=projections,
        trained=len(projections),
        inputs=2 * width + query + inner,
        between=inner,
        key_value=key,
        **_windows(config, kind, layers),
    )


def _windows(config: Mapping[str, Any], kind: str, layers: int) -> dict[str, int]:
    """The window, and how many layers have one."""
    window, kinds = config.get("sliding_window"), config.get("layer_types")
    if type(window) is not int or window < 1 or config.get("use_sliding_window") is False:
        return {}
    if isinstance(kinds, list):
        return {"window": window, "windowed": min(layers, kinds.count("sliding_attention"))}
    windowed = {"gemma2": (layers + 1) // 2, "mistral": layers, "phi3": layers}.get(kind, 0)
    return {"window": window, "windowed": windowed}


def _gpt2(config: Mapping[str, Any]) -> Sizes:
    layers, width = _size(config, "n_layer", "layers"), _size(config, "n_embd", "width")
    inner = _size(config, "n_inner", "inner", 4 * width)
    vocabulary = _size(config, "vocab_size", "vocabulary")
    positions = _size(config, "n_positions", "vocabulary", 1024)
    projections = ((width, 3 * width), (width, width), (width, inner), (inner, width))
    return Sizes(
        layers=layers,
        width=width,
        vocabulary=vocabulary,
        tables=_tables(config, "gpt2", vocabulary, width) + positions * width,
        projections=projections,
        trained=len(projections),
        inputs=3 * width + inner,
        between=4 * inner,  # its GELU is made of single steps
        key_value=width,
    )


def _mamba(config: Mapping[str, Any], kind: str) -> Sizes:
    layers, width = _size(config, "num_hidden_layers", "layers"), _size(config, "hidden_size", "width")
    state, kernel = _size(config, "state_size", "width"), _size(config, "conv_kernel", "few", 4)
    inner = _size(config, "expand", "few", 2) * width
    vocabulary = _size(config, "vocab_size", "vocabulary")
    if kind == "mamba":
        inner = _size(config, "intermediate_size", "inner", inner)
        rank = config.get("time_step_rank")
        rank = rank if type(rank) is int and 1 <= rank <= inner else math.ceil(width / 16)
        convolved = inner
        taken: tuple[tuple[int, int], ...] = ((width, 2 * inner), (inner, rank + 2 * state))
        others: tuple[tuple[int, int], ...] = ((rank, inner), (inner, width))
    else:
        heads = _size(config, "num_heads", "few", 128)
        convolved = inner + 2 * _size(config, "n_groups", "few", 8) * state
        taken, others = ((width, inner + convolved + heads),), ((inner, width),)
    return Sizes(
        layers=layers,
        width=width,
        vocabulary=vocabulary,
        tables=_tables(config, kind, vocabulary, width),
        projections=taken + others,
        trained=len(taken),
        inputs=sum(d_in for d_in, _ in taken),
        between=(5 if kind == "mamba" else 1) * inner * state,  # the scan's own steps, as measured
        state=inner * state + convolved * kernel,
    )


def _tables(config: Mapping[str, Any], kind: str, vocabulary: int, width: int) -> int:
    """The numbers in embeddings and head, one table where they are tied; where a config does not say, as
    transformers assumes."""
    tied = config.get("tie_word_embeddings")
    if not isinstance(tied, bool):
        tied = kind in ("gpt2", "gemma", "gemma2", "mamba", "smollm3")
    return vocabulary * width * (1 if tied else 2)


def _size(config: Mapping[str, Any], key: str, what: str, default: int | None = None) -> int:
    value = config.get(key)
    if value is None and default is not None:
        return default
    if type(value) is not int or not 1 <= value <= _LARGEST[what]:
        raise _absurd(key, value)
    return value


def _absurd(key: str, value: object) -> StudioError:
    return StudioError(
        "refused",
        f"Its config.json says {key} = {str(value)[:40]}, as no model has.",
        "Check where it comes from.",
    )
