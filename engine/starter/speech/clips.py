"""Clips of a split: sentences, voices and faces drawn from a seed, kept on disk so that a run can go on.

Sounds and the lips' movements are kept; pictures are drawn again whenever they are needed, because a thousand
clips are half a gigabyte of them.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.formats.files import atomic_folder
from engine.speech.clip import Clip
from engine.speech.shape import FPS, SAMPLE_RATE
from engine.starter.speech.face import Face, Lips, draw_mouth, lips_over_time, shapes
from engine.starter.speech.grammar import WORDS, Split, draw_part, draw_sentence
from engine.starter.speech.voice import Timed, draw_speaker, say

__all__ = ["Clips", "make_clips"]

log = logging.getLogger(__name__)
SOUNDS, CARDS = "sounds.npy", "clips.json"
FACES = {"train": 400, "heldout": 60}
PAUSE = (0.08, 0.35)
"""Seconds of silence before and after."""
LOUDNESS = (0.03, 0.15)


@dataclass(frozen=True)
class Card:
    """What is known of a clip: where its ``samples`` are, who says what when, and the seed of its picture."""

    first: int
    samples: int
    text: str
    voice: str
    face: int
    phonemes: tuple[tuple[float, str], ...]
    words: tuple[float, ...]


class Clips:
    """The clips in ``folder``, one at a time. ``sound`` and ``clip`` are as the speech room takes them.
    ``reach``: how far lips move, as a share of what their face would."""

    def __init__(self, folder: Path, reach: float = 1.0) -> None:
        self.reach = reach
        raw = json.loads((folder / CARDS).read_text(encoding="utf-8"))
        self.split: Split = raw["split"]
        self.seed: int = raw["seed"]
        self.cards = [
            Card(**{**card, "phonemes": tuple(map(tuple, card["phonemes"])), "words": tuple(card["words"])})
            for card in raw["clips"]
        ]
        self._sounds: NDArray[numpy.int16] = numpy.load(folder / SOUNDS, mmap_mode="r")

    def __len__(self) -> int:
        return len(self.cards)

    def sound(self, number: int) -> Tensor:
        card = self.cards[number]
        samples = self._sounds[card.first : card.first + card.samples].astype(numpy.float32)
        return torch.from_numpy(samples / 32768)

    def frames(self, number: int) -> int:
        return -(-self.cards[number].samples * FPS // SAMPLE_RATE)

    def mouth(self, number: int) -> Tensor:
        """uint8 [frames, 96, 96], the same whenever it is asked for."""
        return torch.from_numpy(draw_mouth(self.face(number), self.lips(number), self._chance(number, 1)))

    def face(self, number: int) -> Face:
        """Who says it."""
        face = Face.draw(numpy.random.default_rng([self.cards[number].face, self.split == "heldout"]))
        return replace(face, reach=face.reach * self.reach)

    def lips(self, number: int) -> Lips:
        """[frames, 4]: what the lips do, the same whenever it is asked for."""
        phonemes = [Timed(start, name) for start, name in self.cards[number].phonemes]
        return lips_over_time(phonemes, self.frames(number), self.face(number), self._chance(number, 0))

    def _chance(self, number: int, what: int) -> numpy.random.Generator:
        return numpy.random.default_rng([self.seed, number, self.split == "heldout", what])

    def clip(self, number: int, *, seen: bool = True) -> Clip:
        mouth = self.mouth(number) if seen else None
        return Clip(self.sound(number), mouth, self.cards[number].text)

    def words_in_time(self, number: int) -> Tensor:
        """[frames]: which of ``WORDS`` is said in each picture, counted from 1; 0 is silence."""
        card = self.cards[number]
        middle = (numpy.arange(self.frames(number)) + 0.5) / FPS
        last = max(start for start, name in card.phonemes if shapes(name))
        place = numpy.searchsorted(card.words, middle, "right") - 1
        said = numpy.array([WORDS.index(word) + 1 for word in card.text.split()])
        quiet = (place < 0) | (middle > _after(card.phonemes, last))
        return torch.from_numpy(numpy.where(quiet, 0, said[place.clip(0)]))


def _after(phonemes: Sequence[tuple[float, str]], start: float) -> float:
    """When the sound that begins at ``start`` ends."""
    return min((time for time, _ in phonemes if time > start), default=start + 0.2)


def make_clips(
    folder: Path, split: Split, count: int, seed: int, reach: float = 1.0, parts: float = 0.0
) -> Clips:
    """``count`` clips of ``split`` in ``folder``; what is there already is read. In the share ``parts`` of
    them only some words of a sentence are said.

    They are said in a process of their own, because espeak-ng remembers what it said before.
    """
    if not folder.exists():
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            alone.submit(_write, folder, split, count, seed, parts).result()
    return Clips(folder, reach)


def _write(folder: Path, split: Split, count: int, seed: int, parts: float) -> None:
    rng = random.Random(f"{split} {seed}")
    sounds: list[NDArray[numpy.int16]] = []
    cards: list[dict[str, Any]] = []
    first = 0
    for number in range(count):
        if number % 1000 == 0:
            log.info("%s clips %d/%d", split, number, count)
        text = draw_sentence(split, rng)
        if parts and rng.random() < parts:
            text = draw_part(text, rng)
        speaker = draw_speaker(split, rng)
        said = say(text, speaker)
        before, after = (rng.uniform(*PAUSE) for _ in range(2))
        sound = numpy.pad(said.sound, [round(pause * SAMPLE_RATE) for pause in (before, after)])
        sound *= rng.uniform(*LOUDNESS) / float(numpy.sqrt(numpy.mean(said.sound**2)))
        sounds.append((sound.clip(-1, 1) * 32767).astype(numpy.int16))
        card = Card(
            first=first,
            samples=len(sound),
            text=text,
            voice=speaker.name,
            face=rng.randrange(FACES[split]),
            phonemes=tuple((round(p.start + before, 4), p.name) for p in said.phonemes),
            words=tuple(round(w.start + before, 4) for w in said.words),
        )
        cards.append(asdict(card))
        first += len(sound)
    with atomic_folder(folder, doing="writing the generated clips") as work:
        numpy.save(work / SOUNDS, numpy.concatenate(sounds))
        text = json.dumps({"split": split, "seed": seed, "clips": cards})
        (work / CARDS).write_text(text, encoding="utf-8")
