"""Writing down what is said: greedy or by beams, never drawn by chance, no longer than speech can be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import GenerationConfig

from engine.speech.clip import Clip, Mode, available_mode
from engine.speech.config import Rates
from engine.speech.gate import somebody_speaks
from engine.speech.model import SpeechModel
from engine.training.play import play

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Transcript", "Word", "most_tokens", "transcribe"]

TOKENS_PER_SECOND, TOKENS_BESIDE = 6, 8


@dataclass(frozen=True)
class Word:
    """``confidence`` is the model's probability of the word, given all before it."""

    text: str
    confidence: float


@dataclass(frozen=True)
class Transcript:
    """``whole`` is false where the text was cut because it grew longer than speech can be; ``speech`` where
    nobody spoke, so that no words were asked for."""

    text: str
    words: tuple[Word, ...] = ()
    whole: bool = True
    speech: bool = True


def most_tokens(seconds: float) -> int:
    """How many tokens a clip may become: fast speech has some 6 a second."""
    return math.ceil(TOKENS_PER_SECOND * seconds) + TOKENS_BESIDE


def transcribe(
    model: SpeechModel,
    clips: Sequence[Clip],
    mode: Mode,
    rates: Rates | None = None,
    *,
    beams: int = 1,
    gated: bool = True,
) -> list[Transcript]:
    """What ``model`` understands of each clip, at ``rates`` (default: its finest).

    The same clip gives the same text: whatever the language model's own settings say, nothing is drawn.
    With ``gated`` a clip in which nobody speaks (see ``gate``) has no text.
    """
    spoken = [clip for clip in clips if not gated or somebody_speaks(clip, available_mode(clip, mode))]
    written = iter(_write(model, spoken, mode, rates or model.config.finest, beams)) if spoken else iter(())
    heard = {id(clip) for clip in spoken}
    return [next(written) if id(clip) in heard else Transcript("", speech=False) for clip in clips]


@torch.no_grad()
def _write(
    model: SpeechModel, clips: Sequence[Clip], mode: Mode, rates: Rates, beams: int
) -> list[Transcript]:
    read = model.read(clips, mode, rates)
    lengths = [len(row) for row in read]
    rows = pad_sequence([row.flip(0) for row in read], batch_first=True).flip(1)  # padded at their left
    place = torch.arange(rows.shape[1])
    real = place >= (rows.shape[1] - torch.tensor(lengths))[:, None]
    limits = [most_tokens(clip.seconds) for clip in clips]
    settings = GenerationConfig(
        do_sample=False,
        num_beams=beams,
        max_new_tokens=max(limits),
        eos_token_id=model.end,
        pad_token_id=model.end,
        return_dict_in_generate=True,
        output_scores=True,
    )
    with play(model.bank, model.gates), _alone(model.llm, settings):
        out = model.llm.generate(inputs_embeds=rows, attention_mask=real.to(rows.device, torch.long))
    logs = model.llm.compute_transition_scores(
        out.sequences, out.scores, getattr(out, "beam_indices", None), normalize_logits=beams == 1
    )
    return [
        _transcript(model.tokenizer, ids, its.tolist(), model.end, limit)
        for ids, its, limit in zip(out.sequences.tolist(), logs, limits, strict=True)
    ]


@contextmanager
def _alone(llm: PreTrainedModel, settings: GenerationConfig) -> Iterator[None]:
    """Generation by ``settings`` alone: what they do not say would else come from the model's own, which may
    ask for sampling."""
    own, llm.generation_config = llm.generation_config, settings
    try:
        yield
    finally:
        llm.generation_config = own


def _transcript(
    tokenizer: PreTrainedTokenizerBase, ids: list[int], logs: Sequence[float], end: int, limit: int
) -> Transcript:
    length = ids.index(end) if end in ids else len(ids)
    kept = ids[: min(length, limit)]
    words: list[str] = []
    sums: list[float] = []
    for count in range(1, len(kept) + 1):
        words = tokenizer.decode(kept[:count], skip_special_tokens=True).split()
        sums += [0.0] * (len(words) - len(sums))
        if words:
            sums[len(words) - 1] += logs[count - 1]
    said = tuple(Word(word, math.exp(total)) for word, total in zip(words, sums, strict=False))
    return Transcript(" ".join(words), said, whole=end in ids and length <= limit)
