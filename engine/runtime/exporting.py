"""Exporting a mix as plain LoRAs: weights averaged, folded, cut, distilled, and the error of it measured."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch

from engine.formats.adapter_config import MAX_RANK
from engine.formats.errors import AdapterError, StudioError
from engine.formats.files import atomic_folder
from engine.formats.mix_card import lora_readme
from engine.formats.mix_file import Mix
from engine.lora import Adapter, Bank, Gates, attach
from engine.lora.write import save_adapter
from engine.messages import ExportMix
from engine.mixer import load_mix
from engine.mixer.distill import Distillation
from engine.mixer.export import Difference, MeanWeights, cut, fold, is_static
from engine.runtime.base import Base
from engine.runtime.export_data import Part, read_parts
from engine.runtime.scoring import Speaker, measure
from engine.training import Checkpoints, Mailbox, Settings, StepDone, train
from engine.training.play import play
from engine.training.text import Batch, Example, collate

__all__ = ["export_mix"]

Say = Callable[[int, int, str], None]
Outcome = Literal["done", "paused", "cancelled"]
Gating = Literal["static", "mean", "domain"]
Playing = Mapping[str, Callable[[], AbstractContextManager[None]]]


class _Stopped(Exception):  # noqa: N818 - not an error
    """Somebody has said pause or cancel."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


def export_mix(
    base: Base, spec: ExportMix, paths: Mapping[str, str], folder: Path, mailbox: Mailbox, say: Say
) -> Generator[None, None, tuple[Outcome, dict[str, Any]]]:
    """Write the mix ``spec.mix`` to ``folder``/output as one plain PEFT LoRA, or as one per data set.

    ``paths``: "mix:NAME" and "data:SET". Yields after every forward pass or training step. The result says
    ``kind``, ``gates`` (static, mean or domain), ``rank``, and the measured ``error`` (with ``sets``, the
    same for each). A paused distillation goes on from its checkpoint in ``folder``. StudioError when the
    weights depend on the text and there is no data, AdapterError for experts that no LoRA can stand for.
    """
    bank, router, mix = load_mix(
        paths[f"mix:{spec.mix}"], base.model, dtype=base.model.dtype, ranks=spec.ranks
    )
    try:
        kind: Gating = "static" if is_static(router) else spec.gates
        parts = read_parts(base, spec, paths, kind == "static")
        gates = bank.new_gates(dict.fromkeys(mix.experts, 1.0), router=router)
        work = _Export(base, spec, mix, bank, gates, folder, mailbox, say)
        return "done", (yield from work.run(parts, kind))
    except _Stopped as stop:
        return stop.outcome, {}
    finally:
        bank.detach()


