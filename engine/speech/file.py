"""A trained speech model on disk: its configuration, bridges and tags, and its LoRA as an adapter folder.

    speech.json, speech.safetensors, adapter/

Encoders and language model are not in it; whoever reads it brings them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch

from engine.formats.errors import StudioError
from engine.formats.files import atomic_folder
from engine.formats.plain import load_json
from engine.formats.safetensors_file import read_header
from engine.lora import read_adapter
from engine.lora.write import save_adapter
from engine.speech.config import parse_speech_config
from engine.speech.encoders import Encoder, Eye
from engine.speech.model import LORA, SpeechModel

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["ADAPTER", "CARD", "WEIGHTS", "read_speech_model", "write_speech_model"]

CARD, WEIGHTS, ADAPTER = "speech.json", "speech.safetensors", "adapter"


def read_speech_model(
    folder: str | Path,
    llm: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    ear: Encoder | None = None,
    eye: Eye | None = None,
    trainable: bool = False,
) -> SpeechModel:
    """The model in ``folder`` on these encoders and this language model.

    AdapterError for damaged files, StudioError when they are not of these widths.
    """
    folder = Path(folder)
    config = parse_speech_config(load_json(folder / CARD)["speech"])
    lora = read_adapter(folder / ADAPTER)
    model = SpeechModel(llm, tokenizer, config, ear=ear, eye=eye, lora=lora, trainable=trainable)
    expected = {name: tuple(tensor.shape) for name, tensor in model.bridges.state_dict().items()}
    found = {name: info.shape for name, info in read_header(folder / WEIGHTS).items()}
    if found != expected:
        model.close()
        raise StudioError(
            "adapter",
            "This speech model was made with other encoders, or for another language model.",
            "Choose those that it was made with.",
            f"{sorted(set(found.items()) ^ set(expected.items()))[:4]}",
        )
    model.bridges.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS))
    return model


def write_speech_model(model: SpeechModel, folder: str | Path) -> None:
    """Write ``model`` as it is now to a new ``folder``. StudioError("disk") when that cannot be."""
    with atomic_folder(Path(folder), doing="writing the speech model") as work:
        state = {name: p.detach().cpu().contiguous() for name, p in model.bridges.state_dict().items()}
        safetensors.torch.save_file(state, work / WEIGHTS)
        (work / CARD).write_text(json.dumps({"speech": model.config.as_json()}, indent=2) + "\n")
        (work / ADAPTER).mkdir()
        save_adapter(model.bank.read(LORA), work / ADAPTER)
