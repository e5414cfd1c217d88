"""What a job's spec says: what it reads, makes, is called, who does its work, and its steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from engine.formats.sizes import as_size
from engine.messages import (
    Download,
    ExportMix,
    Job,
    JobSpec,
    ScoreMix,
    TrainDylora,
    TrainGate,
    TrainJoint,
    TrainLora,
    TrainRouter,
    TrainSpeech,
)

__all__ = [
    "DOWNLOADER",
    "SPEECH",
    "Room",
    "data_of",
    "experts_of",
    "kind_of",
    "name_of",
    "parts_of",
    "planned_steps",
    "reached",
    "room_of",
    "title_of",
    "worker_of",
]

Room = Literal["adapters", "bases", "mixes", "speech"]

DOWNLOADER = "the downloader"
"""Where downloads run. No base can be called so."""

SPEECH = "the speech runtime"
"""Where everything of speech runs; likewise."""

_KINDS = {
    TrainLora: "lora",
    TrainDylora: "dylora",
    TrainRouter: "router",
    TrainJoint: "joint",
    TrainGate: "gate",
    TrainSpeech: "speech",
    ScoreMix: "scores",
    ExportMix: "export",
    Download: "download",
}


def kind_of(spec: JobSpec) -> str:
    """The kind of a job in a word."""
    return _KINDS[type(spec)]


def name_of(spec: JobSpec) -> str:
    """What a job is called: after what it makes."""
    match spec:
        case ScoreMix(mix=mix):
            return f"scores of {mix}"
        case ExportMix(mix=mix, folder=folder):
            return f"{mix} as {Path(folder).name}"
    return spec.out


def title_of(spec: JobSpec) -> str:
    """A job as the subject of a sentence."""
    match spec:
        case ScoreMix(mix=mix):
            return f"Scoring “{mix}”"
        case ExportMix(mix=mix):
            return f"Exporting “{mix}”"
        case Download(repo=repo):
            return f"The download of {repo}"
    return f"Training “{spec.out}”"


def room_of(spec: JobSpec) -> Room | None:
    """Where in the library the result of a job will live; None when it is nothing for the library."""
    match spec:
        case TrainLora() | TrainDylora() | TrainGate():
            return "adapters"
        case TrainRouter() | TrainJoint():
            return "mixes"
        case TrainSpeech():
            return "speech"
        case Download(room=room):
            return room
    return None


def worker_of(spec: JobSpec) -> str:
    """Who does the work of a job: the runtime of the base of this name, SPEECH, or DOWNLOADER."""
    match spec:
        case Download():
            return DOWNLOADER
        case TrainSpeech():
            return SPEECH
    return spec.base


def reached(job: Job, step: int, before: str) -> str:
    """``before`` and where a job is at ``step``, in words; "" where steps mean nothing to a person."""
    if isinstance(job.spec, Download):
        return f"{before} {as_size(step)} of {as_size(job.steps)}" if job.steps else ""
    return f"{before} step {step}" if room_of(job.spec) else ""


def data_of(spec: JobSpec) -> dict[str, str]:
    """{key in the job's paths: data set as the person named it}."""
    match spec:
        case TrainLora() | TrainDylora() | TrainGate() | TrainRouter() | TrainSpeech():
            return {"data": spec.data} if spec.data else {}
        case TrainJoint(domains=domains):
            return {f"data:{domain.expert}": domain.data for domain in domains}
        case ScoreMix(data=sets, train=train):
            return {f"data:{name}": data for name, data in sets.items()} | ({"train": train} if train else {})
        case ExportMix(data=sets):
            return {f"data:{name}": data for name, data in sets.items()}
        case Download():
            return {}


def parts_of(spec: JobSpec) -> tuple[list[str], str]:
    """The adapters of the library that a job reads, and the mix ("" for none)."""
    match spec:
        case TrainLora() | TrainDylora() | TrainSpeech() | Download():
            return [], ""
        case TrainRouter(experts=experts, extend=mix):
            return experts, mix
        case TrainJoint(domains=domains):
            return [domain.adapter for domain in domains if domain.adapter], ""
        case TrainGate(adapter=adapter):
            return [adapter], ""
        case ScoreMix(mix=mix) | ExportMix(mix=mix):
            return [], mix


def experts_of(spec: JobSpec) -> tuple[dict[str, str], str]:
    """Whence the experts of a mix in training come: {expert: adapter of the library}, and the mix that is
    extended ("" for none)."""
    match spec:
        case TrainRouter(experts=experts, extend=mix):
            return {name: name for name in experts}, mix
        case TrainJoint(domains=domains):
            return {domain.expert: domain.adapter for domain in domains if domain.adapter}, ""
    return {}, ""


def planned_steps(spec: JobSpec, rows: Mapping[str, int]) -> int:
    """Optimizer steps of a job whose data sets have so many rows; 0 where only the work itself can tell."""
    match spec:
        case TrainLora() | TrainDylora() | TrainJoint() | TrainGate() | TrainSpeech():
            return spec.steps
        case TrainRouter(steps=None):
            return spec.epochs * math.ceil(min(rows.get("data", 0), spec.max_examples) / spec.batch_size)
        case TrainRouter(steps=int(steps)):
            return steps
    return 0
