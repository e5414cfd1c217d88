"""Answers, token by token: generators, so that answers and training can take turns on one model."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from engine.formats.errors import StudioError
from engine.lora import Tape
from engine.messages import Compare, Compared, Generate, Generated, Routing, RowDone, Token
from engine.runtime.base import Base
from engine.runtime.slides import Sliding
from engine.runtime.voices import Playing, Voice, together
from engine.training.text import encode_prompt

__all__ = ["answer", "compare", "record", "token_texts"]


def answer(
    base: Base, voice: Voice, request: Generate, sliding: Sliding | None = None
) -> Generator[Routing | Token, None, Generated]:
    """Answer ``request``; yields a Token after each forward pass and returns the whole.

    Where a rank has been slid since the last pass the answer begins anew: nothing of another rank is left in
    its cache, its chance or its text, so that it is what would have been said at that rank from the start.

    Where gates are recorded, the Routing of the prompt comes before the first Token. They are those of the
    pass that wrote the token; for the tokens of the prompt, of the pass that read it. The cache belongs to
    this answer alone.
    """
    sliding = sliding or Sliding(voice, request.generation)
    while True:
        sliding.obey()
        row = _Row(0, voice, request.record, base, request, sliding.generation)
        for said in _speak(base, [row], voice.playing):
            if not isinstance(said, RowDone):
                yield said
            if sliding.waiting:
                break
        else:
            return row.answer()


def compare(
    base: Base, voices: Sequence[Voice], request: Compare
) -> Generator[Routing | Token | RowDone, None, Compared]:
    """Answer the prompt of ``request`` with each of ``voices``, as rows of one batch; see ``answer``.

    Every row is the answer that its voice gives alone: its gates, its part of the cache, its chance. A row
    that has ended is said to be so at once, and waits for the others.
    """
    rows = [
        _Row(number, voice, ask.record, base, request)
        for number, (voice, ask) in enumerate(zip(voices, request.voices, strict=True))
    ]
    yield from _speak(base, rows, together(voices))
    return Compared(answers=[row.answer(recorded=False) for row in rows])


def _speak(
    base: Base, rows: Sequence[_Row], playing: Playing
) -> Generator[Routing | Token | RowDone, None, None]:
    """Let all rows read the prompt and write on until the last one has ended."""
    prompt = rows[0].prompt
    cache = base.new_cache()
    ids = torch.tensor([prompt] * len(rows), device=base.device)
    while any(row.open for row in rows):
        turn = time.perf_counter()
        with torch.no_grad(), playing():
            logits = base.read(ids, cache)
        seconds = time.perf_counter() - turn
        for row, its in zip(rows, logits, strict=True):
            if row.open:
                yield from row.hear(its, seconds)
        ids = torch.tensor([[row.last] for row in rows], device=base.device)


class _Row:
    """One answer as it grows: its voice, its chance, its text and what is recorded of it."""

    def __init__(
        self,
        number: int,
        voice: Voice,
        recorded: bool,
        base: Base,
        request: Generate | Compare,
        generation: int = 0,
    ) -> None:
        self.prompt = encode_prompt(base.tokenizer, request.prompt)
        self.last = 0
        self._number = number
        self._generation = generation
        self._base = base
        self._voice = voice
        self._limit = min(request.max_new_tokens, _room(base, len(self.prompt)))
        self.open = self._limit > 0
        self._choose = _chooser(request.temperature, request.seed)
        self._text = _Text(base.tokenizer)
        self._tape = record(voice) if recorded else None
        self._began = time.perf_counter()
        self._first = 0.0
        self._passes: list[float] = []
        self._ended = False

    def hear(self, logits: Tensor, seconds: float) -> Iterator[Routing | Token | RowDone]:
        """What the logits [vocabulary] of a pass, which took so long, make this row say."""
        self.last = self._choose(logits)
        self._passes.append(seconds)
        self._first = self._first or time.perf_counter() - self._began
        self._ended = self.last in self._base.ends
        if self._tape and len(self._tape.gates) == 1:
            yield self._routing(self._tape, [])
        if not self._ended:
            gates = self._tape.gates[-1][0, -1].tolist() if self._tape else None
            index = len(self._text.ids)
            yield self._token(index, self._text.add(self.last), gates)
        self.open = not self._ended and len(self._text.ids) < self._limit
        if not self.open:
            if rest := self._text.flush():
                yield self._token(len(self._text.ids) - 1, rest)
            yield RowDone(row=self._number, answer=self.answer())

    def _token(self, index: int, text: str, gates: list[list[float]] | None = None) -> Token:
        return Token(index=index, text=text, gates=gates, row=self._number, generation=self._generation)

    def answer(self, recorded: bool = True) -> Generated:
        """All that has been said, with what was ``recorded`` of it."""
        return Generated(
            text=self._text.whole,
            tokens=len(self._text.ids),
            tokens_per_second=_speed(self._passes),
            first_token_seconds=self._first,
            prompt_tokens=len(self.prompt),
            stopped="end" if self._ended else "length",
            routing=self._routing(self._tape, self._text.ids) if self._tape and recorded else None,
            notes=self._voice.notes,
            generation=self._generation,
        )

    def _routing(self, tape: Tape, ids: list[int]) -> Routing:
        # The pass that read the prompt's end wrote the first token, so that row stands for both.
        passes = torch.cat([gates[0] for gates in tape.gates])
        rows = torch.cat([passes[: len(self.prompt)], passes[len(self.prompt) - 1 :][: len(ids)]])
        return Routing(
            tokens=token_texts(self._base.tokenizer, self.prompt + ids),
            modules=tape.modules,
            experts=list(self._voice.experts),
            gates=rows.tolist(),
            row=self._number,
            generation=self._generation,
        )


def _speed(passes: Sequence[float]) -> float:
    """Tokens a second, from the seconds of each pass. The pass that read the prompt counts only alone."""
    writing = passes[1:] or passes
    return len(writing) / sum(writing) if writing else 0.0


def record(voice: Voice) -> Tape | None:
    """A recording of the voice's router from now on; None when it has none."""
    if voice.gates is None or voice.gates.router is None:
        return None
    voice.gates.tape = Tape()
    return voice.gates.tape


