"""Mixes that learn: a router over frozen experts, one that is extended, experts and router together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer

from engine.commands.session import mix_card, session
from engine.commands.voices import ranked
from engine.commands.work import Base, BatchSize, Data, Length, Seed, data_path, finished, run_job
from engine.formats.errors import StudioError
from engine.messages import (
    Activation,
    Domain,
    ListAdapters,
    RouterInput,
    RouterShare,
    TrainJoint,
    TrainRouter,
)

__all__ = ["extend", "train"]

SAID = ("usage", "router_parameters")

Experts = Annotated[
    list[str],
    typer.Option(
        "--expert",
        help="NAME[@RANK]: all of an adapter, or so much of it; with --joint NAME[@RANK]=DATA. Repeatable.",
    ),
]
Out = Annotated[str, typer.Option("--out", help="What to call the mix.")]
Input = Annotated[
    RouterInput, typer.Option("--router-input", help="context: the mean of the text so far, too.")
]
Share = Annotated[RouterShare, typer.Option("--router-share", help="A gate for each of these.")]
Acts = Annotated[Activation, typer.Option("--activation")]
TrainedGates = Annotated[
    Literal["soft", "hard"], typer.Option("--gates", help="hard: the first expert alone, straight-through.")
]
Start = Annotated[
    Literal["zero", "prototypes", "gates"],
    typer.Option("--start", help="prototypes and gates need no data; with data they are trained on."),
]
Null = Annotated[bool, typer.Option("--null/--no-null", help="An expert that says nothing.")]
Epochs = Annotated[int, typer.Option("--epochs", help="Passes over the data.")]
Steps = Annotated[int | None, typer.Option("--steps", help="In place of --epochs.")]
Most = Annotated[int, typer.Option("--max-examples", help="Rows of the data that are used at most.")]
Rate = Annotated[float, typer.Option("--learning-rate")]
Warmup = Annotated[float, typer.Option("--warmup", help="Share of the steps.")]
Decay = Annotated[float, typer.Option("--weight-decay")]
Temperature = Annotated[float, typer.Option("--temperature")]
Balance = Annotated[float, typer.Option("--balance-weight", help="Alpha of the balance loss.")]
Entropy = Annotated[float, typer.Option("--entropy-weight", help="Its signed lambda.")]
Band = Annotated[float, typer.Option("--band-weight", help="Of the entropy band.")]


def train(
    base: Base,
    expert: Experts,
    out: Out,
    data: Annotated[str | None, typer.Option("--data", help="A file, or a starter data set.")] = None,
    joint: Annotated[bool, typer.Option("--joint", help="Train the experts too, each on its data.")] = False,
    router_input: Input = "context",
    router_share: Share = "projection",
    activation: Acts = "softmax",
    gates: TrainedGates = "soft",
    start: Start = "zero",
    null: Null = True,
    epochs: Epochs = 3,
    steps: Steps = None,
    max_examples: Most = 2000,
    batch_size: BatchSize = 32,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Default 0.01; 0.003 with --joint.")
    ] = None,
    router_learning_rate: Annotated[
        float | None, typer.Option("--router-learning-rate", help="With --joint: 0.01 of its own.")
    ] = None,
    rank: Annotated[int | None, typer.Option("--rank", help="With --joint: of new experts, 8.")] = None,
    hard_share: Annotated[
        float | None, typer.Option("--hard-share", help="With --joint: of the steps, 0.6.")
    ] = None,
    preserve_weight: Annotated[
        float | None, typer.Option("--preserve-weight", help="With --joint: the paper's beta, 0.01.")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option("--target", help="With --joint: projections to adapt.")
    ] = None,
    warmup: Warmup = 0.05,
    weight_decay: Decay = 0.0,
    temperature: Temperature = 1.0,
    balance_weight: Balance = 0.01,
    entropy_weight: Entropy = 0.0,
    band_weight: Band = 0.0,
    max_length: Length = 256,
    seed: Seed = 0,
) -> None:
    """Train a router over frozen experts, or with --joint the experts as well."""
    only_joint: dict[str, Any] = {
        "router_learning_rate": router_learning_rate,
        "rank": rank,
        "hard_share": hard_share,
        "preserve_weight": preserve_weight,
        "targets": target,
    }
    given = {field: value for field, value in only_joint.items() if value is not None}
    shared: dict[str, Any] = {
        "router_input": router_input,
        "router_share": router_share,
        "null_expert": null,
        "batch_size": batch_size,
        "warmup": warmup,
        "weight_decay": weight_decay,
        "balance_weight": balance_weight,
        "entropy_weight": entropy_weight,
        "band_weight": band_weight,
        "max_length": max_length,
        "seed": seed,
    }
    if learning_rate is not None:
        shared["learning_rate"] = learning_rate
    if joint:
        frozen = (activation, gates, start, temperature, data)
        if frozen != ("softmax", "soft", "zero", 1.0, None):
            raise StudioError(
                "usage",
                "--activation, --gates, --start, --temperature and --data are for frozen experts.",
                "With --joint each expert has its data: --expert NAME=DATA.",
            )
        shared |= {"steps": steps} if steps is not None else {}
        job = run_job(TrainJoint(base=base, domains=_domains(expert), out=out, **shared, **given))
    else:
        if given:
            option = next(iter(given)).replace("targets", "target").replace("_", "-")
            raise StudioError("usage", f"--{option} is for --joint.", "Leave it out, or add --joint.")
        if data is None and start != "zero" and steps is None:
            steps = 0
        names, ranks = _named(expert)
        job = run_job(
            TrainRouter(
                base=base,
                experts=names,
                ranks=ranks,
                data=data_path(data) if data else "",
                out=out,
                activation=activation,
                gates=gates,
                start=start,
                epochs=epochs,
                steps=steps,
                max_examples=max_examples,
                temperature=temperature,
                **shared,
            )
        )
    finished(job, SAID)


def _named(experts: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    """The names of ``NAME[@RANK]`` each, and the ranks of those that have one."""
    parts = [ranked(text) for text in experts]
    return [name for name, _ in parts], {name: rank for name, rank in parts if rank is not None}


def _domains(given: Sequence[str]) -> list[Domain]:
    """``NAME[@RANK]=DATA`` each. An expert begins as the adapter of its name, if there is one."""
    with session.engine() as engine:
        known = {card.name for card in engine.call(ListAdapters()).adapters}
    domains = []
    for text in given:
        who, sign, data = text.partition("=")
        if not (who and sign and data):
            raise StudioError(
                "usage", f"--expert {text} is not NAME[@RANK]=DATA.", "For example: sort=sort.train."
            )
        name, rank = ranked(who)
        adapter = name if name in known else ""
        domains.append(Domain(expert=name, data=data_path(data), adapter=adapter, rank=rank))
        session.note(f"{name} begins as the adapter of this name." if adapter else f"{name} begins fresh.")
    return domains


def extend(
    mix: Annotated[str, typer.Argument(help="The mix that gets more experts.")],
    expert: Annotated[
        list[str],
        typer.Option(
            "--expert", help="NAME[@RANK]: who joins, or who is there already and is cut. May be repeated."
        ),
    ],
    data: Data,
    out: Out,
    epochs: Epochs = 3,
    steps: Steps = None,
    max_examples: Most = 2000,
    batch_size: BatchSize = 32,
    learning_rate: Rate = 1e-2,
    balance_weight: Balance = 0.01,
    entropy_weight: Entropy = 0.0,
    band_weight: Band = 0.0,
    max_length: Length = 256,
    seed: Seed = 0,
) -> None:
    """A new mix with more experts: only what the router knows of the new ones is trained."""
    names, ranks = _named(expert)
    spec = TrainRouter(
        base=mix_card(mix).base,
        experts=names,
        ranks=ranks,
        extend=mix,
        data=data_path(data),
        out=out,
        epochs=epochs,
        steps=steps,
        max_examples=max_examples,
        batch_size=batch_size,
        learning_rate=learning_rate,
        balance_weight=balance_weight,
        entropy_weight=entropy_weight,
        band_weight=band_weight,
        max_length=max_length,
        seed=seed,
    )
    finished(run_job(spec), SAID)