class _Export:
    """One run of an export; progress is counted in batches and steps."""

    def __init__(
        self,
        base: Base,
        spec: ExportMix,
        mix: Mix,
        bank: Bank,
        gates: Gates,
        folder: Path,
        mailbox: Mailbox,
        say: Say,
    ) -> None:
        self.base = base
        self.spec = spec
        self.mix = mix
        self.bank = bank
        self.gates = gates
        self.folder = folder
        self.mailbox = mailbox
        self.say = say
        self.done = self.total = self.distilled = 0

    def run(self, sets: Sequence[Part], kind: Gating) -> Generator[None, None, dict[str, Any]]:
        """Write ``output``, whole or not at all; the result of the job."""
        plan = {_folder(each.name): [each] for each in sets} if kind == "domain" else {"": list(sets)}
        self.total = sum(self._size(part) for part in plan.values())
        errors: dict[str, dict[str, Any]] = {}
        rank = 0
        with atomic_folder(self.folder / "output", replace=True, doing="exporting the mix") as output:
            for label, part in plan.items():
                lora, full = yield from self._made(label, part)
                error = yield from self._measured(lora, part)
                (output / label).mkdir(exist_ok=True)
                save_adapter(lora, output / label)
                made = msgspec.structs.replace(self.spec, distill_steps=self.distilled)
                card = lora_readme(self.mix, made, kind, lora.name, lora.rank, full, error)
                (output / label / "README.md").write_text(card, encoding="utf-8")
                errors |= error
                rank = max(rank, lora.rank)
        return {"kind": "lora", "gates": kind, "rank": rank, "error": _summary(errors)}

    def _size(self, sets: Sequence[Part]) -> int:
        """Turns that an export over ``sets`` takes."""
        size = self.spec.batch_size
        learn = math.ceil(sum(len(each.learn) for each in sets) / size)
        test = sum(math.ceil(len(each.test) / size) for each in sets)
        answers = sum(2 * math.ceil(len(each.answered) / size) for each in sets)
        return learn + self.spec.distill_steps + test + answers

    def _turn(self, message: str) -> Generator[None, None, None]:
        """One unit of work is done: say so, let others work, hear whether to stop."""
        self.done += 1
        self.say(self.done, self.total, message)
        yield
        if self.mailbox.action in ("pause", "cancel"):
            raise _Stopped("paused" if self.mailbox.action == "pause" else "cancelled")

    def _batches(self, examples: Sequence[Example]) -> Iterator[Batch]:
        for start in range(0, len(examples), self.spec.batch_size):
            yield collate(examples[start : start + self.spec.batch_size], self.base.device)

    def _made(self, label: str, sets: Sequence[Part]) -> Generator[None, None, tuple[Adapter, int]]:
        """The LoRA for ``sets``, and its rank before it was cut."""
        mean = MeanWeights(self.gates)
        learn = [example for each in sets for example in each.learn]
        for batch in self._batches(learn):
            mean.read(self.base.model, self.bank, batch)
            yield from self._turn("Averaging the weights.")
        name = f"{self.spec.mix}-{label}" if label else self.spec.mix
        lora = fold(self.bank, mean.weights(), name, self.base.name)
        full = lora.rank
        if self.spec.rank is not None and self.spec.rank < full:
            lora = cut(lora, self.spec.rank)
        if lora.rank > MAX_RANK:
            raise AdapterError(
                f"Together the experts have rank {full}; no adapter of more than {MAX_RANK} is read.",
                "Choose a smaller rank.",
            )
        if self.spec.distill_steps:
            lora = yield from self._distilled(label, lora, learn)
        return lora, full

    def _distilled(
        self, label: str, lora: Adapter, examples: Sequence[Example]
    ) -> Generator[None, None, Adapter]:
        spec = self.spec
        recipe = hashlib.sha256(msgspec.json.encode((spec, self.mix.sha256, label))).hexdigest()
        checkpoints = Checkpoints(self.folder / "distilling" / recipe[:16], job_hash=recipe)
        settings = Settings(spec.distill_steps, spec.learning_rate, seed=spec.seed)
        task = Distillation(self.base.model, self.bank, self.gates, lora, examples, spec.batch_size)
        try:
            newest = checkpoints.newest()
            self.distilled = newest.step if newest else 0
            self.done += self.distilled
            loop = train(task, settings, checkpoints, self.mailbox, newest.tensors if newest else None)
            while True:
                try:
                    event = next(loop)
                except StopIteration as end:
                    if end.value in ("paused", "cancelled"):
                        raise _Stopped(end.value) from None
                    return task.adapter()
                if isinstance(event, StepDone):
                    self.distilled = event.step
                    self.done += 1
                    self.say(self.done, self.total, "Distilling.")
                yield
        finally:
            task.close()

    def _measured(
        self, lora: Adapter, sets: Sequence[Part]
    ) -> Generator[None, None, dict[str, dict[str, Any]]]:
        """{set: how far ``lora`` is from the mix on its test rows}."""
        bank = attach(self.base.model, {lora.name: lora}, dtype=self.base.model.dtype)
        playing = {
            "mix": partial(play, self.bank, self.gates),
            "lora": partial(play, bank, bank.new_gates({lora.name: 1.0})),
        }
        try:
            errors = {}
            for each in sets:
                error = yield from self._compared(each.test, playing)
                answers = yield from self._answered(each.answered, playing)
                errors[each.name] = {"sha256": each.sha256, **error, **answers}
            return errors
        finally:
            bank.detach()

    def _compared(self, test: Sequence[Example], playing: Playing) -> Generator[None, None, dict[str, Any]]:
        difference = Difference()
        for batch in self._batches(test):
            logits = {}
            for voice, heard in playing.items():
                with torch.no_grad(), heard():
                    logits[voice] = self.base.model(input_ids=batch.ids, use_cache=False).logits[
                        batch.learned
                    ]
            difference.read(logits["mix"], logits["lora"])
            yield from self._turn("Measuring the error.")
        return {
            "kl": difference.kl,
            "logits": difference.logits,
            "rows": len(test),
            "tokens": difference.tokens,
        }

    def _answered(
        self, examples: Sequence[Example], playing: Playing
    ) -> Generator[None, None, dict[str, Any]]:
        """``exact_mix`` and ``exact_lora``: (share of right answers, low, high)."""
        found: dict[str, Any] = {}
        for voice, heard in playing.items() if examples else ():
            steps = measure(
                self.base, Speaker(self.base.model, heard), examples, "exact", self.spec.batch_size
            )
            while True:
                try:
                    batch_done = next(steps)
                except StopIteration as end:
                    found[f"exact_{voice}"] = (end.value.value, *end.value.interval("exact"))
                    break
                if batch_done:
                    yield from self._turn("Comparing answers.")
                else:
                    yield
        return found


def _folder(name: str) -> str:
    if Path(name).name != name or name.startswith("."):
        raise StudioError(
            "usage", f"{name[:80]} cannot be the name of a folder.", "Name the data set otherwise."
        )
    return name


def _summary(sets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The error over all sets: by token, and by set where it is answers. With ``sets``, each by itself."""
    tokens = sum(each["tokens"] for each in sets.values())
    whole: dict[str, Any] = {
        name: sum(each[name] * each["tokens"] for each in sets.values()) / tokens for name in ("kl", "logits")
    }
    for name in ("exact_mix", "exact_lora"):
        shares = [each[name][0] for each in sets.values() if name in each]
        if shares:
            whole[name] = sum(shares) / len(shares)
    return whole | {"rows": sum(each["rows"] for each in sets.values()), "tokens": tokens, "sets": dict(sets)}
