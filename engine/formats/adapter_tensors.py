"""What each tensor of an adapter's weights file is for: every one has its place, or the file is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from engine.formats.adapter_config import AdapterConfig, NeedsConversionError
from engine.formats.errors import AdapterError
from engine.formats.old_names import PREFIX, rename_modules, rename_tensors
from engine.formats.safetensors_file import TensorInfo

__all__ = ["MAX_RANK", "PREFIX", "Contents", "Landing", "place_tensors", "sort_tensors"]

MAX_RANK = 1024
_FLOATS = {"F64", "F32", "F16", "BF16"}
_AGAIN = "Export the adapter again."


@dataclass(frozen=True)
class Landing:
    """One adapted module: its tensors in the file, its rank and its whole scale (alpha over rank).

    ``magnitude`` makes it a DoRA, ``bias`` is that of lora_B; ``embedding``: A [r, vocabulary] is read by
    token.
    """

    module: str
    a: TensorInfo
    b: TensorInfo
    rank: int
    scale: float
    magnitude: TensorInfo | None = None
    bias: TensorInfo | None = None
    embedding: bool = False

    @property
    def tensors(self) -> tuple[TensorInfo, ...]:
        return tuple(info for info in (self.a, self.b, self.magnitude, self.bias) if info is not None)


@dataclass
class Contents:
    """A weights file, sorted: the adapted modules; by parameter path what replaces the base's own (trained
    modules and biases, and the copies of embeddings that PEFT saves beside); and what PEFT, saving modules
    and all biases, wrote a second time: the same as in ``replaced`` (``twice``) or of the base (``spare``).
    """

    landings: tuple[Landing, ...] = ()
    replaced: dict[str, TensorInfo] = field(default_factory=dict)
    twice: dict[str, TensorInfo] = field(default_factory=dict)
    spare: dict[str, TensorInfo] = field(default_factory=dict)

    @property
    def tensors(self) -> list[TensorInfo]:
        """Every tensor of the file, in the order of its bytes."""
        infos = [info for landing in self.landings for info in landing.tensors]
        infos += [info for kind in (self.replaced, self.twice, self.spare) for info in kind.values()]
        return sorted(infos, key=lambda info: (info.start, info.end))


def sort_tensors(config: AdapterConfig, table: Mapping[str, TensorInfo]) -> Contents:
    """Every tensor of ``table`` in its place.

    AdapterError for a tensor that has no meaning here, that is missing, or that the config contradicts;
    ``NeedsConversionError`` for names of an older PEFT or transformers.
    """
    old = next((name for name, today in rename_tensors(table).items() if name != today), None)
    if old is not None:
        raise NeedsConversionError(
            "Its tensors have the names of an older PEFT.", "It is converted when it is imported.", old
        )
    moved = rename_modules((name.removeprefix(PREFIX) for name in table), config.hint)
    if moved:
        raise NeedsConversionError(
            "Its modules have the names from before transformers 5.",
            "It is converted when it is imported.",
            next(iter(moved)),
        )
    return place_tensors(config, table)


def place_tensors(config: AdapterConfig, table: Mapping[str, TensorInfo]) -> Contents:
    """``sort_tensors`` of a table whose module names may be those of an older transformers."""
    parts: dict[str, dict[str, TensorInfo]] = {}
    contents = Contents()
    for name, info in table.items():
        if info.dtype not in _FLOATS:
            raise AdapterError(
                f"{name[:160]} is stored as {info.dtype}; LoRA needs floating point.",
                "Export the adapter in float32, float16 or bfloat16.",
            )
        module, part = _part(name)
        if part:
            _put(parts.setdefault(module, {}), part, info)
        else:
            _replace(contents, config, name, info)
    for path in contents.twice.keys() - contents.replaced.keys():
        contents.replaced[path] = contents.twice.pop(path)
    _check_saved(config, contents.replaced)
    if not parts:
        raise AdapterError(
            "The weights file holds no LoRA factors."
            if table
            else "The weights file holds no tensor at all.",
            _AGAIN,
        )
    ranks, alphas = config.ranks(list(parts)), config.alphas(list(parts))
    contents.landings = tuple(_land(config, m, found, ranks[m], alphas[m]) for m, found in parts.items())
    if config.tied and (contents.replaced or any(landing.embedding for landing in contents.landings)):
        raise AdapterError(
            "It ties what it did to the embeddings to the output head as well (ensure_weight_tying).",
            "Train or export it without ensure_weight_tying.",
        )
    return contents


# The ending of a name in the file: which part of an adapted module it is.
_PARTS = {
    ".lora_A.weight": "A",
    ".lora_B.weight": "B",
    ".lora_B.bias": "bias",
    ".lora_embedding_A": "embedding_A",
    ".lora_embedding_B": "embedding_B",
    ".lora_magnitude_vector": "magnitude",
    ".lora_magnitude_vector.weight": "magnitude",
}
# What transformers call token embeddings and output heads: PEFT may save the base's own beside an adapter.
_EMBEDDINGS = {
    "embed_tokens", "lm_head", "wte", "shared", "word_embeddings", "embed_in", "embed_out", "embeddings",
}  # fmt: skip


def _part(name: str) -> tuple[str, str]:
    """(module, part), or ("", "") for a tensor that belongs to no pair of factors."""
    for ending, part in _PARTS.items():
        if name.endswith(ending):
            return name.removesuffix(ending).removeprefix(PREFIX), part
    if "trainable_tokens" in name:
        raise AdapterError(
            "It brings new or changed tokens (trainable_token_indices).",
            "Train or export it as a plain LoRA.",
            name,
        )
    if any(mark in name for mark in (".hada_", ".lokr_", ".oft_", ".ia3_", ".lora_E", ".vera_")):
        raise AdapterError(
            "It is not a plain LoRA: its tensors belong to another method.",
            "Check its config, which says LORA.",
            name,
        )
    return "", ""


def _put(found: dict[str, TensorInfo], key: str, info: TensorInfo) -> None:
    if key in found:
        raise AdapterError(f"{info.name} is there twice, under two names.", _AGAIN, found[key].name)
    found[key] = info


def _replace(contents: Contents, config: AdapterConfig, name: str, info: TensorInfo) -> None:
    """Put down a tensor that stands for one of the base's, as far as the config or PEFT's habits allow it."""
    kind, path = contents.replaced, name.removeprefix(PREFIX).replace(".base_layer.", ".")
    if config.saved and ".modules_to_save." in path:
        kind, path = contents.twice, path.replace(".modules_to_save.", ".")
    elif config.saved and ".original_module." in path:
        kind, path = contents.spare, path.replace(".original_module.", ".")
    module, _, last = path.rpartition(".")
    copied = name.startswith(PREFIX) and last == "weight" and len(info.shape) == 2
    if (
        (last == "bias" and config.bias != "none")
        or any(prefix.endswith(config.saved) for prefix in _prefixes(module) if config.saved)
        or (copied and module.rpartition(".")[2] in _EMBEDDINGS)
    ):
        return _put(kind, path, info)
    if "modules_to_save" in name:
        raise AdapterError(
            "It replaces a module of the base that its config does not name (modules_to_save).", _AGAIN, name
        )
    raise AdapterError(
        f"The weights file holds a tensor that no LoRA has: {name[:160]}.",
        "Nothing was loaded, so that no part of it is lost in silence.",
    )


def _prefixes(module: str) -> Iterator[str]:
    """A module's path and those of everything it lies in: PEFT saves whatever ends with a name."""
    while module:
        yield module
        module = module.rpartition(".")[0]


