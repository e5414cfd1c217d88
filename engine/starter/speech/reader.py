"""The reader: a Llama in small with a word for each token, trained whole on what the frozen encoder says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from engine.formats.files import atomic_folder
from engine.speech.avhubert.encoder import AvHubert
from engine.speech.clip import Clip
from engine.speech.config import PROMPTS, SpeechConfig
from engine.speech.encoders import AvHubertEar
from engine.speech.file import read_speech_model
from engine.speech.model import LoraSize, SpeechModel
from engine.speech.training import SpeechTask
from engine.starter.speech.encoder import drawn_sound, odd_look
from engine.starter.speech.grammar import WORDS
from engine.starter.speech.looks import KeptEye, Looked

__all__ = ["CONFIG", "ReaderRecipe", "ReaderTask", "new_reader", "new_tokenizer", "read_reader"]

PAD, BEGIN, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
CONFIG = SpeechConfig(audio_rates=(2, 4), video_rates=(2, 4), compression="pool", hidden=192, eye_hears=True)


@dataclass(frozen=True)
class ReaderRecipe:
    """Shape and training of the language model."""

    hidden: int = 128
    intermediate: int = 256
    layers: int = 3
    heads: int = 4
    batch_size: int = 24
    clips: int = 1500
    steps: int = 1900
    learning_rate: float = 2e-3
    seed: int = 4


def new_tokenizer() -> PreTrainedTokenizerFast:
    """Each word of the grammar and of the prompts is a token; all else is unknown."""
    prompts = dict.fromkeys(word for prompt in PROMPTS.values() for word in prompt.split())
    pieces = {piece: index for index, piece in enumerate([PAD, BEGIN, END, UNKNOWN, *prompts, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(pieces, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, bos_token=BEGIN, eos_token=END, unk_token=UNKNOWN
    )


def new_reader(encoder: AvHubert, recipe: ReaderRecipe) -> SpeechModel:
    """An untrained language model on the frozen encoder; the LoRA is small, for the whole model learns."""
    tokenizer = new_tokenizer()
    encoder.eval().requires_grad_(False)
    torch.manual_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden,
        intermediate_size=recipe.intermediate,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return SpeechModel(
        LlamaForCausalLM(config),
        tokenizer,
        CONFIG,
        ear=AvHubertEar(encoder),
        eye=KeptEye(encoder),
        lora=LoraSize(rank=2, alpha=2.0),
        trainable=True,
        seed=recipe.seed,
    )


class ReaderTask(SpeechTask):
    """The room's own task in babble of the recipe's, and the language model learns with it."""

    def __init__(self, model: SpeechModel, clips: Sequence[Looked], *, batch_size: int, seed: int) -> None:
        super().__init__(model, clips, batch_size=batch_size, seed=seed)
        self._looked = clips

    def parameters(self) -> dict[str, Tensor]:
        whole = {
            f"llm.{name}": parameter.requires_grad_() for name, parameter in self.model.llm.named_parameters()
        }
        return super().parameters() | whole

    def drawn(self, numbers: Sequence[int]) -> list[Clip]:
        return [self._drawn(self._looked[number]) for number in numbers]

    def _drawn(self, clip: Looked) -> Clip:
        assert clip.sound is not None
        look = odd_look(clip, self._looked) if self.mode == "both" else clip.look
        return replace(clip, sound=drawn_sound(clip.sound, self._looked), look=look)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write bridges, tags and LoRA to ``folder``/speech, the language model to ``folder``/llm."""
        with atomic_folder(folder, doing="writing the reader") as work:
            facts = super().save(work / "speech")
            state = {name: p.detach().half() for name, p in self.model.llm.state_dict().items()}
            self.model.llm.save_pretrained(work / "llm", state_dict=state)
            self.model.tokenizer.save_pretrained(work / "llm")
        return facts


def read_reader(folder: Path, encoder: AvHubert) -> SpeechModel:
    """What ``ReaderTask.save`` wrote, on its encoder, whose eye is shown what was looked at before."""
    llm = LlamaForCausalLM.from_pretrained(folder / "llm", dtype=torch.float32)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "llm")
    ear, eye = AvHubertEar(encoder), KeptEye(encoder)
    return read_speech_model(folder / "speech", llm, tokenizer, ear=ear, eye=eye)
