"""One answer, token by token: a generator, so that answers and training can take turns on one model."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Generator, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerBase

from engine.formats.errors import StudioError
from engine.lora import Tape
from engine.messages import Generate, Generated, Routing, Token
from engine.runtime.base import Base
from engine.runtime.voices import Voice
from engine.training.text import encode_prompt

__all__ = ["answer", "record", "token_texts"]


def answer(base: Base, voice: Voice, request: Generate) -> Generator[Routing | Token, None, Generated]:
    """Answer ``request``; yields a Token after each forward pass and returns the whole.

    Where gates are recorded, the Routing of the prompt comes before the first Token.

    Gates, where recorded, are those of the pass that wrote the token; for the tokens of the prompt, of the
    pass that read it. The cache belongs to this answer alone.
    """
    began = time.perf_counter()
    prompt = encode_prompt(base.tokenizer, request.prompt)
    limit = min(request.max_new_tokens, _room(base, len(prompt)))
    choose = _chooser(request.temperature, request.seed)
    text = _Text(base.tokenizer)
    tape = record(voice) if request.record else None
    cache = DynamicCache(config=base.model.config)
    ids = torch.tensor([prompt], device=base.device)
    first, passes, ended = 0.0, [], False
    while len(text.ids) < limit and not ended:
        turn = time.perf_counter()
        with torch.no_grad(), voice.playing():
            output = base.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        token = choose(output.logits[0, -1])
        passes.append(time.perf_counter() - turn)
        first = first or time.perf_counter() - began
        ended = token in base.ends
        if tape and len(tape.gates) == 1:
            yield _routing(base, voice, tape, prompt, [])
        if not ended:
            gates = tape.gates[-1][0, -1].tolist() if tape else None
            yield Token(index=len(text.ids), text=text.add(token), gates=gates)
            ids = torch.tensor([[token]], device=base.device)
    if rest := text.flush():
        yield Token(index=len(text.ids) - 1, text=rest)
    return Generated(
        text=text.whole,
        tokens=len(text.ids),
        tokens_per_second=_speed(passes),
        first_token_seconds=first,
        prompt_tokens=len(prompt),
        stopped="end" if ended else "length",
        routing=_routing(base, voice, tape, prompt, text.ids) if tape else None,
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


def _routing(base: Base, voice: Voice, tape: Tape, prompt: list[int], ids: list[int]) -> Routing:
    # The pass that read the prompt's end wrote the first token, so that row stands for both.
    passes = torch.cat([gates[0] for gates in tape.gates])
    rows = torch.cat([passes[: len(prompt)], passes[len(prompt) - 1 :][: len(ids)]])
    tokens = token_texts(base.tokenizer, prompt + ids)
    return Routing(tokens=tokens, modules=tape.modules, experts=list(voice.experts), gates=rows.tolist())


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
