"""Speech: record a clip, and write down what is said in one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

from engine.client import Client
from engine.commands import speech_models
from engine.commands.session import plain, session
from engine.formats.errors import StudioError
from engine.messages import (
    Body,
    Heard,
    ListSpeech,
    SpeechCard,
    SpeechMode,
    SpeechModels,
    Transcribe,
    Transcript,
)

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Record speech, transcribe it by ear and by eye, train for it.")
app.command("models")(speech_models.models)
app.command("import")(speech_models.take_in)
app.command("remove")(speech_models.remove)
app.command("restore")(speech_models.restore)
app.command("train")(speech_models.train)

CAPTURE = (sys.executable, "-P", "-m", "app.capture", "record")

Mode = Annotated[
    SpeechMode | None, typer.Option("--mode", help="What is read of a clip. Default: all that the model can.")
]
Format = Literal["txt", "srt", "vtt", "json"]
STOPPING = {"usage", "cancelled", "crashed"}
"""Failures that the next clip would share."""


@app.command()
def transcribe(
    clips: Annotated[list[str], typer.Argument(metavar="CLIP...", help="Sound or video files.")],
    mode: Mode = None,
    model: Annotated[str, typer.Option("--model", help="Of `speech models`.")] = "demo",
    reference: Annotated[str, typer.Option("--reference", help="What was said, for an error rate.")] = "",
    snr: Annotated[float | None, typer.Option("--snr", help="Put babble under the sound, in dB.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the babble.")] = 0,
    format: Annotated[Format, typer.Option("--format", help="How the words are printed.")] = "txt",
    audio_rate: Annotated[int | None, typer.Option("--audio-rate", help="One that was trained.")] = None,
    video_rate: Annotated[int | None, typer.Option("--video-rate", help="One that was trained.")] = None,
    beams: Annotated[int, typer.Option("--beams", min=1, max=50, help="1 is greedy.")] = 1,
) -> None:
    """Write down what is said in clips: by ear, by the lips, or by both.

    Of several clips each is told on a line of its own with --json, and one with "done" comes last. One that
    cannot be read does not keep the others from it; the exit code says that there was one.
    """
    failed = 0
    if reference and len(clips) > 1:
        raise StudioError("usage", "One reference is for one clip.", "Transcribe the clips one by one.")
    with session.engine() as engine:
        card = _card(engine, model)
        for clip in clips:
            request = Transcribe(
                model=card.name,
                clip=str(Path(clip).expanduser().absolute()),
                mode=mode or card.modes[-1],
                audio_rate=audio_rate,
                video_rate=video_rate,
                snr=snr,
                seed=seed,
                reference=reference,
                beams=beams,
            )
            try:
                found: Transcript = engine.call(request, _show_words)
            except StudioError as error:
                if len(clips) == 1 or error.code in STOPPING or not card.path:
                    raise
                failed += 1
                _tell_failure(clip, error)
                continue
            _tell(clip, found, format, alone=len(clips) == 1)
    if len(clips) > 1 and session.json:
        session.put({"done": True, "clips": len(clips), "failed": failed})
    if failed:
        session.note(f"{failed} of {len(clips)} clips could not be transcribed.")
        raise typer.Exit(1)


@app.command()
def record(
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=24 * 3600.0, help="For how long.")],
    out: Annotated[Path, typer.Option("--out", help="The clip to write, NAME.mkv.")],
    camera: Annotated[str, typer.Option("--camera", help="By name or number; none: without.")] = "",
    microphone: Annotated[str, typer.Option("--microphone", help="By name or number; none: without.")] = "",
) -> None:
    """Record a clip from camera and microphone."""
    target = out.expanduser().absolute()
    _check_target(target if target.suffix else target.with_suffix(".mkv"))
    words = ["--seconds", str(seconds), "--out", str(target)]
    words += ["--camera", camera] if camera else []
    words += ["--microphone", microphone] if microphone else []
    values = _captured(words)
    for note in values.get("notes") or []:
        session.note(note)
    text = f"{values.get('path', out)}: {values.get('seconds', 0):.1f} s, {values.get('frames', 0)} pictures."
    session.result(values, text)


def _card(engine: Client, model: str) -> SpeechCard:
    """The model of this name, which can be used. What is wrong otherwise the engine says when it is asked."""
    found: SpeechModels = engine.call(ListSpeech())
    for card in found.models:
        if card.name == model and card.modes:
            return card
    return SpeechCard(name=model, kind="llama-avsr", path="", modes=["both"])


def _show_words(body: Body) -> None:
    if isinstance(body, Heard):
        said = " ".join(word.text for word in body.words[-12:])
        session.progress(f"{body.until:.0f} of {body.seconds:.0f} s: {said}")
    else:
        session.show_progress(body)


def _tell(clip: str, found: Transcript, format: Format, alone: bool) -> None:
    # What it was read as is the mode that the words come from; what was asked for stands beside it.
    values = {"clip": clip} | plain(found) | {"mode": found.read_as, "asked": found.mode}
    for note in found.notes:
        session.note(note)
    if found.wer is not None:
        session.note(f"Word errors: {100 * found.wer:.1f} %.")
    text = {"txt": found.text, "srt": found.srt.rstrip("\n"), "vtt": found.vtt.rstrip("\n")}.get(format)
    if text is None:
        text = msgspec.json.format(msgspec.json.encode(values), indent=2).decode()
    session.result(values, text if alone or format == "json" else f"{clip}\n{text}\n")


def _tell_failure(clip: str, error: StudioError) -> None:
    session.note(f"{clip}: {error.message} {error.hint}".strip())
    if session.json:
        session.put(
            {"clip": clip, "error": {"code": error.code, "message": error.message, "hint": error.hint}}
        )


def _check_target(path: Path) -> None:
    """Refuse what cannot be written to before any device is opened."""
    if path.exists():
        raise StudioError(
            "usage", f"{path.name} exists already.", "Choose another name, or remove the file first."
        )
    if not path.parent.is_dir():
        raise StudioError(
            "usage", f"There is no folder {path.parent}.", "Choose another one, or make it first."
        )
    if not os.access(path.parent, os.W_OK):
        raise StudioError(
            "disk",
            f"The folder {path.parent} may not be written to.",
            "Choose another folder or change its permissions.",
        )


def _captured(words: list[str]) -> dict[str, Any]:
    """What the recording process says at its end. What went wrong there is raised as it says. Ctrl-C, however
    often, ends the recording and not the wait for what is kept of it."""
    session.note("Recording: the devices are open until this ends.")
    child = subprocess.Popen([*CAPTURE, *words], stdout=subprocess.PIPE, text=True)
    interrupted = threading.Event()

    def stop(*_: object) -> None:
        interrupted.set()
        child.send_signal(signal.SIGINT)  # a key reaches both, but `kill` only one

    before = signal.signal(signal.SIGINT, stop)
    try:
        said, _ = child.communicate()
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        values = json.loads(said.strip().splitlines()[-1])
    except (ValueError, IndexError) as error:
        if interrupted.is_set():
            raise KeyboardInterrupt from error
        raise StudioError(
            "crashed", f"The recording broke off (exit code {child.returncode}).", "Try again.", said[-2000:]
        ) from error
    if problem := values.get("error"):
        raise StudioError(problem["code"], problem["message"], problem.get("hint", ""))
    return dict(values)
