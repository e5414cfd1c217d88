"""A pickle's table of tensors, read without unpickling: a small machine that plays its opcodes with symbols.

Nothing is imported and nothing is called. What a pickle of plain tensors needs is on a list; one that
asks for anything else is refused, and the refusal says what it wanted to call.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine.formats.errors import AdapterError

__all__ = ["ALLOWED", "MAX_PICKLE", "Machine", "Name", "Storage", "Tensor", "play", "read_name", "step"]

MAX_PICKLE = 4 << 20
MAX_OPCODES = 300_000
_HINT = "Do not use it; ask its author for a safetensors file."

# torch's storages by class: how safetensors calls their number format.
_STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL",
}  # fmt: skip
_ORDERED = ("collections", "OrderedDict")
_TENSOR = ("torch._utils", "_rebuild_tensor_v2")
_PARAMETER = ("torch._utils", "_rebuild_parameter")
ALLOWED = {_ORDERED, _TENSOR, _PARAMETER} | {("torch", name) for name in _STORAGES}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {
    "INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "FLOAT", "BINFLOAT",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING",
}  # fmt: skip
_NOTHING = {"PROTO", "FRAME"}
_MARK = object()


@dataclass(frozen=True)
class Storage:
    """A run of numbers that the file keeps under ``key``: ``size`` of them, in the format ``dtype``."""

    dtype: str
    key: str
    size: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage; ``start`` and ``strides`` count numbers. Not yet checked against the file."""

    storage: Storage
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Name:
    """What a pickle names to be imported; nobody imports it."""

    module: str
    name: str

    @property
    def pair(self) -> tuple[str, str]:
        return self.module, self.name


@dataclass
class Machine:
    """What a pickle has put down so far, and the ``storages`` that it has named, by key."""

    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    storages: dict[str, Storage] = field(default_factory=dict)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value belongs")
        return value

    def since_mark(self) -> list[Any]:
        place = next(i for i in range(len(self.stack) - 1, -1, -1) if self.stack[i] is _MARK)
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def tuple_of(self, count: int) -> None:
        values = tuple(self.pop() for _ in range(count))
        self.stack.append(values[::-1])


def play(
    file: io.BytesIO,
    do: Callable[[Machine, str, Any], None] | None = None,
    storages: dict[str, Storage] | None = None,
) -> Any:
    """What the pickle at the file's place would be: numbers, texts, lists, dicts, and ``Tensor``s.

    Leaves the file behind the pickle. AdapterError: damaged; code "refused": it asks for more than tensors.
    ``do`` plays an opcode (default: ``step``); ``storages`` gathers all that are named.
    """
    do = do or step
    machine = Machine(storages={} if storages is None else storages)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count > MAX_OPCODES:
                raise AdapterError("Its pickle is longer than that of any adapter.", _HINT, code="refused")
            if opcode.name == "STOP":
                return machine.pop()
            do(machine, opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, StopIteration, RuntimeError) as error:
        raise _damaged(f"{type(error).__name__}: {error}") from error
    raise _damaged("it does not end")


def step(machine: Machine, name: str, argument: Any) -> None:
    """Play one opcode. AdapterError("refused") for one that no plain table of tensors has."""
    stack = machine.stack
    if name in _LITERALS:
        stack.append(argument)
    elif name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
        machine.memo[argument] = stack[-1]
    elif name == "MEMOIZE":
        machine.memo[len(machine.memo)] = stack[-1]
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(machine.memo[argument])
    elif name in ("GLOBAL", "STACK_GLOBAL"):
        stack.append(_named(machine, name, argument))
    elif name == "REDUCE":
        arguments, called = machine.pop(), machine.pop()
        stack.append(_call(called, arguments))
    elif name == "BINPERSID":
        storage = _storage(machine.pop())
        stack.append(machine.storages.setdefault(storage.key, storage))
    elif name == "BUILD":  # the attributes of a state dict: versions of its modules
        machine.pop()
        if type(stack[-1]) is not dict:
            raise _refused(f"the setting of an object's state ({_say(stack[-1])})")
    elif name not in _NOTHING:
        _shape(machine, name)


