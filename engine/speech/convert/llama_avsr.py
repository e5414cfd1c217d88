"""A Llama-AVSR checkpoint taken apart: bridges and tags, the LoRA as a PEFT adapter, its own lip encoder.

What is left is a language model and a Whisper that were frozen while it was trained, and are had elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.formats.convert.plan import Made, Module, Plan, plan_modules
from engine.formats.convert.weights import Stored, Weights
from engine.formats.errors import AdapterError
from engine.formats.safetensors_file import DTYPE_BYTES
from engine.speech.config import SpeechConfig

__all__ = ["SpeechPlan", "is_llama_avsr", "plan_speech"]

WHISPER_WIDTH = 1024
"""Of medium.en, which the best published models hear with."""
SCALE = 1 / 8
"""alpha / reduction of all published models."""
TAG_ROWS = 4
EMBEDDING = "llm.model.embed_tokens.weight"
_LORA = re.compile(r"llm\.(model\.layers\.\d+\.self_attn)\.lora_(down|up)_([QV])\.weight")
_PROJECTIONS = {"Q": "q_proj", "V": "v_proj"}
_SIDES = {"down": "lora_A.weight", "up": "lora_B.weight"}


@dataclass(frozen=True)
class SpeechPlan:
    """``bridges`` as ``engine.speech.file`` reads them, ``lora`` as PEFT does, and what both belong to.
    ``audio_width`` 0: only who knows the Whisper can tell it, and the rate of sound."""

    config: SpeechConfig
    bridges: Plan
    lora: Plan
    llm_width: int
    audio_width: int


def is_llama_avsr(tensors: Mapping[str, Stored]) -> bool:
    """Whether these are a Llama-AVSR's names."""
    return any(name in tensors for name in ("audio_proj.0.weight", "video_proj.0.weight"))


def plan_speech(
    weights: Weights, *, video_width: int = 0, audio_width: int | None = None, pooled_rate: int | None = None
) -> SpeechPlan:
    """How the checkpoint in ``weights`` comes apart.

    ``video_width`` is that of the lip encoder in it. ``audio_width`` (default: read off the Whisper in the
    file, else 1024 where that fits) is that of the Whisper. Where vectors are averaged, which shapes do not
    tell apart from a rate of 1, ``pooled_rate`` says of how many. AdapterError when tensors are missing or do
    not fit.
    """
    tensors = weights.tensors
    if audio_width is None:
        audio_width = _audio_width(tensors)
    widths = {"audio": audio_width, "video": video_width}
    rates: dict[str, tuple[int, ...]] = {"audio": (), "video": ()}
    bridges: dict[str, str | Made] = {}
    pooled = norm = False
    hidden = llm_width = 0
    for modality, width in widths.items():
        parts = [name for name in tensors if name.startswith(f"{modality}_proj.")]
        if not parts:
            continue
        known = width if modality == "video" or audio_width else _read(tensors, modality)
        rate, hidden, llm_width = _sizes(tensors, modality, known)
        if rate == 1 and pooled_rate:
            pooled, rate = True, pooled_rate
        rates[modality] = (rate,)
        norm = norm or f"{modality}_proj.3.weight" in tensors
        for name in parts:
            rest = name.removeprefix(f"{modality}_proj.")
            bridges[f"{modality}.projectors.{'shared' if pooled else rate}.{rest}"] = name
    config = SpeechConfig(rates["audio"], rates["video"], "pool" if pooled else "stack", hidden, norm)
    lora = _lora(weights)
    return SpeechPlan(config, _with_tags(weights, config, bridges), lora, llm_width, audio_width)


def _sizes(tensors: Mapping[str, Stored], modality: str, width: int) -> tuple[int, int, int]:
    """(vectors in one, inner width, the language model's width) of a projector."""
    first, last = (tensors.get(f"{modality}_proj.{part}.weight") for part in (0, 2))
    if first is None or last is None or len(first.shape) != 2 or len(last.shape) != 2:
        raise AdapterError(f"The projector {modality}_proj is not whole.", "Download the checkpoint again.")
    hidden, read = first.shape
    if width < 1 or read % width or last.shape[1] != hidden:
        raise AdapterError(
            f"The projector {modality}_proj reads {read} numbers, no multiple of its encoder's {width}.",
            "Say which Whisper the model hears with.",
        )
    return read // width, hidden, last.shape[0]


def _with_tags(weights: Weights, config: SpeechConfig, bridges: Mapping[str, str | Made]) -> Plan:
    """The tags are the last four rows of the language model's vocabulary, after the padding token."""
    table = weights.tensors.get(EMBEDDING)
    if table is None or len(table.shape) != 2 or table.shape[0] <= TAG_ROWS or not table.in_a_row:
        raise AdapterError(
            "The checkpoint has no vectors for its tags.", "Choose one with the language model."
        )
    rows, width = table.shape
    start = table.start + (rows - TAG_ROWS) * width * DTYPE_BYTES[table.dtype]
    tags = replace(table, shape=(TAG_ROWS, width), start=start)
    seen = replace(weights, tensors={**weights.tensors, "tags": tags})
    return Plan("Llama-AVSR", seen, config.as_json(), {**bridges, "tags": "tags"})


def _lora(weights: Weights) -> Plan:
    modules: dict[str, dict[str, str]] = {}
    ranks: dict[str, int] = {}
    for name, stored in weights.tensors.items():
        if match := _LORA.fullmatch(name):
            path = f"{match[1]}.{_PROJECTIONS[match[3]]}"
            modules.setdefault(path, {})[_SIDES[match[2]]] = name
            ranks[path] = stored.shape[0 if match[2] == "down" else 1]
    if not modules:
        raise AdapterError("The checkpoint has no LoRA of a language model.", "Choose one of Llama-AVSR.")
    plans = {path: Module(ranks[path], ranks[path] * SCALE, parts) for path, parts in modules.items()}
    plan = plan_modules("Llama-AVSR", weights, plans, {"task_type": "CAUSAL_LM"})
    plan.check()
    return plan


def _audio_width(tensors: Mapping[str, Stored]) -> int:
    """Of the Whisper in the file, else that of the best models where it fits, else 0."""
    found = tensors.get("audio_encoder.conv1.weight")
    if found is not None:
        return found.shape[0]
    return 0 if _read(tensors, "audio") % WHISPER_WIDTH else WHISPER_WIDTH


def _read(tensors: Mapping[str, Stored], modality: str) -> int:
    """How many numbers a projector reads at once; 0 where there is none."""
    first = tensors.get(f"{modality}_proj.0.weight")
    return first.shape[1] if first is not None and len(first.shape) == 2 else 0
