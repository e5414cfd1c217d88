"""An encoder on disk: a folder with model.safetensors under the published names, and config.json."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors.torch
import torch

from engine.formats.errors import StudioError
from engine.formats.files import atomic_folder
from engine.formats.plain import load_json
from engine.formats.safetensors_file import read_header
from engine.speech.avhubert.config import parse_config
from engine.speech.avhubert.encoder import AvHubert
from engine.speech.avhubert.layout import layout

__all__ = ["CONFIG", "WEIGHTS", "read_avhubert", "write_avhubert"]

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def read_avhubert(folder: str | Path, dtype: torch.dtype = torch.float32) -> AvHubert:
    """The encoder in ``folder``, frozen, ready to be used.

    Every tensor is accounted for before one number is read. AdapterError for a damaged file, StudioError
    for another one.
    """
    folder = Path(folder)
    config = parse_config(load_json(folder / CONFIG)["encoder"])
    expected = layout(config)
    found = {name: info.shape for name, info in read_header(folder / WEIGHTS).items()}
    if found != expected:
        odd = sorted(set(found.items()) ^ set(expected.items()))[:4]
        raise StudioError(
            "adapter",
            "The weights in this folder are not those that its configuration describes.",
            "Convert the checkpoint again.",
            f"{odd}",
        )
    with torch.device("meta"):
        model = AvHubert(config)
    state = safetensors.torch.load_file(folder / WEIGHTS)
    floats = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in state.items()
    }
    model.load_state_dict(floats, assign=True)
    return model.eval().requires_grad_(False)


def write_avhubert(model: AvHubert, folder: str | Path) -> None:
    """Write ``model`` to a new ``folder``. StudioError("disk") when it exists or cannot be written."""
    with atomic_folder(Path(folder), doing="writing the encoder") as work:
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
        safetensors.torch.save_file(state, work / WEIGHTS)
        (work / CONFIG).write_text(json.dumps({"encoder": model.config.as_json()}, indent=2) + "\n")
