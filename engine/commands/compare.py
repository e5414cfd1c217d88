"""Several voices on one prompt, side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.commands.session import plain, session
from engine.commands.voices import Order, parse_voice
from engine.commands.work import Base
from engine.messages import Body, Compare, Compared, RowDone

__all__ = ["compare"]


def compare(
    base: Base,
    prompt: Annotated[str, typer.Option("--prompt")],
    voice: Annotated[
        list[str],
        typer.Option(
            "--voice",
            help="base, NAME[=WEIGHT][@RANK]+NAME..., or mix:NAME[:soft|:hard|:topK]; may be repeated.",
        ),
    ],
    order: Order = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, max=1_000_000)] = 64,
    temperature: Annotated[float, typer.Option(min=0.0, max=100.0, help="0 is greedy.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Answer one prompt with several voices at once: the base, adapters, mixes."""
    request = Compare(
        base=base,
        prompt=prompt,
        voices=[parse_voice(text, order) for text in voice],
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
    )
    ended: set[int] = set()

    def show(body: Body) -> None:
        if isinstance(body, RowDone):
            ended.add(body.row)
            session.progress(f"{len(ended)} of {len(voice)} have answered")
        else:
            session.show_progress(body)

    with session.engine() as engine:
        compared: Compared = engine.call(request, show)
    for note in dict.fromkeys(note for answer in compared.answers for note in answer.notes):
        session.note(note)
    answers = []
    for text, answer in zip(voice, compared.answers, strict=True):
        values = plain(answer)
        values.pop("routing")
        answers.append({"voice": text} | values)
    width = max(map(len, voice))
    lines = (f"{text:<{width}}  {answer.text}" for text, answer in zip(voice, compared.answers, strict=True))
    session.result({"answers": answers}, "\n".join(lines))
