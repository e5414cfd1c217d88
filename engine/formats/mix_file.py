"""A mix on disk, read without torch: ``mixer.json``, ``router.safetensors`` and ``experts/NAME/``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal

import msgspec

from engine import messages
from engine.formats.adapter_folder import AdapterFile, read_folder
from engine.formats.errors import AdapterError, StudioError
from engine.formats.safetensors_file import TensorInfo, read_header
from engine.formats.shares import serves

__all__ = ["EXPERTS", "MIXER", "ROUTER", "Mix", "encode_mix", "expert_folders", "read_mix", "read_mix_card"]

MIXER = "mixer.json"
ROUTER = "router.safetensors"
EXPERTS = "experts"
MAX_JSON = 4 << 20
MAX_EXPERTS = 64
MAX_WARNING = 1000


Made = Literal["", "trained", "joint", "extended", "dropped", "prototypes", "gates"]


class Mix(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The card of a mix. ``modules`` are the routed projections, in order of call.

    ``base`` is the name of the base and ``base_shape`` its fingerprint: {projection: [d_in, d_out]}. The
    router's file has a tensor per gate, under the name of the projection whose input it reads; with a
    ``router_share`` other than projection ``groups`` says which projections read one input. ``made`` and
    ``warning`` are as in MixCard, ``scores`` is the result of a ScoreMix, ``licenses`` are what the experts'
    own cards say. Fields from ``trained`` on may be absent.
    """

    format: Literal[1] = 1
    name: str
    base: str
    experts: list[str]
    router_input: messages.RouterInput
    null_expert: bool
    temperature: float
    modules: list[str]
    base_shape: dict[str, tuple[int, int]]
    sha256: dict[str, str]
    usage: dict[str, float] = {}
    trained: dict[str, Any] = {}
    router_share: messages.RouterShare = "projection"
    groups: list[list[str]] = []
    activation: messages.Activation = "softmax"
    absolute: bool = False
    made: Made = ""
    warning: str = ""
    scores: dict[str, Any] = {}
    licenses: dict[str, str] = {}


def read_mix(folder: Path) -> Mix:
    """The checked card of the mix in ``folder``. StudioError("mix") when it is missing, damaged or
    incomplete."""
    hint = "Train the mix again, or restore the folder from a copy."
    path = folder / MIXER
    try:
        if not path.is_file() or path.stat().st_size > MAX_JSON:
            raise StudioError("missing", f"The folder {folder.name} is not a mix: it has no {MIXER}.", hint)
        mix = msgspec.json.decode(path.read_bytes(), type=Mix)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StudioError(
            "failed", f"The mix {folder.name} has a damaged {MIXER}.", hint, str(error)
        ) from error
    except OSError as error:
        raise StudioError("failed", f"The mix {folder.name} cannot be read.", hint, str(error)) from error
    fault = _fault(folder, mix)
    if fault:
        raise StudioError("failed", f"The mix {folder.name} is incomplete: {fault}.", hint)
    return mix


def read_mix_card(folder: Path) -> messages.MixCard:
    """The mix in ``folder`` as the library shows it. StudioError as ``read_mix``."""
    mix = read_mix(folder)
    seen = {name: file for name, path in expert_folders(folder, mix).items() if (file := _sound(path))}
    return messages.MixCard(
        name=folder.name,
        path=str(folder),
        base=mix.base,
        experts=mix.experts,
        router_input=mix.router_input,
        router_parameters=sum(math.prod(info.shape) for info in _router(folder).values()),
        usage=mix.usage,
        router_share=mix.router_share,
        activation=mix.activation,
        null_expert=mix.null_expert,
        made=mix.made,
        gates="hard" if mix.trained.get("gates") == "hard" else "soft",
        warning=mix.warning,
        ranks={name: (file.cutting.low, file.rank) for name, file in seen.items()},
        kinds={name: file.kind for name, file in seen.items()},
    )


def expert_folders(folder: Path, mix: Mix) -> dict[str, Path]:
    """{expert: its adapter folder}, in the mix's order."""
    return {name: folder / EXPERTS / name for name in mix.experts}


def _sound(folder: Path) -> AdapterFile | None:
    """An expert's own file; None of one that is damaged, which playing the mix refuses in a sentence."""
    try:
        return read_folder(folder)
    except (AdapterError, OSError):
        return None


def _router(folder: Path) -> dict[str, TensorInfo]:
    return read_header(folder / ROUTER)


def _fault(folder: Path, mix: Mix) -> str:
    """What is wrong between the card and the files, in a few words; empty when nothing is."""
    if not 1 <= len(mix.experts) <= MAX_EXPERTS or len(set(mix.experts)) != len(mix.experts):
        return "its list of experts is impossible"
    for name in mix.experts:
        if not name or name in (".", "..") or "/" in name or "\\" in name or not name.isprintable():
            return "an expert has an impossible name"
        if not (folder / EXPERTS / name).is_dir():
            return f"the expert {name} is missing"
    if not (math.isfinite(mix.temperature) and mix.temperature > 0):
        return "its temperature is impossible"
    if not all(0 <= share <= 1 for share in mix.usage.values()):
        return "its usage is impossible"
    if len(mix.warning) > MAX_WARNING or not mix.warning.isprintable():
        return "its warning is no sentence"
    if not mix.modules or sorted(mix.modules) != sorted(mix.base_shape):
        return "its list of projections is impossible"
    if not (folder / ROUTER).is_file():
        return f"{ROUTER} is missing"
    try:
        gates = serves(mix.modules, mix.groups, mix.router_share)
    except StudioError:
        return "its groups of projections are impossible"
    rows = len(mix.experts) + mix.null_expert
    halves = 2 if mix.router_input == "context" else 1
    expected = {served[0]: (halves, rows, mix.base_shape[served[0]][0]) for served in gates}
    if {name: info.shape for name, info in _router(folder).items()} != expected:
        return "its router has other projections or sizes than its card says"
    return ""


def encode_mix(mix: Mix) -> bytes:
    """The card as it is written."""
    return json.dumps(msgspec.to_builtins(mix), indent=2).encode() + b"\n"
