"""Models of speech: which there are, how they come and go, and how one is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from engine.commands.session import plain, session, table
from engine.commands.work import BatchSize, Seed, data_path, finished, run_job
from engine.formats.errors import StudioError
from engine.formats.sizes import as_size
from engine.hub.address import parse_address
from engine.messages import (
    Done,
    Download,
    ImportSpeech,
    InspectSpeech,
    ListSpeech,
    RemoveSpeech,
    RestoreSpeech,
    SpeechCard,
    SpeechInspection,
    SpeechModels,
    TrainSpeech,
)

__all__ = ["models", "remove", "restore", "take_in", "train"]

CHECKPOINTS = {".pt", ".pth", ".ckpt", ".bin"}
"""Endings of files, which are not sought on the Hub."""

Ear = Annotated[str, typer.Option("--ear", help="What hears: a model of `speech models`, or a folder.")]
Eye = Annotated[str, typer.Option("--eye", help="What sees lips: likewise.")]
Llm = Annotated[str, typer.Option("--llm", help="The language model: a base, a speech model, or a folder.")]


def models() -> None:
    """The models that transcribe."""
    with session.engine() as engine:
        found: SpeechModels = engine.call(ListSpeech())
    head = ("name", "kind", "modes", "size", "about")
    rows = [(c.name, c.kind, ", ".join(c.modes), as_size(c.bytes), _about(c)) for c in found.models]
    text = table(head, rows) or "There is no speech model yet."
    values = plain(found) | {"models": [plain(card) for card in found.models]}
    session.result(values, text)


def take_in(
    path: Annotated[str, typer.Argument(help="A checkpoint, a folder, or a Whisper of the Hub: user/model.")],
    name: Annotated[str, typer.Option("--name", help="What to call it.")] = "",
    ear: Ear = "",
    eye: Eye = "",
    llm: Llm = "",
    rates: Annotated[str, typer.Option("--rates", help="Of sound and lips, if it does not say: 4,2.")] = "",
    accept: Annotated[bool, typer.Option("--accept-licence", help="You have read its terms.")] = False,
    revision: Annotated[str, typer.Option("--revision", help="A branch, a tag or a commit.")] = "main",
) -> None:
    """Take a model of speech into the library: a checkpoint of AV-HuBERT or Llama-AVSR, or a Whisper.

    A checkpoint is made into safetensors and never opened as a pickle. Its terms are shown first.
    """
    source = Path(path).expanduser()
    is_file = source.exists() or source.suffix in CHECKPOINTS
    address = None if is_file else parse_address(path)
    if address:
        own = address.repo.rpartition("/")[2]
        named = address.revision if revision == "main" else revision
        job = run_job(Download(repo=address.repo, out=name or own, room="speech", revision=named))
        values = {"name": job.name} | job.result | {"job": job.id}
        session.result(values, f"{job.name} is here: {as_size(job.steps)} fetched and verified.")
        return
    both = _numbers(rates, "rates")
    request = ImportSpeech(
        path=str(source.absolute()),
        out=name or source.stem,
        ear=_place(ear),
        eye=_place(eye),
        llm=_place(llm),
        accepted=accept,
        rates=(both[0], both[-1]) if both else None,
    )
    with session.engine() as engine:
        seen: SpeechInspection = engine.call(InspectSpeech(path=request.path))
        if seen.license and not accept:
            session.note(f"{seen.license_name}\n{seen.license}")
            raise StudioError(
                "refused",
                f"The terms of {seen.license_name} have not been accepted.",
                "Read them; if you accept them, say --accept-licence.",
            )
        card: SpeechCard = engine.call(request, session.show_progress)
    session.result(plain(card), f"{card.name} is in the library ({card.kind}, {as_size(card.bytes)}).")


def remove(name: str) -> None:
    """Move a speech model into the trash; a Whisper of the Hugging Face cache is taken off the list."""
    with session.engine() as engine:
        done: Done = engine.call(RemoveSpeech(name=name))
    text = f"{name} is off the list. `speech restore {done.path}` brings it back."
    session.result({"name": name, "path": done.path}, text)


def restore(path: Annotated[str, typer.Argument(help="Where `speech remove` said that it is.")]) -> None:
    """Bring a speech model back."""
    with session.engine() as engine:
        card: SpeechCard = engine.call(RestoreSpeech(path=path))
    session.result(plain(card), f"{card.name} is there again.")


def train(
    data: Annotated[str, typer.Option("--data", help='JSON lines, each with "clip" and "text".')],
    out: Annotated[str, typer.Option("--out", help="What to call the new model.")],
    model: Annotated[str, typer.Option("--model", help="Go on from this one, parts and rates too.")] = "",
    ear: Ear = "",
    eye: Eye = "",
    llm: Llm = "",
    audio_rates: Annotated[str, typer.Option("--audio-rates", help="Vectors of sound in one.")] = "4,16",
    video_rates: Annotated[str, typer.Option("--video-rates", help="Vectors of lips in one.")] = "2,5",
    compression: Annotated[Literal["stack", "pool"], typer.Option("--compression")] = "stack",
    hidden: Annotated[int, typer.Option("--hidden", help="Inner width of the projectors.")] = 2048,
    rank: Annotated[int, typer.Option("--rank")] = 64,
    alpha: Annotated[float, typer.Option("--alpha")] = 8.0,
    steps: Annotated[int, typer.Option("--steps")] = 1000,
    batch_size: BatchSize = 8,
    learning_rate: Annotated[float, typer.Option("--learning-rate")] = 1e-3,
    noisy: Annotated[bool, typer.Option("--noisy/--clean", help="Babble, gaps and crops on the way.")] = True,
    heldout: Annotated[float, typer.Option("--heldout", help="Share that word errors are counted on.")] = 0.1,
    score_every: Annotated[int, typer.Option("--score-every", help="Steps between two counts.")] = 100,
    seed: Seed = 0,
) -> None:
    """Train one model that hears, reads lips and does both."""
    spec = TrainSpeech(
        data=data_path(data),
        out=out,
        model=model,
        ear=_place(ear),
        eye=_place(eye),
        llm=_place(llm),
        audio_rates=_numbers(audio_rates, "audio rates"),
        video_rates=_numbers(video_rates, "video rates"),
        compression=compression,
        hidden=hidden,
        rank=rank,
        alpha=alpha,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        noisy=noisy,
        heldout=heldout,
        score_every=score_every,
        seed=seed,
    )
    job = run_job(spec)
    finished(job, [key for key in job.result if key.startswith("wer ")])


def _about(card: SpeechCard) -> str:
    return card.problem or card.note or ", ".join(card.parts.values())


def _place(named: str) -> str:
    """The engine may run in another folder, so a folder that is here is named in full."""
    return data_path(named) if named else ""


def _numbers(text: str, what: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise StudioError("usage", f"“{text}” are no {what}.", "Write them as 4,16.")
    return tuple(int(part) for part in parts)
