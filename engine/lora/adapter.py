"""An adapter in memory: one pair of factors per projection, read from a checked folder."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from safetensors.torch import load as parse_tensors
from torch import Tensor, zeros_like

from engine.formats.adapter_config import AdapterConfig
from engine.formats.adapter_folder import WEIGHTS, AdapterFile, fingerprint, read_folder
from engine.formats.adapter_tensors import PREFIX
from engine.formats.errors import AdapterError
from engine.formats.safetensors_file import TensorInfo, parse_header

__all__ = ["Adapter", "Factors", "read_adapter"]


@dataclass(frozen=True)
class Factors:
    """One module's update: scale * B @ A, with A [r, d_in] and B [d_out, r].

    ``bias`` [d_out] is that of B (lora_bias), to be scaled as B is. ``magnitude`` m [d_out] makes it a DoRA
    (arXiv 2402.09353): W becomes m * (W + scale B A) / |W + scale B A|, norms by row. ``embedding``: the
    module is an nn.Embedding, A [r, vocabulary] is read by token. ``nested``: trained at every rank (DyLoRA),
    so that cut to b columns its scale is alpha / b. ``since`` [r], where it is not (1, 2, ... r), is the rank
    from which each column speaks, never falling (see ``in_order``).
    """

    A: Tensor
    B: Tensor
    scale: float
    magnitude: Tensor | None = None
    bias: Tensor | None = None
    embedding: bool = False
    nested: bool = False
    since: tuple[int, ...] = ()

    @property
    def rank(self) -> int:
        return self.A.shape[0]

    def columns(self, rank: int) -> int:
        """How many columns speak at ``rank``: the first so many."""
        return bisect_right(self.since, rank) if self.since else min(rank, self.rank)

    def cut(self, rank: int) -> Factors:
        """What speaks at ``rank``, as factors of their own; where that is no column, one of zeros."""
        count = self.columns(rank)
        if count == self.rank:
            return replace(self, since=())
        A, B = self.A[: max(1, count)], self.B[:, : max(1, count)]
        if not count:
            A, B = zeros_like(A), zeros_like(B)
        scale = self.scale * self.rank / count if self.nested else self.scale
        return replace(self, A=A, B=B, scale=scale, since=())


@dataclass(frozen=True)
class Adapter:
    """A LoRA: ``factors`` by module path, the checked config, and the hash of the files it came from.

    ``replaced`` are whole tensors that stand in for the base's own, by parameter path: trained modules
    (modules_to_save), trained biases, and copies of embeddings saved beside.
    ``kind`` "svd" says that each projection's columns are ordered, so that a prefix of them is the best
    approximation of that rank (``weighed``: of what it says on data); "dylora" that each prefix from
    ``low`` columns on was trained (its factors are ``nested``); "lora" promises nothing about order.
    """

    name: str
    config: AdapterConfig
    factors: Mapping[str, Factors]
    sha256: str = ""
    kind: str = "lora"
    replaced: Mapping[str, Tensor] = field(default_factory=dict)
    low: int = 1
    weighed: bool = False

    @property
    def rank(self) -> int:
        """The largest rank of any projection."""
        return max(factors.rank for factors in self.factors.values())

    def cut(self, rank: int) -> Adapter:
        """What it plays at ``rank``, as an adapter of its own. A projection of which nothing is left is left
        out; a bias or a magnitude stays. Meaningless where the columns have no order."""
        if all(item.columns(rank) == item.rank for item in self.factors.values()):
            return self
        factors = {
            path: item.cut(rank)
            for path, item in self.factors.items()
            if item.columns(rank) or item.bias is not None or item.magnitude is not None
        }
        config = replace(self.config, rslora=False)  # which has no word for a scale that stays
        if len(factors) < len(self.factors):
            config = replace(config, targets=tuple(factors), exclude=None, layers=None, layers_pattern=None)
        return replace(self, config=config, factors=factors, sha256="")

    def bytes_at(self, rank: int) -> int:
        """Bytes of all its tensors when it is cut to ``rank``."""
        it = self.cut(rank)
        kept: list[Tensor | None] = list(it.replaced.values())
        for item in it.factors.values():
            kept += [item.A, item.B, item.bias, item.magnitude]
        return sum(tensor.numel() * tensor.element_size() for tensor in kept if tensor is not None)


def read_adapter(folder: str | Path) -> Adapter:
    """The adapter in a PEFT folder, every tensor accounted for, in the files' own number format.

    AdapterError says in a sentence why a folder is not taken (see ``read_folder``), or where it holds NaN or
    infinity. The bytes are read once: what was checked is what is used.
    """
    folder = Path(folder)
    file = read_folder(folder)
    tensors = _tensors(folder, file)

    def vector(info: TensorInfo | None) -> Tensor | None:
        return None if info is None else tensors[info.name].flatten()

    factors = {
        place.module: Factors(
            tensors[place.a.name],
            tensors[place.b.name],
            place.scale,
            vector(place.magnitude),
            vector(place.bias),
            place.embedding,
            file.kind == "dylora",
        )
        for place in file.landings
    }
    replaced = {path: tensors[info.name] for path, info in file.contents.replaced.items()}
    for path, info in file.contents.twice.items():
        if not replaced[path].equal(tensors[info.name]):
            raise AdapterError(f"{path} is there twice, and differs.", "Export the adapter again.")
    cutting = file.cutting
    return Adapter(
        folder.name,
        file.config,
        factors,
        fingerprint(folder),
        cutting.kind,
        replaced,
        cutting.low,
        cutting.weighed,
    )


def _tensors(folder: Path, file: AdapterFile) -> dict[str, Tensor]:
    """The tensors that were accounted for, by their names in the file."""
    data = (folder / WEIGHTS).read_bytes()
    if parse_header(data[: 8 + (4 << 20)], len(data)) != {info.name: info for info in file.contents.tensors}:
        raise AdapterError("The weights file changed while it was read.", "Try again.")
    tensors: dict[str, Tensor] = parse_tensors(data)
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise AdapterError(
                f"{name.removeprefix(PREFIX)} holds numbers that are infinite or not a number.",
                "The training that made it diverged, or the file is damaged; use another one.",
            )
    return tensors
