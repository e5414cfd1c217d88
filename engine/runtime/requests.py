"""Live requests as work: played by the base, by adapters, by a mix, or by a router that still trains."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from engine.formats.errors import StudioError
from engine.messages import (
    Body,
    Compare,
    Done,
    DropExpert,
    Generate,
    MeasureRanks,
    Mixing,
    OrderRanks,
    Part,
    Route,
    Score,
    Work,
)
from engine.mixer.mix_file import drop_expert
from engine.runtime.base import Base
from engine.runtime.base_jobs import BaseJob
from engine.runtime.generation import answer, compare
from engine.runtime.ordering import gather
from engine.runtime.ranks import measure_ranks
from engine.runtime.routing import route
from engine.runtime.scoring import score
from engine.runtime.slides import Slides
from engine.runtime.voices import Voice, Voices, mixed

__all__ = ["perform"]

Steps = Generator[Body | None, None, Body]


def perform(work: Work, voices: Voices, jobs: dict[str, BaseJob], slides: Slides | None = None) -> Steps:
    """Answer ``work``; its voice is held for as long as it runs. ``jobs`` are those that run here; a live
    answer is found in ``slides`` after its first step, which says nothing."""
    slides = slides or Slides()
    request = work.request
    if isinstance(request, DropExpert):
        yield None
        source, target = work.paths[f"mix:{request.mix}"], Path(work.paths["out"])
        drop_expert(source, request.expert, voices.base.model, target, name=request.out)
        return Done(path=str(target))
    if isinstance(request, MeasureRanks):
        folder, data = work.paths[f"adapter:{request.adapter}"], work.paths["data"]
        return (yield from measure_ranks(voices, request, folder, data))
    if isinstance(request, OrderRanks):
        folder, data = work.paths[f"adapter:{request.adapter}"], work.paths["data"]
        return (yield from gather(voices.base, request, folder, data, work.paths["out"]))
    if isinstance(request, Compare):
        with voices.hold_all(request.voices, work.paths) as several:
            return (yield from compare(voices.base, several, request))
    if not isinstance(request, Generate | Route | Score):
        raise StudioError("protocol", f"A runtime does not answer {type(request).__name__} so.")
    if request.mixing is not None and request.mixing.job:
        run = jobs.get(request.mixing.job)
        return (yield from _overhear(run, request.parts, request.mixing, voices.base, work, slides))
    with voices.hold(request.parts, request.mixing, work.paths) as voice:
        return (yield from _play(voices.base, voice, work, slides))


def _play(base: Base, voice: Voice, work: Work, slides: Slides) -> Steps:
    match work.request:
        case Generate() as request:
            with slides.under(request, voice) as sliding:
                if request.live:
                    yield None
                return (yield from answer(base, voice, request, sliding))
        case Route() as request:
            return (yield from route(base, voice, request))
        case Score() as request:
            return (yield from score(base, voice, request, work.paths["data"]))
    raise AssertionError(f"a {type(work.request).__name__} has several voices")


def _overhear(
    run: BaseJob | None, parts: list[Part], mixing: Mixing, base: Base, work: Work, slides: Slides
) -> Steps:
    """Play the router of a running job between its micro-steps, as it is at each of them.

    Gates and cache are the request's own, so that the training notices nothing. The bank leaves the model
    with the training; what would be heard then is the base, so the answer ends with the training.
    """
    task = run.router if run is not None else None
    if run is None or task is None:
        raise StudioError("missing", "This mix is not training at the moment.", "Try again when it does.")
    if any(part.order for part in parts):
        raise StudioError(
            "usage",
            "A router that learns has the columns of its experts in the order of their files.",
            "Leave the order out, or ask the finished mix.",
        )
    steps = _play(base, mixed(task.bank, task.router, parts, mixing), work, slides)
    while run.router is task:
        try:
            said = next(steps)
        except StopIteration as end:
            body: Body = end.value
            return body
        yield said
    raise StudioError(
        "missing", "The training ended during this answer, and its router with it.", "Ask the finished mix."
    )
