"""What a few kilobytes tell of a repository, before anything is downloaded: of an adapter its config and the
table of its weights, of a base its config and sizes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from engine.formats.adapter_folder import CONFIG, GATE, STUDIO, WEIGHTS
from engine.formats.cut_header import header_end
from engine.formats.errors import StudioError
from engine.hub.errors import asking
from engine.hub.look import Beginning, Look
from engine.hub.plan import selection
from engine.hub.session import api_with
from engine.messages import Fit

__all__ = ["BUDGET", "BasePeek", "Peek", "newest", "peek_adapter", "peek_base"]

BUDGET = 62_000
"""Bytes that are read of an adapter: enough for the table of 450 tensors, all projections of 32 layers, and
with the heads of the answers still below 64 KiB."""

FIRST_CONFIG, LARGEST_CONFIG = 8 << 10, 24 << 10
LARGEST_STUDIO = 8 << 10
FIRST_TABLE = 20 << 10
"""Bytes asked for at first: the table of queries and values of 32 layers has 17 KB."""

BASE_BUDGET = 256 << 10
INDEX, WHOLE = "model.safetensors.index.json", "model.safetensors"
_TOTAL = re.compile(rb'"total_size"\s*:\s*(\d{1,18})\b')
_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}


class Peek(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of an adapter at ``commit``: its config and its studio.json (None: it has none), and
    ``table``, the first bytes of the file ``weights`` of ``size`` bytes. ``fit`` is the verdict where there
    was nothing to look into. ``read`` counts the bytes that it took."""

    repo: str
    commit: str
    config: bytes | None = None
    studio: bytes | None = None
    weights: str = ""
    table: bytes = b""
    size: int = 0
    fit: Fit | None = None
    read: int = 0


class BasePeek(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a base at ``commit``: its config, how many numbers it has as far as the Hub knows, and
    the ``size`` of its weights in bytes."""

    repo: str
    commit: str
    config: bytes = b""
    parameters: int = 0
    size: int = 0
    fit: Fit | None = None
    read: int = 0


def newest(repo: str, revision: str, token: str | None, room: str) -> str:
    """The commit that ``revision`` means now, "" when that cannot be told for nothing."""
    name = CONFIG if room == "adapters" else "config.json"
    try:
        return Look(repo, revision, token, 0).stamp(name)
    except StudioError as error:
        if error.code in ("missing", "failed"):
            return ""
        raise


def peek_adapter(repo: str, revision: str, token: str | None) -> Peek:
    """Look into an adapter, with two to four requests. StudioError when the Hub does not let us."""
    look = Look(repo, revision, token, BUDGET)
    config = _try(look, CONFIG, FIRST_CONFIG, lambda found: min(found.size, LARGEST_CONFIG))
    if config is not None and len(config.data) < config.size:
        return _peek(look, fit=_amber(f"Its {CONFIG} is too long to be read before it is here."))
    data = None if config is None else config.data
    studio = _studio(look, data)
    name, size = WEIGHTS, 0
    table = None if config is None else _try(look, name, FIRST_TABLE, lambda found: header_end(found.data))
    if table is None:
        name, size = _other_weights(look)
        if name.endswith(".safetensors"):
            table = look.beginning(name, min(FIRST_TABLE, look.left), lambda found: header_end(found.data))
    if table is None:
        fit = _without_table(name, config is not None)
        return _peek(look, config=data, weights=name, size=size, fit=fit)
    return _peek(look, config=data, studio=studio, weights=name, table=table.data, size=table.size)


def peek_base(repo: str, revision: str, token: str | None) -> BasePeek:
    """Look at a base: three requests as a rule. StudioError when the Hub does not let us."""
    look = Look(repo, revision, token, BASE_BUDGET)
    config = _try(look, "config.json", FIRST_CONFIG, lambda found: found.size)
    with asking(repo):
        info = api_with(token).model_info(
            repo, revision=look.commit or revision, expand=["safetensors", "siblings", "sha"]
        )
        names = [entry.rfilename for entry in info.siblings or []]
    wanted = [name for name, note in selection("bases", names).items() if not note]
    about: dict[str, Any] = {"repo": repo, "commit": look.commit or str(info.sha)}
    if config is None or not look.commit:
        return BasePeek(
            **about, read=look.read, fit=_red("It is no model for transformers: it has no config.json.")
        )
    if fit := _without_weights(wanted, names):
        return BasePeek(**about, config=config.data, read=look.read, fit=fit)
    known = info.safetensors
    parameters = known.total if known else 0
    size = sum(_BYTES.get(kind, 1) * count for kind, count in known.parameters.items()) if known else 0
    if not size:
        size = _total(look, INDEX if INDEX in wanted else WHOLE)
    return BasePeek(**about, config=config.data, parameters=parameters, size=size, read=look.read)


def _peek(look: Look, **found: Any) -> Peek:
    return Peek(repo=look.repo, commit=look.commit, read=look.read, **found)


def _try(look: Look, name: str, first: int, need: Callable[[Beginning], int]) -> Beginning | None:
    """The beginning of ``name``, None where the repository has no such file."""
    try:
        return look.beginning(name, min(first, look.left), need)
    except StudioError as error:
        if error.code == "missing" and look.commit:  # the Hub knows the repository
            return None
        raise


def _studio(look: Look, config: bytes | None) -> bytes | None:
    """What says how an adapter may be cut. PEFT's own configs, most of all there are, say how they were
    initialised; ours do not, so only beside these it is asked for."""
    if config is None or b'"init_lora_weights"' in config or not look.left:
        return None
    found = _try(look, STUDIO, LARGEST_STUDIO, lambda found: found.size)
    return found.data if found is not None and len(found.data) == found.size else None


def _other_weights(look: Look) -> tuple[str, int]:
    """The file that a download would fetch as the weights and its size, ("", 0) when there is none."""
    files = look.files()
    wanted = [name for name, note in selection("adapters", files).items() if not note]
    weights = (name for name in wanted if name != GATE and name.endswith((".safetensors", ".bin")))
    name = next(weights, "")
    return name, files.get(name, 0)


def _without_table(name: str, configured: bool) -> Fit:
    if name:
        return _amber(
            "Its weights are a pickle: it is taken apart without being executed when it comes in, and only "
            "then can be seen whether it fits."
        )
    if configured:
        return _red("It has no weights that could be used: no safetensors file, or several.")
    return _red(f"It is no LoRA adapter: it has no {CONFIG}.")


def _without_weights(wanted: list[str], names: list[str]) -> Fit | None:
    if not any(name.endswith(".safetensors") for name in wanted):
        pickled = any(name.endswith((".bin", ".pt", ".pth", ".ckpt")) for name in names)
        return _red(
            "Its weights are only there as pickles, which can run programs when they are loaded."
            if pickled
            else "It has no weights in the safetensors format of transformers."
        )
    if "tokenizer.json" not in wanted:
        return _red("It has no tokenizer.json, without which no text can be read.")
    return None


def _total(look: Look, name: str) -> int:
    """Bytes of the weights, by the index's own word or the size of the one file; 0 when nobody says."""
    found = _try(look, name, 2048 if name == INDEX else 8, lambda found: 8)
    if found is None:
        return 0
    if name == WHOLE:
        return found.size
    total = _TOTAL.search(found.data)
    return int(total[1]) if total else 0


def _red(reason: str) -> Fit:
    return Fit(verdict="red", reason=reason)


def _amber(reason: str) -> Fit:
    return Fit(verdict="amber", reason=reason)