def token_texts(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    """What each token adds to the text, special tokens included; "" for all but the last part of a
    character."""
    text = _Text(tokenizer, special=True)
    pieces = [text.add(token) for token in ids]
    pieces[-1] += text.flush()
    return pieces


def _room(base: Base, prompt: int) -> int:
    """Tokens that still fit into the base's window after the prompt."""
    window = getattr(base.model.config, "max_position_embeddings", None)
    if window is None:
        return sys.maxsize
    if prompt >= window:
        raise StudioError(
            "usage", f"The prompt has {prompt} tokens; {base.name} reads {window} at most.", "Shorten it."
        )
    return int(window) - prompt


def _chooser(temperature: float, seed: int) -> Callable[[Tensor], int]:
    """From logits [vocabulary] to the next token: the likeliest at temperature 0, else drawn."""
    if not 0 <= temperature < math.inf:
        raise StudioError(
            "usage", "The temperature must be a number of 0 or more.", "0 always takes the likeliest."
        )
    if temperature == 0:
        return lambda logits: int(logits.argmax())
    generator = torch.Generator().manual_seed(seed)

    def draw(logits: Tensor) -> int:
        chances = (logits.float().cpu() / temperature).softmax(-1)
        return int(torch.multinomial(chances, 1, generator=generator))

    return draw


class _Text:
    """Tokens as text in pieces that never end inside a character and add up to the whole."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, special: bool = False) -> None:
        self._tokenizer = tokenizer
        self._special = special
        self.ids: list[int] = []
        self.whole = ""
        # Decoding starts a little earlier than what is still unsaid, since some tokenizers join neighbours.
        self._from = self._said = 0

    def add(self, token: int) -> str:
        self.ids.append(token)
        return (
            "" if self._decode(self.ids[self._from :]).endswith("\N{REPLACEMENT CHARACTER}") else self.flush()
        )

    def flush(self) -> str:
        """What is still unsaid, a broken character included."""
        before = self._decode(self.ids[self._from : self._said])
        piece = self._decode(self.ids[self._from :])[len(before) :]
        self._from, self._said = self._said, len(self.ids)
        self.whole += piece
        return piece

    def _decode(self, ids: list[int]) -> str:
        text = self._tokenizer.decode(
            ids, skip_special_tokens=not self._special, clean_up_tokenization_spaces=False
        )
        assert isinstance(text, str)
        return text
