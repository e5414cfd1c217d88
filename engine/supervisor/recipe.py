"""The command that makes a thing of the library again, or fetches the same bytes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.hub.text import clean
from engine.messages import (
    AdapterCard,
    BakeRank,
    Domain,
    DropExpert,
    JobSpec,
    LibraryKind,
    MixCard,
    OrderRanks,
    TrainDylora,
    TrainGate,
    TrainJoint,
    TrainLora,
    TrainRouter,
)
from engine.supervisor.entry import Entry

__all__ = ["command_for"]

PROGRAM = "adapter-studio"
_ADD = {"adapters": "adapters import", "bases": "bases add", "mixes": "mix import"}

_TRAINING: dict[type, str] = {
    TrainLora: "train lora",
    TrainDylora: "train dylora",
    TrainGate: "train gate",
    TrainRouter: "mix train",
    TrainJoint: "mix train --joint",
}
_UNSAYABLE: dict[type, set[str]] = {
    TrainLora: {"warmup", "weight_decay"},
    TrainDylora: {"warmup", "weight_decay"},
    TrainGate: {"warmup", "weight_decay"},
    TrainJoint: {"alpha"},
    TrainRouter: set(),
}
"""Fields that no option of the command sets."""

_NO_MATTER = {"checkpoint_seconds", "extend", "ranks"}
"""What is no option of its own."""
_OF_THE_MIX = {
    "base", "router_input", "router_share", "activation", "gates", "start", "null_expert", "warmup",
    "weight_decay", "temperature",
}  # fmt: skip
"""What a mix that is extended brings itself."""

_OPTIONS = {"targets": "--target", "experts": "--expert", "domains": "--expert"}


def command_for(kind: LibraryKind, entry: Entry) -> str:
    """The command, "" where nothing can, or where it would hold what steers a terminal or hides in a line."""
    command = _command(kind, entry)
    return command if clean(command, len(command)) == command else ""


def _command(kind: LibraryKind, entry: Entry) -> str:
    card, origin = entry.card, entry.origin
    if origin.spec:
        return _command_of_spec(origin.spec)
    if not isinstance(card, MixCard) and card.repo:
        words = "hub download" if isinstance(card, AdapterCard) else "bases add"
        return shlex.join(
            [PROGRAM, *words.split(), card.repo, "--revision", card.commit, "--name", card.name]
        )
    if origin.path:
        return shlex.join([PROGRAM, *_ADD[kind].split(), origin.path, "--name", card.name])
    if not isinstance(card, MixCard) and card.source == "starter":
        return "python -m engine.starter.build --out FOLDER"
    return ""


def _command_of_spec(raw: Mapping[str, Any]) -> str:
    try:
        spec = msgspec.convert(raw, JobSpec | DropExpert | OrderRanks | BakeRank)
    except msgspec.ValidationError:
        return ""  # of a version that had other fields
    match spec:
        case DropExpert(mix=mix, expert=expert, out=out):
            return shlex.join([PROGRAM, "mix", "drop", mix, "--expert", expert, "--out", out])
        case OrderRanks(adapter=adapter, out=out, base=base, data=data):
            weighed = [*(["--base", base] if base else []), *(["--data", data] if data else [])]
            return shlex.join([PROGRAM, "rank", "order", adapter, "--out", out, *weighed])
        case BakeRank(adapter=adapter, rank=rank, out=out, order=order):
            words = ["--rank", str(rank), "--out", out, *(["--order", order] if order else [])]
            return shlex.join([PROGRAM, "rank", "bake", adapter, *words])
        case TrainRouter(extend=mix) if mix:
            words, passed_over = ["mix", "extend", mix], _NO_MATTER | _OF_THE_MIX
        case TrainLora() | TrainDylora() | TrainGate() | TrainRouter() | TrainJoint():
            words, passed_over = _TRAINING[type(spec)].split(), _NO_MATTER
        case _:
            return ""
    for field in msgspec.structs.fields(spec):
        value = getattr(spec, field.name)
        if field.name in passed_over or value in (field.default, "", []):
            continue
        if field.name in _UNSAYABLE[type(spec)] or not _is_sayable(value):
            return ""
        words += _option(field.name, _experts(spec) if field.name in ("experts", "domains") else value)
    return shlex.join([PROGRAM, *words])


def _is_sayable(value: object) -> bool:
    """A joint expert that begins as an adapter begins as the one of its own name."""
    domains = value if isinstance(value, list) else []
    return all(domain.adapter in ("", domain.expert) for domain in domains if isinstance(domain, Domain))


def _experts(spec: TrainRouter | TrainJoint) -> list[str]:
    """Each expert as it is named: NAME[@RANK], in joint training NAME[@RANK]=DATA."""
    if isinstance(spec, TrainJoint):
        return [f"{_at(part.expert, part.rank)}={part.data}" for part in spec.domains]
    return [_at(name, spec.ranks.get(name)) for name in spec.experts]


def _at(name: str, rank: int | None) -> str:
    return name if rank is None else f"{name}@{rank}"


def _option(field: str, value: object) -> list[str]:
    if field == "null_expert":
        return ["--null" if value else "--no-null"]
    option = _OPTIONS.get(field, "--" + field.replace("_", "-"))
    if value is True:
        return [option]
    values = value if isinstance(value, list) else [value]
    return [word for item in values for word in (option, str(item))]
