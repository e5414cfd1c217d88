"""The whole speech starter model from nothing: clips, encoder, reader, scores. What is there is kept."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import torch

from engine.speech.avhubert.file import read_avhubert
from engine.speech.clip import Clip
from engine.starter.speech.clips import Clips, make_clips
from engine.starter.speech.encoder import EncoderRecipe, EncoderTask, new_encoder
from engine.starter.speech.grammar import chance_error
from engine.starter.speech.reader import ReaderRecipe, ReaderTask, new_reader, read_reader
from engine.starter.speech.score import score
from engine.training import Checkpoints, Settings, StepDone, train

__all__ = ["SpeechRecipe", "build"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpeechRecipe:
    """``clips`` teach the encoder, ``read`` others the reader, ``heldout`` are scored."""

    clips: int = 6000
    read: int = 1000
    heldout: int = 500
    seed: int = 11
    encoder: EncoderRecipe = field(default_factory=EncoderRecipe)
    reader: ReaderRecipe = field(default_factory=ReaderRecipe)

    @property
    def sha256(self) -> str:
        """Of all its numbers."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def build(out: Path, recipe: SpeechRecipe) -> None:
    """Write encoder, reader and ``scores.json`` to ``out``; clips and checkpoints go to ``out``/work.

    One torch thread. Called again after an interruption it goes on where it was.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    work = out / "work"
    made = recipe.encoder
    if not (out / "encoder").exists():
        taught = make_clips(work / "taught", "train", recipe.clips, recipe.seed)
        _run(work, recipe, EncoderTask(new_encoder(made), taught, made), made, out / "encoder")
    encoder = read_avhubert(out / "encoder")
    if not (out / "reader").exists():
        clips = _whole(make_clips(work / "read", "train", recipe.read, recipe.seed + 1))
        how = recipe.reader
        task = ReaderTask(new_reader(encoder, how), clips, batch_size=how.batch_size, seed=how.seed)
        _run(work, recipe, task, how, out / "reader")
        task.close()
    model = read_reader(out / "reader", encoder)
    heldout = _whole(make_clips(work / "heldout", "heldout", recipe.heldout, recipe.seed))
    rates = {
        name: {snr: asdict(rate) for snr, rate in row.items()} for name, row in score(model, heldout).items()
    }
    facts = {"recipe": recipe.sha256, "grammar alone": chance_error(), "word error rates": rates}
    (out / "scores.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    model.close()


def _whole(clips: Clips) -> list[Clip]:
    return [clips.clip(number) for number in range(len(clips))]


def _run(
    work: Path,
    recipe: SpeechRecipe,
    task: EncoderTask | ReaderTask,
    how: EncoderRecipe | ReaderRecipe,
    folder: Path,
) -> None:
    """Train from the newest checkpoint on, if there is one, and write the result to ``folder``."""
    kept = work / f"{folder.name}-checkpoints"
    kept.mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(kept, job_hash=recipe.sha256)
    newest = checkpoints.newest()
    settings = Settings(
        steps=how.steps, learning_rate=how.learning_rate, seed=how.seed, checkpoint_seconds=60.0
    )
    for event in train(task, settings, checkpoints, resume=newest.tensors if newest else None):
        if isinstance(event, StepDone) and event.step % 20 == 0:
            shown = {name: round(value, 3) for name, value in event.metrics.items()}
            log.info("%s %d/%d: %s", folder.name, event.step, event.steps, shown)
    task.save(folder)
