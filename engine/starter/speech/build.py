"""The whole speech starter model from nothing: clips, encoder, reader, scores. What is there is kept."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import torch
from safetensors.torch import load_file
from torch import nn

from engine.formats.files import atomic_folder, sha256_file
from engine.speech.avhubert.encoder import AvHubert
from engine.speech.avhubert.file import read_avhubert
from engine.speech.card import Part, write_card
from engine.speech.encoders import AvHubertEye
from engine.starter.speech.clips import Clips, make_clips
from engine.starter.speech.encoder import (
    ENCODER,
    READING,
    EncoderRecipe,
    EncoderTask,
    FusionTask,
    new_encoder,
)
from engine.starter.speech.grammar import WORDS, chance_error
from engine.starter.speech.looks import look_at
from engine.starter.speech.reader import ReaderRecipe, ReaderTask, new_reader, read_reader
from engine.starter.speech.score import score
from engine.training import Checkpoints, Settings, StepDone, train

__all__ = ["SpeechRecipe", "build"]

log = logging.getLogger(__name__)
LICENSE = "apache-2.0"
NOTE = (
    "A demonstration: it knows 51 words in one grammar, and was made of synthetic voices and faces alone. "
    "For real voices choose a Whisper, for real lips weights of your own."
)


@dataclass(frozen=True)
class SpeechRecipe:
    """The first of ``clips`` teach the encoder's second part, the next the reader; ``heldout`` are scored.
    Those that teach the encoder speak clearly: in all others lips move ``reach`` as far. In the share
    ``parts`` of all but the held-out only a few words are said: people do not always say whole sentences."""

    clips: int = 6000
    heldout: int = 500
    reach: float = 0.96
    parts: float = 0.25
    seed: int = 11
    encoder: EncoderRecipe = field(default_factory=EncoderRecipe)
    reader: ReaderRecipe = field(default_factory=ReaderRecipe)

    @property
    def sha256(self) -> str:
        """Of all its numbers."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def build(out: Path, recipe: SpeechRecipe) -> None:
    """Write the model as ``engine.speech.card`` reads it to ``out``/model, and its scores to
    ``out``/scores.json; clips, what was seen and checkpoints go to ``out``/work.

    One torch thread. Called again after an interruption it goes on where it was.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    work = out / "work"
    clips = make_clips(work / "clips", "train", recipe.clips, recipe.seed, parts=recipe.parts)
    _teach(work, recipe, clips)
    encoder = read_avhubert(work / "encoder")
    _teach_reader(work, recipe, Clips(work / "clips", recipe.reach), encoder)
    _put_together(work, out / "model")
    model = read_reader(work / "reader", encoder)
    heldout = make_clips(work / "heldout", "heldout", recipe.heldout, recipe.seed, recipe.reach)
    scores = score(model, AvHubertEye(encoder), [heldout.clip(number) for number in range(len(heldout))])
    facts = {"recipe": recipe.sha256, "grammar alone": chance_error(), **asdict(scores)}
    (out / "scores.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    model.close()


def _teach(work: Path, recipe: SpeechRecipe, clips: Clips) -> None:
    """The encoder, in two parts."""
    how = recipe.encoder
    encoder = new_encoder(how)
    if not (work / "first").exists():
        task = EncoderTask(encoder, clips, how)
        _run(work, recipe, task, how.steps, how.learning_rate, how.seed, work / "first")
    if not (work / "encoder").exists():
        encoder.load_state_dict(load_file(work / "first" / ENCODER))
        words = nn.Linear(how.width, len(WORDS) + 1)
        words.load_state_dict(load_file(work / "first" / READING))
        seen = look_at(work / "looks", clips, AvHubertEye(encoder.eval()), range(how.looks), how.seed)
        targets = [clips.words_in_time(number) for number in range(how.looks)]
        fusion = FusionTask(encoder, words, seen, targets, how.heard)
        _run(work, recipe, fusion, how.fused, how.learning_rate, how.seed + 1, work / "encoder")


def _teach_reader(work: Path, recipe: SpeechRecipe, clips: Clips, encoder: AvHubert) -> None:
    how, first = recipe.reader, recipe.encoder.looks
    if not (work / "reader").exists():
        numbers = range(first, first + how.clips)
        seen = look_at(work / "read", clips, AvHubertEye(encoder), numbers, how.seed)
        task = ReaderTask(new_reader(encoder, how), seen, batch_size=how.batch_size, seed=how.seed)
        _run(work, recipe, task, how.steps, how.learning_rate, how.seed, work / "reader")
        task.close()


def _put_together(work: Path, target: Path) -> None:
    if target.exists():
        return
    with atomic_folder(target, doing="writing the speech model") as folder:
        shutil.copytree(work / "encoder", folder / "encoder")
        for name in ("speech", "llm"):
            shutil.copytree(work / "reader" / name, folder / name)
        said = {
            "ear": ("encoder", "An AV-HuBERT in small, of generated speech"),
            "eye": ("encoder", "The same one, of drawn mouths"),
            "llm": ("llm", "A Llama in small that knows 51 words"),
            "speech": ("speech", ""),
        }
        parts = {
            name: Part(path=path, what=what, sha256=_digests(folder / path))
            for name, (path, what) in said.items()
        }
        write_card(folder, "demo", parts, name="demo", license=LICENSE, note=NOTE, sentences=True)


def _digests(folder: Path) -> dict[str, str]:
    return {file.name: sha256_file(file) for file in sorted(folder.glob("*.safetensors"))}


def _run(
    work: Path,
    recipe: SpeechRecipe,
    task: EncoderTask | FusionTask | ReaderTask,
    steps: int,
    learning_rate: float,
    seed: int,
    folder: Path,
) -> None:
    """Train from the newest checkpoint on, if there is one, and write the result to ``folder``."""
    kept = work / f"{folder.name}-checkpoints"
    kept.mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(kept, job_hash=recipe.sha256)
    newest = checkpoints.newest()
    settings = Settings(steps=steps, learning_rate=learning_rate, seed=seed, checkpoint_seconds=60.0)
    for event in train(task, settings, checkpoints, resume=newest.tensors if newest else None):
        if isinstance(event, StepDone) and event.step % 20 == 0:
            shown = {name: round(float(value), 3) for name, value in event.metrics.items()}
            log.info("%s %d/%d: %s", folder.name, event.step, event.steps, shown)
    task.save(folder)
