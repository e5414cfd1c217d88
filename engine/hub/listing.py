"""What the Hub says of a repository as our own noun, and why one is left out of a list."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal

from engine.formats.adapter_folder import CONFIG, WEIGHTS
from engine.hub.address import is_repo
from engine.hub.text import clean
from engine.messages import HubRepo

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

__all__ = ["EXPAND", "SORTS", "Room", "adapter_weights", "count", "order_of", "read_repo"]

Room = Literal["adapters", "bases"]

EXPAND = (
    *("downloads", "gated", "lastModified", "library_name", "likes", "pipeline_tag", "private"),
    *("safetensors", "sha", "siblings", "tags", "trendingScore"),
)
"""What a list is asked to say of each repository: enough to show and to sort it, nothing of its card."""

SORTS = {
    "trending": "trendingScore",
    "downloads": "downloads",
    "likes": "likes",
    "modified": "lastModified",
}

BASE_TASKS = ("text-generation", "image-classification")
"""Tasks of the bases that adapters can be heard on here."""

_DRAWING = frozenset(
    {
        *("text-to-image", "image-to-image", "text-to-video", "image-to-video", "video-to-video"),
        *("text-to-3d", "image-to-3d", "unconditional-image-generation", "image-text-to-image"),
    }
)
PICKLED = "adapter_model.bin"
"""Which is taken apart without being executed."""

_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}
_TAGS = 40


def read_repo(info: ModelInfo, room: Room) -> HubRepo:
    """A repository as a list shows it. All words are bounded and clean."""
    tags = [clean(tag, 80) for tag in (info.tags or [])[:200] if isinstance(tag, str)]
    return HubRepo(
        repo=clean(info.id, 100),
        base=_base(tags),
        task=clean(info.pipeline_tag, 60),
        license=next((tag[8:] for tag in tags if tag.startswith("license:")), ""),
        gated=bool(info.gated),
        private=bool(info.private),
        downloads=count(info.downloads),
        likes=count(info.likes),
        modified=info.last_modified.timestamp() if info.last_modified else 0.0,
        size=_size(info, room),
        parameters=info.safetensors.total if info.safetensors else None,
        tags=tags[:_TAGS],
        commit=clean(info.sha, 40),
        hidden=_why_hidden(info, room, tags),
    )


def adapter_weights(names: Collection[str]) -> str:
    """The file that a download takes for an adapter's weights: PEFT's own, else the one that may be converted
    into it; "" where none is meant."""
    others = [name for name in names if name.endswith(".safetensors") and "/" not in name]
    if WEIGHTS in names:
        return WEIGHTS
    if len(others) == 1:
        return others[0]
    return PICKLED if PICKLED in names else ""


def order_of(info: ModelInfo, sort: str) -> float:
    """The number by which ``sort`` orders repositories, the largest first."""
    match sort:
        case "downloads":
            return count(info.downloads)
        case "likes":
            return count(info.likes)
        case "modified":
            return info.last_modified.timestamp() if info.last_modified else 0.0
    return float(info.trending_score or 0)


def _base(tags: list[str]) -> str:
    """Of ``base_model:[relation:]ORG/NAME``, that of an adapter first."""
    named = [tag.removeprefix("base_model:") for tag in tags if tag.startswith("base_model:")]
    named.sort(key=lambda base: (not base.startswith("adapter:"), ":" in base))
    return next((base for one in named if is_repo(base := one.rpartition(":")[2])), "")


def _size(info: ModelInfo, room: Room) -> int | None:
    """Bytes of the weights: of the files where their sizes are known, else by a base's number formats."""
    weights = [file.size for file in info.siblings or [] if file.rfilename.endswith(".safetensors")]
    known = [size for size in weights if size is not None]
    if known and len(known) == len(weights):
        return sum(known)
    if room == "bases" and info.safetensors:
        return sum(
            count(numbers) * _BYTES.get(kind, 1) for kind, numbers in info.safetensors.parameters.items()
        )
    return None


def _why_hidden(info: ModelInfo, room: Room, tags: list[str]) -> str:
    if not is_repo(info.id):
        return "its name is not one"
    if "diffusers" in (info.library_name, *tags) or info.pipeline_tag in _DRAWING:
        return "for a diffusion model"
    names = None if info.siblings is None else {file.rfilename for file in info.siblings}
    return _adapter_hidden(names) if room == "adapters" else _base_hidden(info, names, tags)


def _adapter_hidden(names: set[str] | None) -> str:
    if names is None:
        return ""  # nobody has said; a look at it will
    configured, weights = CONFIG in names, adapter_weights(names)
    if "config.json" in names and not configured:
        return "a whole model, not an adapter"
    if weights.endswith(".safetensors") or (weights and configured):
        return ""  # as it is, or converted when it comes in
    if _any(names, ".safetensors"):
        return "several files with weights, and none that is meant"
    if _any(names, ".gguf"):
        return "a GGUF file, for other programs"
    return "no weights" if configured else f"no {CONFIG}"


def _base_hidden(info: ModelInfo, names: set[str] | None, tags: list[str]) -> str:
    if names is not None and CONFIG in names and "config.json" not in names:
        return "an adapter"
    if info.library_name not in (None, "transformers") and "transformers" not in tags:
        return f"for {clean(info.library_name, 40)}, not for transformers"
    if info.pipeline_tag not in BASE_TASKS:
        return f"for {clean(info.pipeline_tag, 60) or 'a task that it does not name'}"
    if names is None:
        return "" if info.safetensors or "safetensors" in tags else "its weights are not safetensors"
    if "config.json" not in names:
        return "a GGUF file, for other programs" if _any(names, ".gguf") else "no config.json"
    if not _any(names, ".safetensors"):
        return "its weights are a pickle" if _any(names, *_PICKLES) else "no weights"
    return ""


def _any(names: set[str], *endings: str) -> bool:
    return any(name.lower().endswith(endings) for name in names)


def count(value: Any) -> int:
    """A number of a stranger's, or 0: no bool, nothing negative, nothing that a message cannot carry."""
    return min(value, 1 << 60) if isinstance(value, int) and value > 0 else 0
