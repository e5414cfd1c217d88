"""What a mix is worth, and how to take it elsewhere: scores beside every alternative, and exports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
import typer

from engine.commands.session import mix_card, session, table
from engine.commands.voices import Ranks, ranks_of
from engine.commands.work import BatchSize, Length, Seed, data_path, data_sets, run_job
from engine.formats.errors import StudioError
from engine.messages import Arm, ArmScore, CopyMix, Done, ExportMix, ScoreMix

__all__ = ["export", "score"]

ARMS: tuple[Arm, ...] = get_args(Arm)
Mix = Annotated[str, typer.Argument(help="A mix of the library.")]
Sets = Annotated[
    list[str] | None, typer.Option("--data", help="[NAME=]DATA, a file or a starter set; may be repeated.")
]


def score(
    mix: Mix,
    data: Sets = None,
    expert: Ranks = None,
    train: Annotated[
        str | None, typer.Option("--train", help="What alternatives that learn may learn from.")
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option("--arm", help=f"{', '.join(ARMS)}; may be repeated. Default: all that can be had."),
    ] = None,
    metric: Annotated[Literal["exact", "loss"], typer.Option("--metric")] = "exact",
    top_k: Annotated[int, typer.Option("--top-k", min=1)] = 3,
    limit: Annotated[int | None, typer.Option("--limit", help="Only the first rows of each set.")] = None,
    max_examples: Annotated[int, typer.Option("--max-examples")] = 2000,
    batch_size: BatchSize = 32,
    max_length: Length = 256,
    seed: Seed = 0,
) -> None:
    """Score a mix beside its base, its experts, and every other way to use them, on the same rows."""
    unknown = [each for each in arm or () if each not in ARMS]
    if unknown:
        raise StudioError("usage", f"There is no arm {unknown[0]}.", f"There are {', '.join(ARMS)}.")
    arms = tuple(each for each in ARMS if not arm or each in arm)
    if not arm and not train:
        arms = tuple(each for each in arms if each not in ("learned", "xlora", "lora"))
        session.note("Alternatives that learn are left out; give them data with --train.")
    spec = ScoreMix(
        base=mix_card(mix).base,
        mix=mix,
        data=data_sets(data or []),
        train=data_path(train) if train else "",
        ranks=ranks_of(expert),
        arms=arms,
        metric=metric,
        top_k=top_k,
        limit=limit,
        max_examples=max_examples,
        batch_size=batch_size,
        max_length=max_length,
        seed=seed,
    )
    job = run_job(spec)
    result = {key: job.result[key] for key in ("metric", "n", "arms")}
    session.result(result | {"seconds": job.seconds, "job": job.id}, _scores(result, list(spec.data)))


def _scores(result: dict[str, Any], sets: list[str]) -> str:
    arms = [msgspec.convert(arm, ArmScore) for arm in result["arms"]]
    rows = []
    for arm in arms:
        if arm.missing:
            rows.append((arm.label, "-", "", "", *("-" for _ in sets), "-", "-"))
            continue
        low, high = arm.interval
        each = (f"{arm.sets[name][0]:.3f}" if name in arm.sets else "-" for name in sets)
        numbers = (f"{arm.parameters:,}", f"{arm.trained:,}")
        rows.append(
            (arm.label, f"{arm.value:.3f}", f"{low:.3f} to {high:.3f}", _beside_mix(arm), *each, *numbers)
        )
    head = ("", result["metric"], "95 % interval", "minus the mix", *sets, "trained numbers", "on rows")
    text = table(head, rows) + f"\n\n{result['n']:,} rows in all; every set weighs the same."
    if any(arm.beside_mix for arm in arms):
        mix = next(arm for arm in arms if arm.beside_mix is None and not arm.missing)
        text += f" Minus the mix: the difference to {mix.label}, row by row."
    return "\n".join([text, *(f"{arm.label}: {arm.missing}" for arm in arms if arm.missing)])


def _beside_mix(arm: ArmScore) -> str:
    if arm.beside_mix is None:
        return ""
    gap, low, high = arm.beside_mix
    return f"{gap:+.3f} ({low:+.3f} to {high:+.3f})"


def export(
    mix: Mix,
    folder: Annotated[Path, typer.Argument(help="Where to; must not exist.")],
    kind: Annotated[
        Literal["folder", "lora"], typer.Option("--as", help="The whole mix, or plain LoRAs for any program.")
    ] = "folder",
    gates: Annotated[
        Literal["mean", "domain"], typer.Option("--gates", help="One LoRA, or one for each data set.")
    ] = "mean",
    data: Sets = None,
    expert: Ranks = None,
    rank: Annotated[int | None, typer.Option("--rank", help="Cut the LoRA to this rank by SVD.")] = None,
    distill: Annotated[int, typer.Option("--distill", min=0, help="Steps of learning from the mix.")] = 0,
    max_examples: Annotated[int, typer.Option("--max-examples")] = 500,
    batch_size: BatchSize = 32,
    learning_rate: Annotated[float, typer.Option("--learning-rate")] = 1e-3,
    max_length: Length = 256,
    seed: Seed = 0,
) -> None:
    """Take a mix elsewhere: whole, or as plain LoRAs with the error that this makes."""
    target = folder.expanduser().absolute()
    if kind == "folder":
        if data or rank is not None or distill or gates != "mean":
            raise StudioError(
                "usage", "--gates, --data, --rank and --distill are for --as lora.", "Leave them out."
            )
        ranks = ranks_of(expert)
        with session.engine() as engine:
            done: Done = engine.call(
                CopyMix(name=mix, folder=str(target), ranks=ranks), session.show_progress
            )
        cut = [f"{name} at rank {rank}" for name, rank in ranks.items()]
        values = {"path": done.path, "kind": "folder", "error": 0.0}
        session.result(values, f"{mix} was written to {done.path}, {', '.join(cut) or 'exactly as it is'}.")
        return
    spec = ExportMix(
        base=mix_card(mix).base,
        mix=mix,
        folder=str(target),
        data=data_sets(data or []),
        gates=gates,
        ranks=ranks_of(expert),
        rank=rank,
        distill_steps=distill,
        max_examples=max_examples,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_length=max_length,
        seed=seed,
    )
    job = run_job(spec)
    text = f"{mix} was written to {job.result['path']} as plain LoRA."
    errors = ", ".join(
        f"{name.replace('_', ' ')} {value:.4g}"
        for name, value in job.result["error"].items()
        if isinstance(value, int | float)
    )
    session.result(job.result | {"seconds": job.seconds, "job": job.id}, f"{text} Its error: {errors}.")
