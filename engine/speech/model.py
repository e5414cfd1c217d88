"""Llama-AVSR (arXiv 2409.12319): a language model reads what was heard and seen, then a prompt, and writes.

    BOS <audio> A </audio> <video> V </video> PROMPT  text EOS

Encoders and language model are frozen; what learns are the bridges, the tags and a LoRA in our bank. One
model does all three tasks (by prompt and by what is left out) at every rate that it was trained at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from engine.formats.errors import StudioError
from engine.lora import Adapter, attach, new_adapter
from engine.speech.bridge import Bridge
from engine.speech.clip import Clip, Mode, available_mode
from engine.speech.config import PROMPTS, TAGS, Rates, SpeechConfig
from engine.speech.encoders import Encoder, Eye

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["LORA", "Bridges", "LoraSize", "Read", "SpeechModel"]

LORA = "speech"
"""The name of the model's own expert in its bank."""


@dataclass(frozen=True)
class LoraSize:
    """A fresh LoRA for the language model: Llama-AVSR's rank 64 at scale 1/8 on queries and values."""

    rank: int = 64
    alpha: float = 8.0
    targets: tuple[str, ...] = ("q_proj", "v_proj")


@dataclass(frozen=True)
class Read:
    """What the language model reads of a clip before it writes: ``vectors`` [length, out]; which of them are
    sound and which are lips."""

    vectors: Tensor
    heard: range
    seen: range


class Bridges(nn.Module):
    """All that a speech model has beside its encoders, its language model and its LoRA. ``tags`` [4, out] are
    the vectors around sound and lips, in the order of ``TAGS``."""

    def __init__(self, config: SpeechConfig, audio_width: int, video_width: int, out: int) -> None:
        super().__init__()
        self.audio = _bridge(config, audio_width, out, config.audio_rates)
        self.video = _bridge(config, video_width, out, config.video_rates)
        self.tags = nn.Parameter(torch.randn(len(TAGS), out) * 0.02)


def _bridge(config: SpeechConfig, width: int, out: int, rates: Sequence[int]) -> Bridge | None:
    return Bridge(width, out, rates, config.compression, config.hidden, config.norm) if rates else None


