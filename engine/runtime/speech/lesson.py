"""What a TrainSpeech asks for as a task: its model, its clips, and its result, a speech model's folder."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from engine.formats.files import atomic_folder, sha256_file
from engine.messages import StartJob, TrainSpeech
from engine.runtime.base import load_base
from engine.speech.card import Part, read_card, write_card
from engine.speech.config import SpeechConfig
from engine.speech.kept import KeptClips
from engine.speech.model import LoraSize, SpeechModel
from engine.speech.open import Senses, open_speech_model
from engine.speech.training import SpeechTask
from engine.training import Settings

__all__ = ["Lesson", "job_hash", "open_model", "senses_of", "settings_of", "takes_sentences"]

CLIP_NORM = 10.0
"""The largest norm of the whole gradient, as Llama-AVSR trains."""

SMALL = 1 << 20
"""Bytes of a file of a part up to which its content names it, not its size alone."""


def senses_of(spec: TrainSpeech, paths: Mapping[str, str]) -> tuple[bool, bool]:
    """Whether the model that ``spec`` trains hears, and whether it sees. ``paths`` as in StartJob."""
    if not spec.model:
        return bool(spec.ear), bool(spec.eye)
    modes = read_card(paths[f"speech:{spec.model}"]).modes
    return modes != ("video",), modes != ("audio",)


def takes_sentences(spec: TrainSpeech, paths: Mapping[str, str]) -> bool:
    """Whether the model that ``spec`` goes on from was never taught more than one sentence at once."""
    return bool(spec.model) and read_card(paths[f"speech:{spec.model}"]).sentences


def open_model(
    spec: TrainSpeech, paths: Mapping[str, str], device: str
) -> tuple[SpeechModel, dict[str, Part]]:
    """The model to train, and the parts that stay as they are. StudioError when they cannot be used, or do
    not belong together."""
    if spec.model:
        card = read_card(paths[f"speech:{spec.model}"])
        parts = {sense: part for sense, part in card.parts.items() if sense != "speech"}
        return open_speech_model(card, load_base, device, trainable=True), parts
    named = {"ear": spec.ear, "eye": spec.eye, "llm": spec.llm}
    parts = {sense: Part(path=paths[sense], what=what) for sense, what in named.items() if what}
    places = {sense: Path(part.path) for sense, part in parts.items()}
    ear, eye = Senses(device).open(places.get("ear"), places.get("eye"))
    base = load_base(paths["llm"], spec.llm, device)
    config = SpeechConfig(
        audio_rates=tuple(sorted(spec.audio_rates)) if ear else (),
        video_rates=tuple(sorted(spec.video_rates)) if eye else (),
        compression=spec.compression,
        hidden=spec.hidden,
    )
    lora = LoraSize(rank=spec.rank, alpha=spec.alpha)
    if not any(name.endswith(lora.targets) for name, _ in base.model.named_modules()):
        lora = LoraSize(rank=spec.rank, alpha=spec.alpha, targets=())  # all that are heard
    model = SpeechModel(
        base.model, base.tokenizer, config, ear=ear, eye=eye, lora=lora, trainable=True, seed=spec.seed
    )
    return model, parts


def settings_of(spec: TrainSpeech) -> Settings:
    """How the loop trains ``spec``."""
    return Settings(
        steps=spec.steps,
        learning_rate=spec.learning_rate,
        warmup=spec.warmup,
        weight_decay=spec.weight_decay,
        clip=CLIP_NORM,
        seed=spec.seed,
        checkpoint_seconds=spec.checkpoint_seconds,
    )


class Lesson(SpeechTask):
    """The room's own task on ``clips``, a part of which is held out. Its result names its ``parts`` where
    they lie; ``say`` is told what is being measured;
    ``sentences`` as of ``takes_sentences``."""

    def __init__(
        self,
        model: SpeechModel,
        clips: KeptClips,
        spec: TrainSpeech,
        parts: Mapping[str, Part],
        say: Callable[[str], None],
        sentences: bool = False,
    ) -> None:
        learned, heldout = _parted(len(clips), spec.heldout, spec.seed)
        super().__init__(
            model,
            clips.some(learned),
            batch_size=spec.batch_size,
            noisy=spec.noisy,
            seed=spec.seed,
            heldout=clips.some(heldout),
            score_every=spec.score_every,
        )
        self._out = spec.out
        self._parts = dict(parts)
        self._say = say
        self._sentences = sentences

    def measure(self, step: int, last: bool) -> Generator[None, None, dict[str, float]] | None:
        parts = super().measure(step, last)
        if parts is not None:
            self._say("Counting word errors.")
        return parts

    def save(self, folder: Path) -> dict[str, Any]:
        """Write a speech model's folder."""
        note = f"Trained here on {len(self.clips)} clips."
        if self.scores:
            rates = ", ".join(f"{name[4:]} {100 * rate:.1f} %" for name, rate in self.scores.items())
            note += f" Word errors on {len(self.heldout)} others: {rates}."
        with atomic_folder(folder, doing="writing the speech model") as work:
            facts = super().save(work / "speech")
            write_card(
                work,
                "llama-avsr",
                self._parts,
                name=self._out,
                note=note,
                sentences=self._sentences,
            )
        return facts | {"clips": len(self.clips), "heldout": len(self.heldout), **self.scores}


def _parted(count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Numbers to learn from and numbers held out: a ``share``, at least one where there is any."""
    held = min(count - 1, max(1, round(share * count))) if share else 0
    chosen = set(random.Random(f"held out {seed}").sample(range(count), held))
    return [n for n in range(count) if n not in chosen], sorted(chosen)


def job_hash(order: StartJob) -> str:
    """Names the spec, its data and its parts: a checkpoint of anything else is not this job's."""
    parts = [(key, path) for key, path in sorted(order.paths.items()) if key not in ("data", "clips")]
    read = [(key, _mark(Path(path))) for key, path in parts]
    named = (order.spec, sha256_file(Path(order.paths["data"])), read)
    return hashlib.sha256(msgspec.json.encode(named)).hexdigest()


def _mark(folder: Path) -> list[tuple[str, int, str]]:
    """What tells a model's folder from another: the contents of small files, the sizes of all."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    sizes = [path.stat().st_size for path in files]
    return [
        (path.relative_to(folder).as_posix(), size, sha256_file(path) if size <= SMALL else "")
        for path, size in zip(files, sizes, strict=True)
    ]
