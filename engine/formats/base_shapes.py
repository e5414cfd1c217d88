"""Which modules a base has for adapters to land on, and their sizes: from its config and the headers of its
weights, before anything is loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.formats.base_config import read_object
from engine.formats.errors import AdapterError, StudioError
from engine.formats.old_names import rename_modules
from engine.formats.safetensors_file import TensorInfo, read_header

__all__ = ["BaseShapes", "base_shapes", "read_tables", "shapes_of", "weight_files"]

MAX_INDEX = 16 << 20
INDEX = "model.safetensors.index.json"

Shape = tuple[int, ...]


@dataclass(frozen=True)
class BaseShapes:
    """The modules of a base by their path, as its files call them (a prefix may be missing).

    ``linears`` {path: (d_in, d_out)}, ``tables`` of embeddings {path: (vocabulary, width)}, ``parameters``
    {path: shape}. None in a shape's place: it is packed (quantised), so the file does not show it. ``names``
    are those that people know the base by, ours first; ``unheard`` projections (last names) are read
    without a call, so that nothing an adapter does there is heard.
    """

    names: tuple[str, ...]
    linears: Mapping[str, Shape | None]
    tables: Mapping[str, Shape | None]
    parameters: Mapping[str, Shape | None]
    unheard: frozenset[str] = frozenset()


def base_shapes(folder: Path, names: Collection[str] = ()) -> BaseShapes:
    """The shapes of the base in ``folder``. StudioError("base") when it is none."""
    config = read_object(folder / "config.json")
    return shapes_of(config, read_tables(folder), names or (folder.name,))


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers would read the weights from: one, or those that the index names.

    StudioError("base") when there are none, or one is missing; "refused" when the index leads elsewhere.
    """
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if not (folder / INDEX).is_file():
        found = sorted(folder.glob("*.safetensors"))
        if not found:
            raise StudioError(
                "base",
                f"There are no .safetensors weights in {folder}.",
                "Other weight files are never opened.",
            )
        return found
    named = read_object(folder / INDEX, MAX_INDEX).get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise StudioError("base", f"The index of the weights in {folder} is damaged.", "Fetch it again.")
    for name in sorted(set(named.values())):
        if name != Path(name).name or "\\" in name or not name.endswith(".safetensors"):
            raise StudioError(
                "refused", f"The index of the weights in {folder} leads to {name[:80]!r}.", "Do not use it."
            )
        if not (folder / name).is_file():
            raise StudioError("base", f"The base in {folder} lacks {name}.", "Fetch it again.")
    return [folder / name for name in sorted(set(named.values()))]


def read_tables(folder: Path) -> dict[str, TensorInfo]:
    """Every tensor of the base in ``folder``, from the headers of its weights."""
    found: dict[str, TensorInfo] = {}
    for file in weight_files(folder):
        try:
            found |= read_header(file)
        except AdapterError as error:
            raise StudioError(
                "base",
                f"The weights {file.name} cannot be used: {error.message}",
                "Fetch the model again.",
                error.detail,
            ) from error
    return found


_TABLES = {
    "embed_tokens", "wte", "wpe", "shared", "word_embeddings", "position_embeddings", "embeddings",
    "token_type_embeddings", "embed_in", "embed_positions", "relative_attention_bias",
}  # fmt: skip
_VOCABULARY = ("shared", "embed_tokens", "wte", "embed_in", "embeddings", "word_embeddings")
_CONV1D = {"c_attn", "c_fc", "c_proj", "q_attn"}  # GPT-2's: stored [d_in, d_out]
_PACKED = (".qweight", ".weight_packed", ".weight")
_WHOLE = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I8"}
_UNHEARD = {"mamba": frozenset({"dt_proj"}), "t5": frozenset({"shared"})}


def shapes_of(
    config: Mapping[str, Any], table: Mapping[str, TensorInfo], names: Collection[str] = ()
) -> BaseShapes:
    """The shapes of a base with this ``config`` and these stored tensors."""
    kind = str(config.get("model_type"))
    # Files of vision models keep the names from before transformers 5.
    moved = rename_modules(table, f"{_class(config)} {kind}")
    parameters = {moved.get(name, name): _shape(info) for name, info in table.items()}
    parameters |= _tied(config, parameters)
    linears: dict[str, Shape | None] = {}
    tables: dict[str, Shape | None] = {}
    for path, shape in _matrices(parameters):
        last = path.rpartition(".")[2]
        if last in _TABLES:
            tables[path] = shape
        elif f"{path.rpartition('.')[0]}.in_proj_weight" not in parameters:  # else: within a fused attention
            stored = kind in ("gpt2", "openai-gpt") and last in _CONV1D
            linears[path] = shape if shape is None or stored else shape[::-1]
    return BaseShapes(tuple(names), linears, tables, parameters, _UNHEARD.get(kind, frozenset()))


def _shape(info: TensorInfo) -> Shape | None:
    packed = info.name.endswith(_PACKED) and (info.dtype not in _WHOLE or not info.name.endswith(".weight"))
    return None if packed else info.shape


def _matrices(parameters: Mapping[str, Shape | None]) -> Iterator[tuple[str, Shape | None]]:
    for name, shape in parameters.items():
        ending = next((ending for ending in _PACKED if name.endswith(ending)), None)
        if ending and (shape is None or len(shape) == 2):
            yield name.removesuffix(ending), shape


def _tied(config: Mapping[str, Any], stored: Mapping[str, Shape | None]) -> dict[str, Shape | None]:
    """Parameters that are other names for the table of the vocabulary, which the file has only once."""
    ending = {name.rpartition(".")[0].rpartition(".")[2]: name for name in stored if name.endswith(".weight")}
    vocabulary = next((ending[name] for name in _VOCABULARY if name in ending), None)
    if vocabulary is None:
        return {}
    found = {}
    if vocabulary == "shared.weight":
        found = {f"{side}.embed_tokens.weight": stored[vocabulary] for side in ("encoder", "decoder")}
    head = "embed_out" if config.get("model_type") == "gpt_neox" else "lm_head"
    if _has_head(config) and config.get("tie_word_embeddings") is not False:
        found[f"{head}.weight"] = stored[vocabulary]
    return {name: shape for name, shape in found.items() if name not in stored}


def _has_head(config: Mapping[str, Any]) -> bool:
    """Whether the model puts out tokens, as every one does that does not say what else it is for."""
    name = _class(config)
    return "For" not in name or name.endswith(("ForCausalLM", "ForConditionalGeneration"))


def _class(config: Mapping[str, Any]) -> str:
    listed = config.get("architectures")
    return listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], str) else ""
