"""What a person should know of experts on this base: who changes nothing (an error), and what is played
otherwise than the file says (a sentence)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from engine.formats.errors import AdapterError
from engine.lora.probe import Probe, outputs
from engine.lora.replaced import Replacement
from engine.lora.stack import Group, Site, Stack

if TYPE_CHECKING:
    from engine.lora.bank import Bank

__all__ = ["take_notes"]


def take_notes(
    bank: Bank, stack: Stack, replacements: Sequence[Replacement], found: Probe
) -> tuple[str, ...]:
    """The sentences about ``bank``. AdapterError for an expert that no answer depends on, unless it is to be
    trained. Whoever looks silent by the graph is played once, to be sure."""
    if not stack.trainable:
        for expert in bank.experts:
            if not _may_be_heard(expert, stack, replacements, found) and not _is_heard(bank, expert):
                raise _silent(expert, stack, found)
    return (*_unheard(stack, replacements, found), *_replacing(replacements), *_tied(bank.model, stack))


def _may_be_heard(expert: str, stack: Stack, replacements: Sequence[Replacement], found: Probe) -> bool:
    """Whether the expert changes a module that the output depends on, or that the probe could not see."""
    deaf = found.bypassed | found.ignored
    if any(item.owner == expert and item.path not in found.ignored for item in replacements):
        return True
    return any(
        _changes(group, site, expert)
        for group in stack.groups
        for site in group.sites
        if expert in site.cells and site.path not in deaf
    )


def _changes(group: Group, site: Site, expert: str) -> bool:
    cell = site.cells[expert]
    if cell.unit is not None:
        return True
    B = site.B[cell.start - site.first : cell.stop - site.first]
    return bool(B.any()) and bool(group.A[cell.start : cell.stop].any())


def _is_heard(bank: Bank, expert: str) -> bool:
    base = outputs(bank.model)
    bank.activate({expert: 1.0})
    try:
        played = outputs(bank.model)
    finally:
        bank.gates = None
    return not all(torch.equal(a, b) for a, b in zip(base, played, strict=True))


def _silent(expert: str, stack: Stack, found: Probe) -> AdapterError:
    paths = [site.path for site in stack.sites if expert in site.cells]
    bypassed = [path for path in paths if path in found.bypassed]
    if len(bypassed) == len(paths):
        return AdapterError(
            f"{expert} changes nothing: this base reads the weights of {_name(bypassed)} without a call.",
            "Train it on other projections; of a Mamba, in_proj, x_proj and out_proj are heard.",
        )
    if any(path in found.ignored for path in paths):
        return AdapterError(
            f"{expert} changes nothing: no answer of this base depends on {_name(paths)}.",
            "Choose the base that it was trained on.",
        )
    return AdapterError(
        f"{expert} changes nothing: its factors are zero, so it was never trained.", "Train it first."
    )


def _unheard(stack: Stack, replacements: Sequence[Replacement], found: Probe) -> list[str]:
    sites = [site.path for site in stack.sites]
    paths = sites + [item.path for item in replacements]
    notes = []
    if bypassed := [path for path in sites if path in found.bypassed]:
        notes.append(
            f"This base reads the weights of {_name(bypassed)} without calling them, so that nothing an "
            "adapter does there is heard (nor in PEFT)."
        )
    if ignored := [path for path in paths if path in found.ignored]:
        notes.append(
            f"No answer of this base depends on {_name(ignored)}: what an adapter does there is lost."
        )
    if unreached := [path for path in paths if path in found.unreached]:
        notes.append(
            f"Whether this base listens to {_name(unreached)} could not be seen: a first look at it did not "
            "get there."
        )
    return notes


def _replacing(replacements: Sequence[Replacement]) -> list[str]:
    owners: dict[str, list[str]] = {}
    for item in replacements:
        owners.setdefault(item.owner, []).extend(f"{item.path}.{name}" for name in item.own)
    return [
        f"{owner} replaces parts of the base ({_name(paths, 'tensor')}): they follow its fader, not a router."
        for owner, paths in owners.items()
    ]


def _tied(model: nn.Module, stack: Stack) -> list[str]:
    """Modules that share their weight with another one: PEFT adapts what it names alone, and so do we."""
    tables = [(p, m) for p, m in model.named_modules() if isinstance(m, (nn.Embedding, nn.Linear))]
    notes = []
    for site in stack.sites:
        own = site.module._parameters.get("weight")
        others = [path for path, m in tables if m is not site.module and m._parameters.get("weight") is own]
        if own is not None and others:
            notes.append(
                f"{site.path} shares its weight with {_name(others)}; as in PEFT, an adapter changes only "
                "the one that it names."
            )
    return notes


def _name(paths: Sequence[str], what: str = "module") -> str:
    """Paths for people: the first by name, the others by number."""
    more = len(paths) - 1
    return paths[0] + (f" and {more} more {what}{'s' * (more > 1)}" if more else "")
