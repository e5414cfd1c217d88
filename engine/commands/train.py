"""Training an adapter, at one rank or at all of them, or the gate that one ships with."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from engine.commands.work import Base, BatchSize, Data, Length, Seed, data_path, finished, run_job
from engine.messages import RouterInput, TrainDylora, TrainGate, TrainLora

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Train a new adapter.")

Out = Annotated[str, typer.Option("--out", help="What to call the new adapter.")]
Alpha = Annotated[float | None, typer.Option("--alpha", help="Default: the rank, a scale of 1.")]
Targets = Annotated[list[str] | None, typer.Option("--target", help="Projections to adapt.")]


@app.command()
def lora(
    base: Base,
    data: Data,
    out: Out,
    rank: Annotated[int, typer.Option("--rank")] = 8,
    alpha: Alpha = None,
    target: Targets = None,
    rslora: Annotated[bool, typer.Option("--rslora", help="Scale by the root of the rank.")] = False,
    steps: Annotated[int, typer.Option("--steps")] = 300,
    batch_size: BatchSize = 32,
    learning_rate: Annotated[float, typer.Option("--learning-rate")] = 3e-3,
    max_length: Length = 256,
    seed: Seed = 0,
) -> None:
    """Train a LoRA on prompts and completions."""
    spec = TrainLora(
        base=base,
        data=data_path(data),
        out=out,
        rank=rank,
        alpha=alpha,
        targets=target or [],
        rslora=rslora,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_length=max_length,
        seed=seed,
    )
    finished(run_job(spec))


@app.command()
def dylora(
    base: Base,
    data: Data,
    out: Out,
    rank: Annotated[int, typer.Option("--rank", help="The highest.")] = 8,
    low: Annotated[int, typer.Option("--low", help="The lowest rank that it is to work at.")] = 1,
    draw: Annotated[
        Literal["uniform", "geometric"], typer.Option("--draw", help="geometric: low ranks more often.")
    ] = "uniform",
    mode: Annotated[
        Literal["full", "frozen"],
        typer.Option("--mode", help="What a step at rank b trains: columns 1 to b, or the b-th alone."),
    ] = "full",
    alpha: Alpha = None,
    target: Targets = None,
    steps: Annotated[int, typer.Option("--steps")] = 300,
    batch_size: BatchSize = 32,
    learning_rate: Annotated[float, typer.Option("--learning-rate")] = 3e-3,
    max_length: Length = 256,
    seed: Seed = 0,
) -> None:
    """Train one adapter that works at every rank, so that it can be slid or cut without training again."""
    spec = TrainDylora(
        base=base,
        data=data_path(data),
        out=out,
        rank=rank,
        low=low,
        draw=draw,
        mode=mode,
        alpha=alpha,
        targets=target or [],
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_length=max_length,
        seed=seed,
    )
    finished(run_job(spec))


@app.command()
def gate(
    base: Base,
    adapter: Annotated[str, typer.Option("--adapter", help="Whose gate; it stays as it is.")],
    data: Data,
    out: Out,
    router_input: Annotated[RouterInput, typer.Option("--router-input")] = "context",
    steps: Annotated[int, typer.Option("--steps")] = 100,
    batch_size: BatchSize = 32,
    learning_rate: Annotated[float, typer.Option("--learning-rate")] = 5e-3,
    max_length: Length = 256,
    seed: Seed = 0,
) -> None:
    """Train the gate that an adapter brings into any mix: a copy of it, with its gate beside it."""
    spec = TrainGate(
        base=base,
        adapter=adapter,
        data=data_path(data),
        out=out,
        router_input=router_input,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_length=max_length,
        seed=seed,
    )
    finished(run_job(spec))
