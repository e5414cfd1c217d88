"""Prompts and scores: hear what a base, adapters or a mix make of a text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from engine.commands.session import plain, session
from engine.formats.errors import StudioError
from engine.messages import Body, Generate, Generated, Mixing, Part, Route, Routing, Score, Scored, Token

__all__ = ["generate", "parse_part", "route", "score"]

Base = Annotated[str, typer.Option("--base", help="Name of the base model.")]
Adapters = Annotated[
    list[str] | None, typer.Option("--adapter", help="NAME[=WEIGHT][@RANK]; may be repeated.")
]
Mix = Annotated[str | None, typer.Option("--mix", help="A trained mix.")]
TopK = Annotated[
    int | None, typer.Option("--top-k", min=1, help="Only the mix's loudest experts at each token.")
]
Strength = Annotated[float, typer.Option("--strength", min=0.0, max=1000.0, help="Of the whole mix.")]

_PART = re.compile(r"(?P<name>[^=@]+)(?:=(?P<weight>[^@]+))?(?:@(?P<rank>.+))?")


def parse_part(text: str) -> Part:
    """``NAME[=WEIGHT][@RANK]`` as a Part; StudioError("usage") when it is not one."""
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
    return Part(name=match["name"], weight=weight, rank=rank)


def _parts(adapters: list[str] | None) -> list[Part]:
    parts = [parse_part(text) for text in adapters or []]
    twice = {part.name for part in parts if sum(other.name == part.name for other in parts) > 1}
    if twice:
        raise StudioError("usage", f"{min(twice)} is named twice.", "Name each adapter once.")
    return parts


def _mixing(mix: str | None, top_k: int | None, strength: float, job: str | None = None) -> Mixing | None:
    if mix is not None and job is not None:
        raise StudioError("usage", "Either --mix or --job can be heard, not both.", "Leave one of them out.")
    if mix is None and job is None:
        if top_k is not None or strength != 1.0:
            raise StudioError("usage", "--top-k and --strength are for a mix.", "Name one with --mix.")
        return None
    return Mixing(
        name=mix or "",
        job=job or "",
        mode="soft" if top_k is None else "topk",
        top_k=top_k or 1,
        strength=strength,
    )


def generate(
    base: Base,
    prompt: Annotated[str, typer.Option("--prompt")],
    adapter: Adapters = None,
    mix: Mix = None,
    job: Annotated[
        str | None, typer.Option("--job", help="The router of a mix that trains right now.")
    ] = None,
    top_k: TopK = None,
    strength: Strength = 1.0,
    max_new_tokens: Annotated[int, typer.Option(min=1, max=1_000_000)] = 64,
    temperature: Annotated[float, typer.Option(min=0.0, max=100.0, help="0 is greedy.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    stream: Annotated[bool, typer.Option("--stream", help="With --json: an object for each token.")] = False,
) -> None:
    """Answer a prompt with a base alone, with adapters, or with a mix."""
    request = Generate(
        base=base,
        prompt=prompt,
        parts=_parts(adapter),
        mixing=_mixing(mix, top_k, strength, job),
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
    )

    def show(body: Body) -> None:
        if not isinstance(body, Token):
            session.show_progress(body)
        elif not session.json:
            session.end_progress()
            print(body.text, end="", flush=True)
        elif stream:
            session.put({"index": body.index, "text": body.text, "done": False})

    with session.engine() as engine:
        answer: Generated = engine.call(request, show)
    values = plain(answer)
    values.pop("routing")
    if session.json:
        session.result(values | ({"done": True} if stream else {}), "")
    else:
        print(flush=True)
        session.note(f"{answer.tokens} tokens, {answer.tokens_per_second:.1f} a second")


def score(
    base: Base,
    data: Annotated[str, typer.Option("--data", help="A file, or a starter data set.")],
    adapter: Adapters = None,
    mix: Mix = None,
    top_k: TopK = None,
    strength: Strength = 1.0,
    metric: Annotated[Literal["exact", "loss"], typer.Option("--metric")] = "exact",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows.")] = None,
) -> None:
    """Evaluate on held-out rows: exact matches, or loss in nats per token."""
    request = Score(
        base=base,
        data=_path(data),
        parts=_parts(adapter),
        mixing=_mixing(mix, top_k, strength),
        metric=metric,
        limit=limit,
    )
    with session.engine() as engine:
        scored: Scored = engine.call(request, session.show_progress)
    low, high = scored.interval
    text = f"{scored.metric} {scored.value:.4f}  (95 % interval {low:.4f} to {high:.4f}, {scored.n} rows)"
    values = {"metric": scored.metric, "value": scored.value, "interval": [low, high], "n": scored.n}
    session.result(values, text)


def route(
    mix: Annotated[str, typer.Option("--mix", help="A trained mix.")],
    prompt: Annotated[str, typer.Option("--prompt")],
    adapter: Adapters = None,
    top_k: TopK = None,
    strength: Strength = 1.0,
) -> None:
    """Who speaks where while a mix reads a text."""
    mixing = _mixing(mix, top_k, strength)
    assert mixing is not None
    request = Route(mixing=mixing, prompt=prompt, parts=_parts(adapter))
    with session.engine() as engine:
        seen: Routing = engine.call(request, session.show_progress)
    values = {"tokens": seen.tokens, "modules": seen.modules, "experts": seen.experts, "gates": seen.gates}
    session.result(values, _leaders(seen))


def _leaders(seen: Routing) -> str:
    """One line a token: who led it, averaged over all modules."""
    lines = []
    for token, modules in zip(seen.tokens, seen.gates, strict=True):
        shares = [sum(row[i] for row in modules) / len(modules) for i in range(len(seen.experts))]
        best = max(range(len(shares)), key=shares.__getitem__)
        bar = "#" * round(20 * shares[best])
        lines.append(f"{token!r:<14} {seen.experts[best]:<16} {shares[best]:5.2f} {bar}")
    return "\n".join(lines)


def _path(data: str) -> str:
    """The engine may run in another folder, so a file that is here is named in full."""
    path = Path(data).expanduser()
    return str(path.absolute()) if path.exists() else data