def _check_saved(config: AdapterConfig, replaced: Mapping[str, TensorInfo]) -> None:
    """PEFT names modules that a base of this kind might have ("classifier", "score"): one must be there."""
    there = [prefix for path in replaced for prefix in _prefixes(path.rpartition(".")[0])]
    if config.saved and not any(prefix.endswith(config.saved) for prefix in there):
        raise AdapterError(
            f"Its config says that it replaces {', '.join(config.saved)[:160]} (modules_to_save), but the "
            "weights file has none of it.",
            _AGAIN,
        )


def _land(
    config: AdapterConfig, module: str, found: Mapping[str, TensorInfo], rank: int, alpha: float
) -> Landing:
    embedding = "embedding_A" in found or "embedding_B" in found
    sides = ("embedding_A", "embedding_B") if embedding else ("A", "B")
    for side, other in (sides, sides[::-1]):
        if side not in found:
            there = f"has lora_{other}" if other in found else "has neither factor,"
            raise AdapterError(f"{module} {there} but no lora_{side}.", _AGAIN)
    a, b = found[sides[0]], found[sides[1]]
    if embedding and ("A" in found or "B" in found):
        raise AdapterError(f"{module} is adapted both as an embedding and as a projection.", _AGAIN)
    _check_factors(module, a, b, rank)
    d_out = b.shape[0]
    magnitude = _vector(module, found.get("magnitude"), "magnitude", config.dora, "DoRA (use_dora)", d_out)
    bias = _vector(module, found.get("bias"), "bias", config.lora_bias and not embedding, "lora_bias", d_out)
    if magnitude and bias:
        raise AdapterError(
            f"{module} has a magnitude and a bias; no PEFT plays both.", "Train or export it as a plain LoRA."
        )
    scale = alpha / math.sqrt(rank) if config.rslora else alpha / rank
    return Landing(module, a, b, rank, scale, magnitude, bias, embedding)


def _check_factors(module: str, a: TensorInfo, b: TensorInfo, rank: int) -> None:
    if len(a.shape) in (3, 4, 5) or len(b.shape) in (3, 4, 5):
        raise AdapterError(
            f"{module} has factors of shape {list(a.shape)} and {list(b.shape)}: a convolution, or experts "
            "stacked in three dimensions, which are not played.",
            "Train or export it on linear projections only.",
        )
    if len(a.shape) != 2 or len(b.shape) != 2 or min(*a.shape, *b.shape) == 0:
        raise AdapterError(
            f"{module} has factors of shape {list(a.shape)} and {list(b.shape)}; LoRA needs two matrices.",
            _AGAIN,
        )
    if a.shape[0] != b.shape[1]:
        raise AdapterError(
            f"{module}: lora_A has rank {a.shape[0]} and lora_B has rank {b.shape[1]}.", _AGAIN
        )
    if a.shape[0] > MAX_RANK:
        raise AdapterError(
            f"{module} has rank {a.shape[0]}; at most {MAX_RANK} is read.", "Check what it is."
        )
    if a.shape[0] != rank:
        raise AdapterError(
            f"{module} has rank {a.shape[0]}, but the config says {rank}, so its strength cannot be known.",
            "Export the adapter again with PEFT.",
        )


def _vector(
    module: str, info: TensorInfo | None, what: str, expected: bool, setting: str, d_out: int
) -> TensorInfo | None:
    """A magnitude or bias: there if and only if the config says so, with one number per output."""
    if (info is not None) != expected:
        has, says = ("has a", "does not say") if info is not None else ("has no", "says")
        raise AdapterError(f"{module} {has} {what}, but its config {says} {setting}.", _AGAIN)
    if info is not None and math.prod(info.shape) != d_out:
        raise AdapterError(f"{module} has a {what} of shape {list(info.shape)} for {d_out} outputs.", _AGAIN)
    return info