class SpeechModel:
    """A language model with ears and eyes. ``llm`` is any causal model of transformers.

    ``ear`` and ``eye`` are needed as far as ``config`` has rates for them. ``lora`` is an adapter for the
    language model, or the size of a fresh one, which must be ``trainable``: bridges and LoRA are parameters
    then. Call ``close`` to take the bank off the language model. StudioError when parts do not fit.
    """

    def __init__(
        self,
        llm: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        config: SpeechConfig,
        *,
        ear: Encoder | None = None,
        eye: Eye | None = None,
        lora: Adapter | LoraSize | None = None,
        trainable: bool = False,
        seed: int = 0,
    ) -> None:
        self.llm = llm.requires_grad_(False).eval()
        self.tokenizer = tokenizer
        self.config = config
        self.ear, self.eye = ear, eye
        self._check_parts()
        self._embed = llm.get_input_embeddings()
        out: int = self._embed.weight.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.bridges = Bridges(config, ear.width if ear else 0, eye.width if eye else 0, out)
        self.bridges.requires_grad_(trainable).to(llm.device)
        if not isinstance(lora, Adapter):
            size = lora or LoraSize()
            lora = new_adapter(llm, size.rank, size.alpha, size.targets, seed=seed, name=LORA)
        self.bank = attach(llm, {LORA: lora}, trainable=trainable)
        self.gates = self.bank.new_gates({LORA: 1.0})

    @property
    def modes(self) -> tuple[Mode, ...]:
        """What the model can be asked for."""
        return self.config.modes

    @property
    def end(self) -> int:
        """The token that ends a transcript."""
        end: int | None = self.tokenizer.eos_token_id
        if end is None:
            raise StudioError(
                "adapter", "The base has no token that ends a text.", "Choose another language model."
            )
        return end

    def parameters(self) -> dict[str, Tensor]:
        """What learns, by name; nothing unless ``trainable``."""
        learning: dict[str, Tensor] = {}
        learning |= {f"bridges.{name}": p for name, p in self.bridges.named_parameters() if p.requires_grad}
        return learning | {f"lora.{name}": p for name, p in self.bank.named_parameters().items()}

    def tokens_per_second(self, mode: Mode, rates: Rates) -> float:
        """How many vectors the language model reads for a second of a clip: the cost of a rate."""
        heard = self.ear.rate / rates.audio if self.ear and mode != "video" else 0.0
        return heard + (self.eye.rate / rates.video if self.eye and mode != "audio" else 0.0)

    def read(self, clips: Sequence[Clip], mode: Mode, rates: Rates) -> list[Tensor]:
        """What the language model reads of each clip before it writes, [length, out]; as of ``perceive``."""
        return [one.vectors for one in self.perceive(clips, mode, rates)]

    def perceive(self, clips: Sequence[Clip], mode: Mode, rates: Rates) -> list[Read]:
        """What the language model reads of each clip, and where in it sound and lips are.

        A clip that lacks a modality is read by the other alone. StudioError for a rate that is untrained,
        a mode that this model has not, or a clip without either.
        """
        if mode not in self.modes:
            raise StudioError(
                "usage", f"This model knows no mode {mode}.", f"Choose {' or '.join(self.modes)}."
            )
        modes = [available_mode(clip, mode) for clip in clips]
        if unknown := [one for one in modes if one not in self.modes]:
            raise StudioError(
                "data",
                f"The clip can only be read by {unknown[0]}, which this model cannot.",
                "Choose another.",
            )
        heard = self._through(self.bridges.audio, self._hear(clips, modes), rates.audio)
        seen = self._through(self.bridges.video, self._see(clips, modes), rates.video)
        opening = [] if self.tokenizer.bos_token_id is None else [self.tokenizer.bos_token_id]
        nothing = self.embed([])
        return [
            self._around(
                self.embed(opening),
                nothing if one == "video" else next(heard),
                nothing if one == "audio" else next(seen),
                self.embed(self.tokenizer(PROMPTS[one], add_special_tokens=False).input_ids),
            )
            for one in modes
        ]

    def embed(self, ids: Sequence[int]) -> Tensor:
        """Token ids as the language model's own vectors, [length, out]."""
        vectors: Tensor = self._embed(torch.tensor(ids, dtype=torch.long, device=self.llm.device))
        return vectors

    def close(self) -> None:
        """Take the bank off the language model."""
        self.bank.detach()

    def _around(self, opening: Tensor, sound: Tensor, lips: Tensor, prompt: Tensor) -> Read:
        """Tags around what there is."""
        parts, places, length = [opening], [], len(opening)
        for vectors, tag in ((sound, 0), (lips, 2)):
            there = len(vectors) > 0
            parts += [self._tag(tag), vectors, self._tag(tag + 1)] if there else []
            places.append(range(length + there, length + there + len(vectors)))
            length += len(vectors) + 2 * there
        return Read(torch.cat([*parts, prompt]), *places)

    def _hear(self, clips: Sequence[Clip], modes: Sequence[Mode]) -> Sequence[Tensor]:
        its = [clip for clip, mode in zip(clips, modes, strict=True) if mode != "video"]
        return self.ear(its) if its and self.ear is not None else ()

    def _see(self, clips: Sequence[Clip], modes: Sequence[Mode]) -> Sequence[Tensor]:
        if self.eye is None:
            return ()
        fused = [mode == "both" and self.config.eye_hears for mode in modes]
        apart = [c for c, m, f in zip(clips, modes, fused, strict=True) if m != "audio" and not f]
        both = [clip for clip, f in zip(clips, fused, strict=True) if f]
        alone = iter(self.eye(apart) if apart else ())
        together = iter(self.eye.together(both) if both else ())
        return [next(together if f else alone) for f, m in zip(fused, modes, strict=True) if m != "audio"]

    def _tag(self, number: int) -> Tensor:
        return self.bridges.tags[number : number + 1].to(self._embed.weight.dtype)

    def _through(self, bridge: Bridge | None, encoded: Sequence[Tensor], rate: int) -> Iterator[Tensor]:
        """An encoder's vectors of each clip through their bridge, in the language model's number format."""
        if bridge is None:
            return
        for vectors in encoded:
            yield bridge(vectors.to(self.llm.device, torch.float32), rate).to(self._embed.weight.dtype)

    def _check_parts(self) -> None:
        for name, rates, encoder in (
            ("sound", self.config.audio_rates, self.ear),
            ("lips", self.config.video_rates, self.eye),
        ):
            if rates and encoder is None:
                raise StudioError(
                    "usage", f"This model reads {name} and was given no encoder for it.", "Give one."
                )
