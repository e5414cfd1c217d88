"""Writing down what is said: greedy or by beams, never drawn by chance, no longer than speech can be."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import GenerationConfig

from engine.speech.clip import Clip, Mode, available_mode
from engine.speech.config import Rates
from engine.speech.gate import somebody_speaks, speech_span
from engine.speech.model import Read, SpeechModel
from engine.speech.timing import GRID, attention_kept, spread, token_times
from engine.training.play import play

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "TOKENS_BESIDE",
    "Transcript",
    "Word",
    "alone",
    "most_tokens",
    "spelled",
    "transcribe",
    "unlooped",
    "with_times",
]

TOKENS_PER_SECOND, TOKENS_BESIDE = 6, 8
SQUEEZED = 2.4
"""By how much a text can be compressed that repeats itself (arXiv 2212.04356, 4.5)."""
OFTEN = 4
"""How often in a row nobody says the same, where the text does not repeat itself to its end."""


@dataclass(frozen=True)
class Word:
    """``confidence`` is the model's probability of the word, given all before it; ``start`` and ``end`` in
    seconds of the clip, where times were asked for."""

    text: str
    confidence: float
    start: float = 0.0
    end: float = 0.0


@dataclass(frozen=True)
class Transcript:
    """``whole`` is false where the text was cut because it grew longer than speech can be; ``speech`` where
    nobody spoke, so that no words were asked for. ``read``: of how many vectors it was written."""

    text: str
    words: tuple[Word, ...] = ()
    whole: bool = True
    speech: bool = True
    read: int = 0


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
    timed: bool = False,
) -> list[Transcript]:
    """What ``model`` understands of each clip, at ``rates`` (default: its finest).

    The same clip gives the same text: whatever the language model's own settings say, nothing is drawn.
    With ``gated`` a clip in which nobody speaks (see ``gate``) has no text; with ``timed`` words have times.
    """
    spoken = [clip for clip in clips if not gated or somebody_speaks(clip, available_mode(clip, mode))]
    rates = rates or model.config.finest
    written = iter(_write(model, spoken, mode, rates, beams, timed)) if spoken else iter(())
    heard = {id(clip) for clip in spoken}
    return [next(written) if id(clip) in heard else Transcript("", speech=False) for clip in clips]


@torch.no_grad()
def _write(
    model: SpeechModel, clips: Sequence[Clip], mode: Mode, rates: Rates, beams: int, timed: bool
) -> list[Transcript]:
    read = model.perceive(clips, mode, rates)
    lengths = [len(one.vectors) for one in read]
    rows = pad_sequence([one.vectors.flip(0) for one in read], batch_first=True).flip(
        1
    )  # padded at their left
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
    with play(model.bank, model.gates), alone(model.llm, settings):
        out = model.llm.generate(inputs_embeds=rows, attention_mask=real.to(rows.device, torch.long))
    logs = model.llm.compute_transition_scores(
        out.sequences, out.scores, getattr(out, "beam_indices", None), normalize_logits=beams == 1
    )
    found = []
    for clip, one, ids, its, limit in zip(clips, read, out.sequences.tolist(), logs, limits, strict=True):
        length = ids.index(model.end) if model.end in ids else len(ids)
        kept = ids[: min(length, limit)]
        words, owners = spelled(model.tokenizer, kept, its.tolist())
        whole = model.end in ids and length <= limit
        words, looped = unlooped(words, whole)
        if looped:
            whole = False
            kept = [token for token, owner in zip(kept, owners, strict=True) if owner < len(words)]
        if timed and words:
            words = with_times(words, owners, _times(model, clip, one, kept, rates))
        found.append(Transcript(" ".join(word.text for word in words), words, whole, read=len(one.vectors)))
    return found


def _times(
    model: SpeechModel, clip: Clip, read: Read, ids: list[int], rates: Rates
) -> list[tuple[float, float]]:
    """(start, end) of each of ``ids``, from what the language model attends to while it writes it."""
    steps = max(1, round(clip.seconds * GRID))
    covered = [
        spread(len(places), encoder.rate / rate, steps)
        for places, encoder, rate in (
            (read.heard, model.ear, rates.audio),
            (read.seen, model.eye, rates.video),
        )
        if places and encoder
    ]
    rows = slice(len(read.vectors) - 1, None)
    vectors = torch.cat([read.vectors, model.embed(ids)])
    with (
        attention_kept(model.llm, ("attn", "attention"), rows, [*read.heard, *read.seen]) as kept,
        play(model.bank, model.gates),
    ):
        model.llm(inputs_embeds=vectors[None])
    sounding = clip.sound if read.heard else None
    first, last = (round(time * GRID) for time in speech_span(sounding, clip.seconds))
    attended = torch.cat(kept) if kept else torch.empty(0, len(ids) + 1, len(read.heard) + len(read.seen))
    spoken = sounding is not None
    return token_times(attended @ torch.cat(covered), first, max(first + 1, last), to_the_last=spoken)


@contextmanager
def alone(llm: PreTrainedModel, settings: GenerationConfig) -> Iterator[None]:
    """Generation by ``settings`` alone: what they do not say would else come from the model's own, which may
    ask for sampling."""
    own, llm.generation_config = llm.generation_config, settings
    try:
        yield
    finally:
        llm.generation_config = own


def spelled(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], logs: Sequence[float]
) -> tuple[tuple[Word, ...], list[int]]:
    """``ids`` as words with the probabilities that ``logs`` say, and for each token which word it is of."""
    words: list[str] = []
    sums: list[float] = []
    owners: list[int] = []
    for count in range(1, len(ids) + 1):
        words = tokenizer.decode(ids[:count], skip_special_tokens=True).split()
        sums += [0.0] * (len(words) - len(sums))
        owners.append(max(0, len(words) - 1))
        if words:
            sums[len(words) - 1] += logs[count - 1]
    return tuple(Word(word, math.exp(total)) for word, total in zip(words, sums, strict=False)), owners


def with_times(
    words: Sequence[Word], owners: Sequence[int], times: Sequence[tuple[float, float]]
) -> tuple[Word, ...]:
    """``words`` from where the first token of each begins to where its last one ends."""
    found = list(words)
    for number, word in enumerate(words):
        its = [time for time, owner in zip(times, owners, strict=False) if owner == number]
        if its:
            found[number] = replace(word, start=its[0][0], end=its[-1][1])
    return tuple(found)


def unlooped(words: tuple[Word, ...], whole: bool) -> tuple[tuple[Word, ...], bool]:
    """``words`` up to where they only repeat themselves, and whether they do. A text that came to its end,
    ``whole``, may say a few words several times: it must be squeezed far to be taken for a loop."""
    said = [word.text for word in words]
    text = " ".join(said).encode()
    if whole and len(text) <= SQUEEZED * len(zlib.compress(text)):
        return words, False
    for start in range(len(said)):
        rest = said[start:]
        for length in range(1, len(rest) // 2 + 1):
            pairs = zip(rest, itertools.cycle(rest[:length]), strict=False)
            alike = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
            if alike == len(rest) or alike >= OFTEN * length:
                return words[: start + length], True
    return words, whole
