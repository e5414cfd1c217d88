"""The arms of a comparison: every honest way of using a mix's experts, made ready to speak one at a time."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from engine.formats.dataset import Row
from engine.formats.errors import StudioError
from engine.lora import Bank, Gates
from engine.messages import Arm, Mixing, ScoreMix
from engine.mixer import Router
from engine.mixer.baselines import LearnedWeights, RowsTask, classifier, matched_size, xlora
from engine.mixer.prototypes import prototypes
from engine.runtime.base import Base
from engine.runtime.scoring import Speaker
from engine.runtime.voices import mixed
from engine.training import LoraTask, Settings, StepDone, Task, train
from engine.training.play import play
from engine.training.text import encode

__all__ = ["EPOCHS", "LEARNING", "Bench", "Entry", "Ready", "entries"]

LEARNING: tuple[Arm, ...] = ("learned", "xlora", "lora")
"""Arms that need rows to learn from."""

EPOCHS = 3
"""Passes over the training rows unless told otherwise, as a router makes by default."""

GATES_RATE, LORA_RATE = 1e-2, 3e-3
"""Learning rates: of gates as for a router, of a LoRA as for any other."""


@dataclass(frozen=True)
class Entry:
    """One line of the table: an arm, or one expert of the arm "experts"."""

    arm: Arm
    name: str
    label: str
    expert: str = ""


@dataclass(frozen=True)
class Ready:
    """An arm that can speak: learned from ``trained`` rows, ``parameters`` numbers of its own."""

    speaker: Speaker
    trained: int = 0
    parameters: int = 0


def entries(arms: Sequence[Arm], top_k: int, experts: Sequence[str], ranks: Mapping[str, int]) -> list[Entry]:
    """The lines of ``arms``, in their order, each once; ``ranks`` of experts that are cut."""
    labels: dict[Arm, str] = {
        "base": "base alone",
        "oracle": "oracle: best expert of each set",
        "uniform": "plain sum of the experts",
        "learned": "learned static weights (CAT)",
        "arrow": f"Arrow, top {min(top_k, len(experts))}",
        "xlora": "X-LoRA of PEFT",
        "lora": "one LoRA of the same size",
        "soft": "the mix, soft",
        "topk": f"the mix, top {top_k}",
        "hard": "the mix, hard",
    }
    lines = []
    for arm in dict.fromkeys(arms):
        if arm == "experts":
            said = {name: f" at rank {rank}" for name, rank in ranks.items()}
            lines += [
                Entry(arm, f"expert:{name}", f"{name}{said.get(name, '')} alone", name) for name in experts
            ]
        else:
            lines.append(Entry(arm, arm, labels[arm]))
    return lines


@dataclass
class Bench:
    """What all arms share: the base, the experts in a silent bank, and the rows to learn from.

    ``router`` is the mix's own, trained on ``examples`` rows. Every arm that learns makes ``steps`` steps.
    """

    base: Base
    bank: Bank
    spec: ScoreMix
    rows: Sequence[Row] = field(default=(), repr=False)
    router: Router | None = None
    examples: int = 0
    steps: int | None = None

    def ready(
        self, entry: Entry, stack: ExitStack, say: Callable[[int, int], None]
    ) -> Generator[None, None, Ready]:
        """Make ``entry`` ready, training it first where it learns; yields after every step. ``stack`` takes
        it down again. StudioError where it cannot be had, with the reason."""
        if entry.arm in LEARNING and not self.rows:
            raise StudioError(
                "missing", "It learns from rows, and none were given.", "Choose a training set."
            )
        if entry.arm == "base":
            return Ready(Speaker(self.base.model))
        if entry.arm == "learned":
            return (yield from self._learned(say))
        if entry.arm == "xlora":
            return (yield from self._xlora(stack, say))
        if entry.arm == "lora":
            return (yield from self._lora(stack, say))
        if entry.arm == "arrow":
            return Ready(self._speaker(self._arrow()))
        if entry.arm in ("experts", "uniform"):
            weights = {entry.expert: 1.0} if entry.expert else dict.fromkeys(self.bank.experts, 1.0)
            return Ready(self._speaker(self.bank.new_gates(weights)))
        assert self.router is not None and entry.arm in ("soft", "topk", "hard")
        voice = mixed(self.bank, self.router, (), Mixing(mode=entry.arm, top_k=self.spec.top_k))
        return Ready(Speaker(self.base.model, voice.playing), self.examples, self.router.size)

    def _speaker(self, gates: Gates) -> Speaker:
        return Speaker(self.base.model, partial(play, self.bank, gates))

    def _arrow(self) -> Gates:
        router = prototypes(self.bank)
        top = min(self.spec.top_k, len(self.bank.experts))
        return self.bank.new_gates(dict.fromkeys(self.bank.experts, 1.0), router=router.play("topk", top))

    def _learned(self, say: Callable[[int, int], None]) -> Generator[None, None, Ready]:
        weights = LearnedWeights(self.bank.layout(), self.bank.experts).to(self.base.device)
        gates = self.bank.new_gates(dict.fromkeys(self.bank.experts, 1.0), router=weights)
        speaker = self._speaker(gates)
        yield from self._learn(self._task(speaker, weights.named()), GATES_RATE, say)
        return self._trained(speaker, weights.named())

    def _xlora(self, stack: ExitStack, say: Callable[[int, int], None]) -> Generator[None, None, Ready]:
        stack.callback(_release)
        adapters = {name: self.bank.read(name) for name in self.bank.experts}
        model = xlora(self.base.model, adapters, self.spec.seed)
        speaker, learned = Speaker(model, cached=False), classifier(model)
        yield from self._learn(self._task(speaker, learned), GATES_RATE, say)
        return self._trained(speaker, learned)

    def _lora(self, stack: ExitStack, say: Callable[[int, int], None]) -> Generator[None, None, Ready]:
        rank, alpha = matched_size(self.bank)
        task = LoraTask(
            self.base.model,
            self.base.tokenizer,
            self.rows,
            rank=rank,
            alpha=alpha,
            targets=self.bank.modules,
            batch_size=self.spec.batch_size,
            max_length=self.spec.max_length,
            seed=self.spec.seed,
        )
        stack.callback(task.close)
        yield from self._learn(task, LORA_RATE, say)
        speaker = Speaker(self.base.model, partial(play, task.bank, task.gates))
        return self._trained(speaker, task.parameters())

    def _task(self, speaker: Speaker, parameters: dict[str, Tensor]) -> RowsTask:
        def forward(ids: Tensor) -> Tensor:
            with speaker.playing():
                logits: Tensor = speaker.model(input_ids=ids, use_cache=False).logits
            return logits

        examples = encode(self.base.tokenizer, self.rows, self.spec.max_length)
        return RowsTask(forward, parameters, examples, batch_size=self.spec.batch_size)

    def _learn(self, task: Task, rate: float, say: Callable[[int, int], None]) -> Iterator[None]:
        steps = self.steps or EPOCHS * -(-len(self.rows) // self.spec.batch_size)
        for event in train(task, Settings(steps=steps, learning_rate=rate, seed=self.spec.seed)):
            if isinstance(event, StepDone):
                say(event.step, steps)
            yield

    def _trained(self, speaker: Speaker, learned: dict[str, Tensor]) -> Ready:
        return Ready(speaker, len(self.rows), sum(tensor.numel() for tensor in learned.values()))


def _release() -> None:
    """PEFT's model is a ring of references: without this its memory would stay for a while."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
