"""What a speech checkpoint comes apart into: one plan for each file that will be written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.formats.adapter_folder import WEIGHTS as ADAPTER_WEIGHTS
from engine.formats.convert.plan import Plan
from engine.formats.convert.weights import Stored, Weights, read_weights
from engine.formats.errors import AdapterError
from engine.speech.convert.encoder import EncoderPlan, find_encoder, plan_encoder
from engine.speech.convert.licence import AV_HUBERT, LLAMA_AVSR, Licence
from engine.speech.convert.llama_avsr import SpeechPlan, is_llama_avsr, plan_speech

__all__ = ["ADAPTER", "LIPS", "Asked", "Parts", "find_parts"]

LIPS, ADAPTER = "lips", "adapter"
ENCODER_WEIGHTS, SPEECH_WEIGHTS = "model.safetensors", "speech.safetensors"
_TABLES = ("model", "state_dict")
"""Where training states keep their model."""


@dataclass(frozen=True)
class Asked:
    """What no checkpoint tells by itself, where a person knows it: the width of the Whisper that a Llama-AVSR
    hears with, and how many vectors it averages."""

    audio_width: int | None = None
    pooled_rate: int | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Parts:
    """``files`` gives each file's place in the new folder, and its plan."""

    kind: str
    licence: Licence
    weights: Weights
    encoder: EncoderPlan | None
    speech: SpeechPlan | None

    def files(self) -> Iterator[tuple[str, Plan]]:
        if self.encoder:
            place = f"{LIPS}/{ENCODER_WEIGHTS}" if self.speech else ENCODER_WEIGHTS
            yield place, Plan(self.kind, self.weights, self.encoder.config.as_json(), self.encoder.tensors)
        if self.speech:
            yield SPEECH_WEIGHTS, self.speech.bridges
            yield f"{ADAPTER}/{ADAPTER_WEIGHTS}", self.speech.lora


def find_parts(path: Path, asked: Asked) -> Parts:
    """What lies at ``path``. AdapterError when it is no checkpoint of AV-HuBERT or Llama-AVSR, is damaged, or
    names a tensor's numbers where there are none."""
    weights = read_weights(path, within=_TABLES)
    weights = Weights(weights.path, weights.kind, _unwrapped(weights.tensors))
    tensors = weights.tensors
    prefix = find_encoder(tensors)
    if not is_llama_avsr(tensors):
        if prefix is None:
            raise AdapterError(
                "This file is a checkpoint neither of AV-HuBERT nor of Llama-AVSR.", "Choose another file."
            )
        return Parts("AV-HuBERT", AV_HUBERT, weights, plan_encoder(tensors, prefix), None)
    seen = {name: stored for name, stored in tensors.items() if name.startswith("video_encoder.")}
    prefix = find_encoder(seen)
    encoder = None if prefix is None else plan_encoder(seen, prefix)
    speech = plan_speech(
        weights,
        video_width=encoder.config.width if encoder else 0,
        audio_width=asked.audio_width,
        pooled_rate=asked.pooled_rate,
    )
    return Parts("Llama-AVSR", LLAMA_AVSR, weights, encoder, speech)


def _unwrapped(tensors: Mapping[str, Stored]) -> Mapping[str, Stored]:
    """Without the "model." that a training framework puts before all names."""
    if tensors and all(name.startswith("model.") for name in tensors):
        return {name.removeprefix("model."): stored for name, stored in tensors.items()}
    return tensors
