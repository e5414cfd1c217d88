"""How a voice is written on the command line: adapters with weights and ranks, or a mix and its gates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from engine.formats.adapter_config import MAX_RANK
from engine.formats.errors import StudioError
from engine.messages import Ask, GateMode, Mixing, Part, RankOrder

__all__ = [
    "Adapters",
    "Cut",
    "Job",
    "Lock",
    "Mix",
    "Mode",
    "Mute",
    "Order",
    "Ranks",
    "Renormalise",
    "Strength",
    "TopK",
    "mixing_of",
    "parse_part",
    "parse_voice",
    "parts_of",
    "ranked",
    "ranks_of",
]

Adapters = Annotated[
    list[str] | None, typer.Option("--adapter", help="NAME[=WEIGHT][@RANK]; may be repeated.")
]
_KEEPS = (
    "What a rank keeps: of each projection the columns of most energy, or those of all projections together."
)
Order = Annotated[
    Literal["energy", "spread"] | None,
    typer.Option("--order", help=f"{_KEEPS} Default: the first as the file has them."),
]
Cut = Annotated[
    Literal["energy", "spread"] | None,
    typer.Option("--order", help=f"{_KEEPS} Default: the file's own order; where it has none, energy."),
]
Mix = Annotated[str | None, typer.Option("--mix", help="A trained mix.")]
Job = Annotated[str | None, typer.Option("--job", help="The router of a mix that trains right now.")]
Mode = Annotated[
    GateMode | None,
    typer.Option("--mode", help="soft: all experts; topk: the loudest; hard: the first alone."),
]
TopK = Annotated[
    int | None, typer.Option("--top-k", min=1, help="Only the mix's loudest experts at each token.")
]
Renormalise = Annotated[
    bool, typer.Option("--renormalise/--no-renormalise", help="Whether the top-k take over the others' part.")
]
Strength = Annotated[float, typer.Option("--strength", min=0.0, max=1000.0, help="Of the whole mix.")]
Mute = Annotated[
    list[str] | None, typer.Option("--mute", help="An expert that leaves; the others get its part.")
]
Lock = Annotated[
    list[str] | None, typer.Option("--lock", help="An expert that speaks whatever the router thinks.")
]

Ranks = Annotated[
    list[str] | None, typer.Option("--expert", help="NAME@RANK: only so much of it; may be repeated.")
]

_PART = re.compile(r"(?P<name>[^=@]+)(?:=(?P<weight>[^@]+))?(?:@(?P<rank>.+))?")
_MODE = re.compile(r"soft|hard|top(?P<k>[1-9]\d{0,3})")


def parse_part(text: str, order: RankOrder | None = None) -> Part:
    """``NAME[=WEIGHT][@RANK]`` as a Part in ``order``; StudioError("usage") when it is not one."""
    match = _PART.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        weight = float(match["weight"]) if match["weight"] else 1.0
        rank = int(match["rank"]) if match["rank"] else None
    except ValueError as error:
        raise StudioError(
            "usage", f"--adapter {text} is not NAME[=WEIGHT][@RANK].", "For example: reverse=0.5@4."
        ) from error
    if not abs(weight) <= 1000 or (rank is not None and rank < 1):
        raise StudioError("usage", f"--adapter {text} is out of range.", "Weights up to 1000, ranks from 1.")
    return Part(name=match["name"], weight=weight, rank=rank, order=order or "")


def parts_of(adapters: Sequence[str] | None, order: RankOrder | None = None) -> list[Part]:
    """Every ``--adapter`` as a Part; StudioError("usage") for one that is named twice."""
    parts = [parse_part(text, order) for text in adapters or []]
    twice = {part.name for part in parts if sum(other.name == part.name for other in parts) > 1}
    if twice:
        raise StudioError("usage", f"{min(twice)} is named twice.", "Name each adapter once.")
    return parts


def ranked(text: str) -> tuple[str, int | None]:
    """``NAME[@RANK]``, as an expert of a mix is named; StudioError("usage") when it is not one."""
    name, sign, rank = text.partition("@")
    if not name or (sign and not (rank.isascii() and rank.isdecimal() and 0 < int(rank) <= MAX_RANK)):
        raise StudioError("usage", f"--expert {text} is not NAME[@RANK].", "For example: reverse@4.")
    return name, int(rank) if sign else None


def ranks_of(experts: Sequence[str] | None) -> dict[str, int]:
    """The ranks of every ``--expert NAME@RANK``; StudioError("usage") for one without, or named twice."""
    ranks: dict[str, int] = {}
    for text in experts or []:
        name, rank = ranked(text)
        if rank is None:
            raise StudioError("usage", f"--expert {text} names no rank.", f"For example: {name}@4.")
        if name in ranks:
            raise StudioError("usage", f"{name} is named twice.", "Name each expert once.")
        ranks[name] = rank
    return ranks


def mixing_of(
    mix: str | None,
    mode: GateMode | None = None,
    top_k: int | None = None,
    renormalise: bool = True,
    strength: float = 1.0,
    mute: Sequence[str] | None = None,
    lock: Sequence[str] | None = None,
    job: str | None = None,
) -> Mixing | None:
    """The options about a mix as a Mixing, None where there is none; StudioError("usage") for a
    contradiction."""
    if mix is not None and job is not None:
        raise StudioError("usage", "Either --mix or --job can be heard, not both.", "Leave one of them out.")
    if mix is None and job is None:
        if (mode, top_k, renormalise, strength, mute or None, lock or None) != (
            *(None, None, True, 1.0, None, None),
        ):
            raise StudioError(
                "usage",
                "--mode, --top-k, --strength, --mute and --lock are for a mix.",
                "Name one with --mix.",
            )
        return None
    if mode is None:
        mode = "soft" if top_k is None and renormalise else "topk"
    if mode != "topk" and (top_k is not None or not renormalise):
        raise StudioError("usage", "--top-k and --no-renormalise are for --mode topk.", "Leave one out.")
    both = sorted({*(mute or ())} & {*(lock or ())})
    if both:
        raise StudioError("usage", f"{both[0]} cannot be muted and locked at once.", "Leave one out.")
    return Mixing(
        name=mix or "",
        job=job or "",
        mode=mode,
        top_k=top_k or 3,
        renormalise=renormalise,
        strength=strength,
        muted=list(mute or ()),
        locked=list(lock or ()),
    )


def parse_voice(text: str, order: RankOrder | None = None) -> Ask:
    """``base``, ``NAME[=WEIGHT][@RANK]+...``, or ``mix:NAME[:soft|:hard|:topK]``, as a voice to compare."""
    if text == "base":
        return Ask()
    if not text.startswith("mix:"):
        return Ask(parts=parts_of(text.split("+"), order))
    _, name, *rest = text.split(":")
    match = _MODE.fullmatch(rest[0]) if len(rest) == 1 else None
    if not name or (rest and match is None):
        raise StudioError(
            "usage", f"--voice {text} is not mix:NAME[:soft|:hard|:topK].", "For example: mix:first-mix:top2."
        )
    top_k = int(match["k"]) if match and match["k"] else None
    mode: GateMode = "hard" if rest == ["hard"] else "soft" if top_k is None else "topk"
    return Ask(mixing=mixing_of(name, mode, top_k))
