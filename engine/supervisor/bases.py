"""Base models on disk: what a folder must hold to be one, and what its card says."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from engine.formats.base_config import HINT, check_config, read_object
from engine.formats.base_shapes import base_shapes, read_tables, weight_files
from engine.formats.errors import StudioError
from engine.formats.footprint import read_sizes
from engine.formats.places import Finder
from engine.messages import BaseCard

__all__ = ["has_projections", "read_base"]


def read_base(folder: Path, name: str, source: str = "import") -> BaseCard:
    """The card of the base model in ``folder``, its parameters counted from the headers of its weights.

    The files may be links, as in the Hugging Face cache. StudioError("base") when it is not a model that can
    be loaded, StudioError("refused") when loading it would run code that came with it, or build a model far
    larger than its weights.
    """
    config = read_object(folder / "config.json")
    check_config(config, name)
    if not (folder / "tokenizer.json").is_file():
        raise StudioError("base", f"There is no tokenizer.json in {folder}.", HINT)
    if "auto_map" in (own := read_object(folder / "tokenizer_config.json")):
        check_config(config | own, name)
    tensors = read_tables(folder)
    parameters = sum(prod(tensor.shape) for tensor in tensors.values())
    promised = read_sizes(config).parameters
    if promised > 2 * parameters:
        raise StudioError(
            "refused",
            f"The config.json of {name} promises {promised:,} numbers, its weights hold {parameters:,}.",
            "Fetch the model again, and check where it comes from.",
        )
    return BaseCard(
        name=name,
        architecture=_architecture(config),
        parameters=parameters,
        path=str(folder),
        source=source,
        bytes=sum(file.stat().st_size for file in weight_files(folder)),
    )


def has_projections(folder: Path, shapes: Mapping[str, tuple[int, int]]) -> bool:
    """Whether the weights in ``folder`` look like those of the base that has ``shapes``, {projection: [d_in,
    d_out]}: some of these projections are there, and none in another size."""
    linears = base_shapes(folder).linears
    find = Finder(linears)
    places = {find(path): shape for path, shape in shapes.items()}
    found = [linears[place] == tuple(shape) for place, shape in places.items() if place is not None]
    return bool(found) and all(found)


def _architecture(config: Mapping[str, Any]) -> str:
    listed = config.get("architectures")
    first = listed[0] if isinstance(listed, list) and listed else None
    known = isinstance(first, str) and first.isidentifier() and len(first) <= 80
    return first if known and isinstance(first, str) else str(config["model_type"])
