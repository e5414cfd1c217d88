"""Whether an adapter plays on a base, told from their configs and tables alone: green, amber or red, and why.

The rules are those of ``engine.lora.attach``: what is green attaches, what is red is refused, and of what is
amber something is not known yet, or is otherwise than meant. Numbers are not read, so an adapter that was
never trained, or holds NaN, is found out only when it is there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from engine.formats.adapter_config import AdapterConfig, NeedsConversionError
from engine.formats.adapter_tensors import Contents, Landing, sort_tensors
from engine.formats.base_shapes import BaseShapes
from engine.formats.errors import AdapterError
from engine.formats.places import Finder
from engine.formats.safetensors_file import TensorInfo
from engine.messages import Fit

__all__ = ["is_called", "judge", "judge_error", "judge_part"]


def judge(config: AdapterConfig, contents: Contents, base: BaseShapes | None) -> Fit:
    """Whether an adapter whose tensors are all known plays on ``base``; None: a base that is not known."""
    return _judge(config, contents, base, "")


def judge_part(
    config: AdapterConfig, seen: Mapping[str, TensorInfo], base: BaseShapes | None, share: float
) -> Fit:
    """The same where only the first part of the table could be read: ``share`` of its bytes."""
    whole = _whole_modules(config, seen)
    most = f"Only {share:.0%} of its long table of contents was read"
    if not whole:
        return Fit(verdict="amber", reason=f"{most}, and no whole module was among it.")
    plain = replace(config, saved=(), bias="none", tied=False)
    try:
        contents = sort_tensors(plain, whole)
    except AdapterError as error:
        return judge_error(error)
    return _judge(config, contents, base, most)


def judge_error(error: AdapterError) -> Fit:
    """The verdict on what is not taken: amber where it can be converted, else red; the reason is its own."""
    if isinstance(error, NeedsConversionError):
        step = error.hint[:1].lower() + error.hint[1:]
        return Fit(verdict="amber", reason=f"{error.message.rstrip('.')}: {step}")
    return Fit(verdict="red", reason=error.message)


def is_called(wish: str, names: Collection[str]) -> bool:
    """Whether ``wish`` (a repository, a path, a name) means the base that has these ``names``: one of them,
    or the last part of a name or repository. The last part of a path says little ("base", "model")."""
    last = PurePath(wish.replace("\\", "/")).name.casefold()
    mine = [name.casefold() for name in names]
    return wish.casefold() in mine or last in [
        PurePath(n).name for n in mine if not PurePath(n).is_absolute()
    ]


def _whole_modules(config: AdapterConfig, seen: Mapping[str, TensorInfo]) -> dict[str, TensorInfo]:
    """The tensors of those modules whose parts are all among ``seen``."""
    parts: dict[str, dict[str, TensorInfo]] = {}
    for name, info in seen.items():
        module, mark, part = name.rpartition(".lora_")
        if mark:
            parts.setdefault(module, {})[part] = info
    whole: dict[str, TensorInfo] = {}
    for found in parts.values():
        kinds = {part.removesuffix(".weight").removeprefix("embedding_") for part in found}
        missing = {"A", "B"} - kinds
        if config.dora and "magnitude_vector" not in kinds:
            missing.add("magnitude_vector")
        if config.lora_bias and "A.weight" in found and "B.bias" not in found:
            missing.add("B.bias")
        if not missing:
            whole |= {info.name: info for info in found.values()}
    return whole


@dataclass
class _Count:
    """What came of looking for each module: who landed, who has no place, whose shape nobody can see."""

    landed: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    packed: int = 0

    @property
    def total(self) -> int:
        return len(self.landed) + len(self.lost)


def _judge(config: AdapterConfig, contents: Contents, base: BaseShapes | None, partly: str) -> Fit:
    if base is None:
        why = (
            f"It was made for {config.base}, which is not in the library"
            if config.base
            else "It names no base"
        )
        step = "fetch that base first" if config.base else "choose one"
        return Fit(verdict="amber", reason=f"{why}, so no shape could be compared: {step}.")
    try:
        count = _count(config, contents, base)
    except AdapterError as error:
        return Fit(verdict="red", reason=error.message)
    name = base.names[0]
    if not count.landed:
        lost = _list(map(_say_place, count.lost))
        return Fit(verdict="red", reason=f"Nothing of it lands: {name} lacks {lost}.")
    if count.lost:
        return Fit(verdict="red", reason=_say_lost(count, name, partly))
    deaf = [path for path in count.landed if path.rpartition(".")[2] in base.unheard]
    if len(deaf) == len(count.landed) and not (contents.replaced or partly):
        return Fit(
            verdict="red",
            reason=f"Nothing of it would be heard: {name} reads {_say_place(deaf[0])} without calling it.",
        )
    doubt = _doubt(config, count, base, deaf, partly)
    if doubt:
        return Fit(verdict="amber", reason=doubt)
    return Fit(verdict="green", reason=f"{_say_all(count.total)} in {name}, each with the right shape.")


def _doubt(config: AdapterConfig, count: _Count, base: BaseShapes, deaf: Collection[str], partly: str) -> str:
    """The one sentence that keeps a verdict from being green; "" when there is none."""
    name = base.names[0]
    if deaf:
        return f"All of it lands, but {name} reads {_list(_last(deaf))} without calling it: that is lost."
    if count.packed:
        return f"{name} has all its parts, but is stored in a packed form that does not show their shapes."
    if partly:
        return f"{partly}; what was seen has its place in {name}."
    if config.base and not is_called(config.base, base.names):
        return f"It was made for {config.base}; every shape fits {name} all the same."
    return ""


def _say_lost(count: _Count, base: str, partly: str) -> str:
    parts = f"the {count.total:,} parts that were read" if partly else f"its {count.total:,} parts"
    lands, lacks = ("has" if len(places) == 1 else "have" for places in (count.landed, count.lost))
    return (
        f"{len(count.landed):,} of {parts} {lands} a place in {base}, but "
        f"{_list(map(_say_place, count.lost))} {lacks} none, so it is refused."
    )


def _count(config: AdapterConfig, contents: Contents, base: BaseShapes) -> _Count:
    """Look for every module and every replaced parameter. AdapterError at the first contradiction."""
    count = _Count()
    linears, tables = Finder(base.linears), Finder(base.tables)
    for landing in contents.landings:
        place = (tables if landing.embedding else linears)(landing.module)
        if place is None:
            count.lost.append(landing.module)
            continue
        if place in count.landed:
            raise AdapterError(f"It adapts {_say_place(place)} twice.")
        count.landed[place] = landing.module
        shape = (base.tables if landing.embedding else base.linears)[place]
        if shape is None:
            count.packed += 1
        else:
            _compare(landing, place, shape, base.names[0])
    _count_replaced(config, contents, base, count)
    return count


def _compare(landing: Landing, place: str, shape: tuple[int, ...], base: str) -> None:
    theirs = (landing.a.shape[1], landing.b.shape[0])
    for here, there, what in zip(theirs, shape, ("input", "output"), strict=True):
        if here == there:
            continue
        if landing.embedding and what == "input":
            raise _other_vocabulary(here, there, base)
        does = "reads" if what == "input" else "puts out"
        raise AdapterError(f"Its {_say_place(place)} {does} {here:,} numbers, that of {base} {there:,}.")


def _other_vocabulary(here: int, there: int, base: str) -> AdapterError:
    return AdapterError(f"It was trained with a vocabulary of {here:,} tokens; {base} has {there:,}.")


def _count_replaced(config: AdapterConfig, contents: Contents, base: BaseShapes, count: _Count) -> None:
    find, given = Finder(base.parameters), set()
    holders = {module for path in base.parameters for module in _around(path)}
    for path, info in contents.replaced.items():
        place = find(path)
        if place is None:
            count.lost.append(path)
            continue
        given.add(place)
        own = base.parameters[place]
        if own is not None and own != info.shape:
            if len(own) == len(info.shape) == 2 and own[1] == info.shape[1]:
                raise _other_vocabulary(info.shape[0], own[0], base.names[0])
            raise AdapterError(
                f"It replaces {_say_place(place)} with {_say_shape(info.shape)} numbers; "
                f"{base.names[0]} has {_say_shape(own)}."
            )
        if place.rpartition(".")[0] in holders:
            raise AdapterError(f"It replaces {_say_place(place)}, which belongs to no plain layer.")
        count.landed.setdefault(place, path)
    for path in base.parameters.keys() - given:
        module = path.rpartition(".")[0]
        if config.saved and module.endswith(config.saved) and any(p.startswith(f"{module}.") for p in given):
            raise AdapterError(f"It replaces {_say_place(module)}, but its file lacks {path}.")


def _around(parameter: str) -> Iterator[str]:
    """The modules that the module of ``parameter`` lies in."""
    module = parameter.rpartition(".")[0]
    while module := module.rpartition(".")[0]:
        yield module


def _say_place(path: str) -> str:
    """A path for people: "q_proj of layer 0"."""
    parts = path.removesuffix(".weight").split(".")
    number = next((part for part in parts if part.isdecimal()), parts[-1])
    return f"{parts[-1][:60]} of layer {number[:9]}" if number != parts[-1] else parts[-1][:60]


def _say_shape(shape: Iterable[int]) -> str:
    return " x ".join(f"{size:,}" for size in shape)


def _say_all(count: int) -> str:
    return "Its one part has its place" if count == 1 else f"All its {count:,} parts have their place"


def _last(paths: Iterable[str]) -> list[str]:
    return sorted({path.rpartition(".")[2] for path in paths})


def _list(names: Iterable[str]) -> str:
    """Up to two names, and how many more."""
    found = list(names)
    if len(found) <= 2:
        return " and ".join(found)
    return f"{found[0]}, {found[1]} and {len(found) - 2:,} more"
