"""The clips and the babble that come with the studio: held-out sentences said by held-out voices and faces.

``python -m engine.starter.speech.examples --out DIR`` makes them again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.speech.noise import babble
from engine.speech.shape import FPS, SAMPLE_RATE
from engine.starter.speech.build import SpeechRecipe
from engine.starter.speech.clips import Clips, make_clips
from engine.starter.speech.face import Lips
from engine.starter.speech.portrait import draw_portrait

__all__ = ["write_babble", "write_clip", "write_examples"]

SEED = 29
BABBLE_SECONDS, BABBLE_VOICES = 20, 6
PAUSE = 0.9
"""Seconds between the sentences of a clip that has several."""
QUALITY = "27"
"""Of H.264: lower is better and larger."""


@dataclass(frozen=True)
class Example:
    """``clips`` are the numbers of its sentences, all said by the face of the first."""

    file: str
    title: str
    clips: tuple[int, ...]


EXAMPLES = (
    Example("one-sentence.mkv", "One sentence", (0,)),
    Example("another-voice.mkv", "Another voice and face", (5,)),
    Example("a-third-voice.mkv", "A third voice and face", (7,)),
    Example("five-sentences.mkv", "Five sentences with pauses", (11, 12, 13, 14, 15)),
)


def write_examples(folder: Path) -> None:
    """Write the clips, ``examples.json`` and ``babble.flac`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as work:
        clips = make_clips(Path(work, "clips"), "heldout", 64, SEED, SpeechRecipe().reach)
        told = []
        for example in EXAMPLES:
            sound, pictures = _together(clips, example.clips)
            write_clip(folder / example.file, sound, pictures)
            text = " ".join(clips.cards[number].text for number in example.clips)
            told.append({"file": example.file, "title": example.title, "text": text})
        (folder / "examples.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        write_babble(folder / "babble.flac", [clips.sound(number) for number in range(20, 64)])


def _together(clips: Clips, numbers: Sequence[int]) -> tuple[Tensor, NDArray[numpy.uint8]]:
    """Sound [samples] and pictures [frames, H, W] of sentences said one after the other."""
    sounds: list[Tensor] = []
    lips: list[Lips] = []
    for number in numbers:
        if sounds:
            sounds.append(torch.zeros(round(PAUSE * FPS) * SAMPLE_RATE // FPS))
            lips.append(numpy.repeat(lips[-1][-1:], round(PAUSE * FPS), 0))
        sound, moved = clips.sound(number), clips.lips(number)
        sounds.append(torch.nn.functional.pad(sound, (0, len(moved) * SAMPLE_RATE // FPS - len(sound))))
        lips.append(moved)
    chance = numpy.random.default_rng([SEED, *numbers])
    return torch.cat(sounds), draw_portrait(clips.face(numbers[0]), numpy.concatenate(lips), chance)


def write_babble(path: Path, voices: Sequence[Tensor]) -> None:
    """Voices at once, which nobody can follow, as FLAC."""
    samples = BABBLE_SECONDS * SAMPLE_RATE
    several = [torch.cat([*voices[first::BABBLE_VOICES]]) for first in range(BABBLE_VOICES)]
    noise = babble(several, samples, torch.Generator().manual_seed(SEED))
    _write(path, 0.5 * noise / noise.abs().max(), None)


def write_clip(path: Path, sound: Tensor, pictures: NDArray[numpy.uint8]) -> None:
    """``sound`` [samples] at 16 kHz and grey ``pictures`` [frames, H, W] at 25 a second, as H.264 and
    FLAC."""
    _write(path, sound, pictures)


def _write(path: Path, sound: Tensor, pictures: NDArray[numpy.uint8] | None) -> None:
    with av.open(str(path), "w") as file:
        seen = None
        if pictures is not None:
            seen = file.add_stream("libx264", rate=FPS, options={"crf": QUALITY, "preset": "slow"})
            seen.height, seen.width = pictures.shape[1:]
            seen.pix_fmt = "yuv420p"
        heard = file.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        samples = (sound.clamp(-1, 1) * 32767).round().to(torch.int16).numpy()[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
        sounds = [*heard.encode(frame), *heard.encode()]
        for number, picture in enumerate(pictures if pictures is not None else ()):
            shown = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
            shown.pts, shown.time_base = number, Fraction(1, FPS)
            assert seen is not None
            file.mux(seen.encode(shown))
        if seen is not None:
            file.mux(seen.encode())
        file.mux(sounds)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m engine.starter.speech.examples", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    write_examples(parser.parse_args().out)


if __name__ == "__main__":
    main()
