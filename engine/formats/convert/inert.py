"""A training state's pickle: what is no tensor in it becomes a symbol that does nothing, so that its table of
tensors can be had. As in ``pickled``, nothing is imported and nothing is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.formats.convert.pickled import ALLOWED, Machine, Name, read_name, step

__all__ = ["Inert", "step_over"]

_BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_MADE = {"NEWOBJ": 2, "NEWOBJ_EX": 3}
_FILLS = {"SETITEM", "SETITEMS", "APPEND", "APPENDS", "ADDITEMS"}


@dataclass(frozen=True, eq=False)
class Inert:
    """Stands where opening the pickle as its makers meant would have made or called something."""


def step_over(machine: Machine, name: str, argument: Any) -> None:
    """``pickled.step``, but for what that refuses because it would import or call: an ``Inert`` then."""
    stack = machine.stack
    if name in _BYTES or name == "EMPTY_SET":
        stack.append(Inert())
    elif name in ("GLOBAL", "STACK_GLOBAL"):
        stack.append(read_name(machine, name, argument))
    elif name in _MADE:
        _replace(machine, _MADE[name])
    elif name == "REDUCE" and not _known(stack[-2]):
        _replace(machine, 2)
    elif name in ("INST", "OBJ", "FROZENSET"):
        machine.since_mark()
        stack.append(Inert())
    elif name == "BUILD":
        machine.pop()
    elif name in _FILLS:
        _fill(machine, name)
    else:
        step(machine, name, argument)


def _known(called: Any) -> bool:
    return isinstance(called, Name) and called.pair in ALLOWED


def _replace(machine: Machine, count: int) -> None:
    """One Inert for the last ``count`` values: what is called, and with what."""
    for _ in range(count):
        machine.pop()
    machine.stack.append(Inert())


def _fill(machine: Machine, name: str) -> None:
    """Put items where they belong, and drop those that belong to an Inert or have a key that is no name."""
    alone = {"SETITEM": 2, "APPEND": 1}.get(name)
    items = machine.since_mark() if alone is None else [machine.pop() for _ in range(alone)][::-1]
    target = machine.stack[-1]
    if isinstance(target, Inert):
        return
    if type(target) is list and name.startswith("APPEND"):
        target.extend(items)
    elif type(target) is dict and name.startswith("SETITEM") and len(items) % 2 == 0:
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) in (str, int):
                if key in target:
                    raise ValueError(f"{key!r:.99} occurs twice")
                target[key] = value
    else:
        raise ValueError("items for what takes none")
