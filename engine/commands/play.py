"""Prompts and scores: hear what a base, adapters or a mix make of a text."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from engine.commands.session import plain, session
from engine.commands.voices import (
    Adapters,
    Job,
    Lock,
    Mix,
    Mode,
    Mute,
    Order,
    Renormalise,
    Strength,
    TopK,
    mixing_of,
    parts_of,
)
from engine.commands.work import Base, Data, data_path
from engine.messages import Body, Generate, Generated, Route, Routing, Score, Scored, Token

__all__ = ["generate", "route", "score"]


def generate(
    base: Base,
    prompt: Annotated[str, typer.Option("--prompt")],
    adapter: Adapters = None,
    order: Order = None,
    mix: Mix = None,
    job: Job = None,
    mode: Mode = None,
    top_k: TopK = None,
    renormalise: Renormalise = True,
    strength: Strength = 1.0,
    mute: Mute = None,
    lock: Lock = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, max=1_000_000)] = 64,
    temperature: Annotated[float, typer.Option(min=0.0, max=100.0, help="0 is greedy.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    stream: Annotated[bool, typer.Option("--stream", help="With --json: an object for each token.")] = False,
) -> None:
    """Answer a prompt with a base alone, with adapters, or with a mix."""
    request = Generate(
        base=base,
        prompt=prompt,
        parts=parts_of(adapter, order),
        mixing=mixing_of(mix, mode, top_k, renormalise, strength, mute, lock, job),
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
    for note in answer.notes:
        session.note(note)
    if session.json:
        session.result(values | ({"done": True} if stream else {}), "")
    else:
        print(flush=True)
        session.note(f"{answer.tokens} tokens, {answer.tokens_per_second:.1f} a second")


def score(
    base: Base,
    data: Data,
    adapter: Adapters = None,
    order: Order = None,
    mix: Mix = None,
    mode: Mode = None,
    top_k: TopK = None,
    renormalise: Renormalise = True,
    strength: Strength = 1.0,
    mute: Mute = None,
    lock: Lock = None,
    metric: Annotated[Literal["exact", "loss"], typer.Option("--metric")] = "exact",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows.")] = None,
) -> None:
    """Evaluate on held-out rows: exact matches, or loss in nats per token."""
    request = Score(
        base=base,
        data=data_path(data),
        parts=parts_of(adapter, order),
        mixing=mixing_of(mix, mode, top_k, renormalise, strength, mute, lock),
        metric=metric,
        limit=limit,
    )
    with session.engine() as engine:
        scored: Scored = engine.call(request, session.show_progress)
    for note in scored.notes:
        session.note(note)
    low, high = scored.interval
    text = f"{scored.metric} {scored.value:.4f}  (95 % interval {low:.4f} to {high:.4f}, {scored.n} rows)"
    values = {"metric": scored.metric, "value": scored.value, "interval": [low, high], "n": scored.n}
    session.result(values, text)


def route(
    mix: Annotated[str, typer.Option("--mix", help="A trained mix.")],
    prompt: Annotated[str, typer.Option("--prompt")],
    adapter: Adapters = None,
    mode: Mode = None,
    top_k: TopK = None,
    renormalise: Renormalise = True,
    strength: Strength = 1.0,
    mute: Mute = None,
    lock: Lock = None,
) -> None:
    """Who speaks where while a mix reads a text."""
    mixing = mixing_of(mix, mode, top_k, renormalise, strength, mute, lock)
    assert mixing is not None
    request = Route(mixing=mixing, prompt=prompt, parts=parts_of(adapter))
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
