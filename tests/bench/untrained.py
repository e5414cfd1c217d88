"""A speech model of the starter's size with random weights."""

from __future__ import annotations

import torch

from engine.speech.avhubert.config import AvHubertConfig
from engine.speech.avhubert.encoder import AvHubert
from engine.speech.avhubert.file import write_avhubert
from engine.speech.card import Part, write_card
from engine.speech.file import write_speech_model
from engine.starter.speech.reader import ReaderRecipe, new_reader

ENCODER = AvHubertConfig(
    width=144, feedforward=384, layers=4, heads=4, position_kernel=16, position_groups=4,
    channels=(8, 12, 24, 48), masked=False,
)  # fmt: skip


def write_untrained(folder):
    """The folder of a demo that has learned nothing."""
    torch.manual_seed(0)
    folder.mkdir()
    encoder = AvHubert(ENCODER)
    write_avhubert(encoder, folder / "encoder")
    model = new_reader(encoder, ReaderRecipe())
    for factor in model.bank.parameters():
        factor.data.add_(0.01)  # one that was never trained is refused
    write_speech_model(model, folder / "speech")
    model.llm.save_pretrained(folder / "llm")
    model.tokenizer.save_pretrained(folder / "llm")
    model.close()
    senses = Part(path="encoder")
    write_card(folder, "demo", {"ear": senses, "eye": senses, "llm": Part(path="llm")})
    return folder