def _shape(machine: Machine, name: str) -> None:
    """The opcodes that make and fill tuples, lists and dicts."""
    stack = machine.stack
    if name == "MARK":
        stack.append(_MARK)
    elif name in ("EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
        machine.tuple_of(0 if name == "EMPTY_TUPLE" else int(name[-1]))
    elif name == "TUPLE":
        stack.append(tuple(machine.since_mark()))
    elif name == "EMPTY_LIST":
        stack.append([])
    elif name == "LIST":
        stack.append(machine.since_mark())
    elif name in ("EMPTY_DICT", "DICT"):
        stack.append(_filled({}, machine.since_mark() if name == "DICT" else []))
    elif name in ("SETITEM", "SETITEMS"):
        items = [machine.pop(), machine.pop()][::-1] if name == "SETITEM" else machine.since_mark()
        _filled(stack[-1], items)
    elif name in ("APPEND", "APPENDS"):
        items = [machine.pop()] if name == "APPEND" else machine.since_mark()
        if type(stack[-1]) is not list:
            raise ValueError("appends to what is no list")
        stack[-1].extend(items)
    elif name == "POP":
        stack.pop()
    else:
        raise _refused(f"the operation {name}")


def _filled(target: Any, items: list[Any]) -> dict[Any, Any]:
    if type(target) is not dict or len(items) % 2:
        raise ValueError("items for what is no dict")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) not in (str, int):
            raise ValueError("a key that is no name")
        if key in target:
            raise ValueError(f"{key!r:.99} occurs twice")
        target[key] = value
    return target


def read_name(machine: Machine, opcode: str, argument: Any) -> Name:
    """What GLOBAL or STACK_GLOBAL names."""
    if opcode == "GLOBAL":
        module, _, name = argument.partition(" ")
    else:
        name, module = machine.pop(), machine.pop()
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError("a name that is no text")
    return Name(module, name)


def _named(machine: Machine, opcode: str, argument: Any) -> Name:
    found = read_name(machine, opcode, argument)
    if found.pair not in ALLOWED:
        raise _refused(f"{found.module[:80]}.{found.name[:80]}")
    return found


def _call(called: Any, arguments: Any) -> Any:
    if not isinstance(called, Name) or not isinstance(arguments, tuple):
        raise _refused(_say(called))
    if called.pair == _ORDERED and arguments in ((), ([],)):
        return {}
    if called.pair == _PARAMETER and arguments and isinstance(arguments[0], Tensor):
        return arguments[0]
    if called.pair == _TENSOR and len(arguments) in (6, 7):
        storage, start, shape, strides = arguments[:4]
        if isinstance(storage, Storage) and _natural(start) and _naturals(shape) and _naturals(strides):
            return Tensor(storage, start, shape, strides)
    raise ValueError(f"{called.name} of impossible arguments")


def _storage(reference: Any) -> Storage:
    """("storage", class, key, device, size), and of the older format a view, which must be none."""
    match reference:
        case ("storage", Name() as kind, str(key), str(), size, *view) if view in ([], [None]):
            if (
                kind.name in _STORAGES
                and _natural(size)
                and key.isascii()
                and key.isdigit()
                and len(key) < 24
            ):
                return Storage(_STORAGES[kind.name], key, size)
    raise ValueError(f"an impossible storage: {_say(reference)}")


def _natural(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _naturals(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) <= 8 and all(map(_natural, value))


def _say(value: Any) -> str:
    """A symbol in a few words; never its contents, which may hold themselves."""
    if isinstance(value, Name):
        return f"{value.module}.{value.name}"[:160]
    return repr(value)[:80] if isinstance(value, str | int | float | None) else type(value).__name__


def _refused(wanted: str) -> AdapterError:
    return AdapterError(
        f"Its weights are a Python pickle that wants to run code when it is opened: {wanted}.",
        _HINT,
        code="refused",
    )


def _damaged(why: str) -> AdapterError:
    return AdapterError("Its pickle is damaged.", "Download it again.", why)
