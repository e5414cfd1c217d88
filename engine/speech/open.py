"""A folder that transcribes, opened: its ear, eye, language model and LoRA as one listener."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from engine.formats.base_config import WHISPER, read_object
from engine.formats.errors import StudioError
from engine.formats.files import sha256_file
from engine.speech.avhubert.encoder import AvHubert
from engine.speech.avhubert.file import read_avhubert
from engine.speech.card import Card, read_card
from engine.speech.encoders import AvHubertEar, AvHubertEye, Encoder, Eye, WhisperEar
from engine.speech.file import read_speech_model
from engine.speech.listener import Listener, Reader
from engine.speech.model import SpeechModel
from engine.speech.whisper import WhisperListener, load_whisper

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["LoadBase", "Senses", "open_speech", "open_speech_model"]

SENTENCES = 0.3
"""Seconds of a pause between two sentences of a model that was never taught more than one."""


class _Base(Protocol):
    @property
    def model(self) -> PreTrainedModel: ...

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase: ...


LoadBase = Callable[[Path, str, str], _Base]
"""Loads the language model in a folder: (folder, what to call it, device), as engine.runtime.base does."""


def open_speech(folder: str | Path, load_base: LoadBase, device: str = "auto") -> Listener:
    """The model in ``folder``, ready to listen. ``device`` auto is the GPU if there is one (bfloat16 there).

    StudioError when a part is missing, damaged, refused, or belongs to another model.
    """
    card = read_card(folder)
    device = _device(device)
    _check_digests(card)
    if card.config is None:
        return WhisperListener(*load_whisper(card.part("ear"), device), name=card.name)
    model = open_speech_model(card, load_base, device)
    return Reader(model, card.name, SENTENCES if card.sentences else math.inf)


def open_speech_model(
    card: Card, load_base: LoadBase, device: str = "auto", *, trainable: bool = False
) -> SpeechModel:
    """The speech model that ``card`` tells of, to be asked or to be trained further."""
    if card.config is None:
        raise StudioError(
            "usage", f"{card.name} is a Whisper, which has no language model.", "Choose another."
        )
    device = _device(device)
    ear, eye = Senses(device).open(
        card.part("ear") if card.config.audio_rates else None,
        card.part("eye") if card.config.video_rates else None,
    )
    base = load_base(card.part("llm"), card.parts["llm"].what or "the language model", device)
    return read_speech_model(
        card.part("speech"), base.model, base.tokenizer, ear=ear, eye=eye, trainable=trainable
    )


class Senses:
    """Encoders from their folders, each read once, on ``device``."""

    def __init__(self, device: str = "auto") -> None:
        self._device = _device(device)
        self._known: dict[Path, Any] = {}

    def open(self, ear: Path | None, eye: Path | None) -> tuple[Encoder | None, Eye | None]:
        """The Whisper or AV-HuBERT in ``ear`` and the AV-HuBERT in ``eye``, as far as there are any."""
        return self._ear(ear) if ear else None, AvHubertEye(self._avhubert(eye)) if eye else None

    def _ear(self, folder: Path) -> Encoder:
        if read_object(folder / "config.json").get("model_type") != WHISPER:
            return AvHubertEar(self._avhubert(folder))
        whole, _ = load_whisper(folder, self._device)
        return WhisperEar(copy.copy(whole.get_encoder()))  # its decoder is let go of

    def _avhubert(self, folder: Path) -> AvHubert:
        if folder not in self._known:
            dtype = torch.bfloat16 if self._device == "cuda" else torch.float32
            self._known[folder] = read_avhubert(folder, dtype).to(self._device)
        found: AvHubert = self._known[folder]
        return found


def _device(device: str) -> str:
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def _check_digests(card: Card) -> None:
    for name, part in card.parts.items():
        for file, digest in part.sha256.items():
            path = Path(part.path) / file
            if not path.is_file() or sha256_file(path) != digest:
                raise StudioError(
                    "adapter",
                    f"The {name} of {card.name} is not the one that it was made with: {file} is another.",
                    "Bring the file back, or import the model again.",
                    part.path,
                )
