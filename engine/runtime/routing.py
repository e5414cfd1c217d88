"""Who speaks where while a mix reads a prompt."""

from __future__ import annotations

from collections.abc import Generator

import torch

from engine.formats.errors import StudioError
from engine.messages import Route, Routing
from engine.runtime.base import Base
from engine.runtime.generation import record, token_texts
from engine.runtime.voices import Voice
from engine.training.text import encode_prompt

__all__ = ["route"]


def route(base: Base, voice: Voice, request: Route) -> Generator[None, None, Routing]:
    """The gates of one forward pass over the prompt; nothing is written. One step, so nothing is yielded."""
    tape = record(voice)
    if tape is None:
        raise StudioError("usage", f"{request.mixing.name} has no router.", "Choose a mix.")
    prompt = encode_prompt(base.tokenizer, request.prompt)
    with torch.no_grad(), voice.playing():
        base.model(input_ids=torch.tensor([prompt], device=base.device), use_cache=False, logits_to_keep=1)
    yield
    return Routing(
        tokens=token_texts(base.tokenizer, prompt),
        modules=tape.modules,
        experts=list(voice.experts),
        gates=tape.gates[-1][0].tolist(),
    )
