"""Which projections share a gate: none, those that read one input, or all of a layer."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from engine.formats.errors import StudioError
from engine.messages import RouterShare

__all__ = ["serves"]


def serves(
    modules: Collection[str], groups: Sequence[Sequence[str]], share: RouterShare
) -> list[tuple[str, ...]]:
    """The projections among ``modules`` that each gate weighs; it reads the input of the first.

    ``groups`` are the projections that read one input, in order of call. StudioError("usage") when they are
    not those of ``modules``, or where a layer has no input of its own.
    """
    if share == "projection":
        return [(path,) for path in modules]
    if not all(groups) or sorted(path for group in groups for path in group) != sorted(modules):
        raise StudioError(
            "usage",
            "A router that shares gates needs to know which projections read one input.",
            "Give it groups=bank.groups().",
        )
    if share == "group":
        return [tuple(group) for group in groups]
    layers: dict[str, tuple[str, ...]] = {}
    for group in groups:
        names = {_layer(path) for path in group}
        if len(names) > 1:
            raise StudioError(
                "usage",
                f"{group[0]} and projections of other layers read one input, so layers have no gate of "
                "their own in this base.",
                "Train the router with a gate per group or per projection.",
            )
        name = names.pop()
        layers[name] = (*layers.get(name, ()), *group)
    return list(layers.values())


def _layer(path: str) -> str:
    """The path down to its first number; all of it where there is none."""
    parts = path.split(".")
    number = next((place for place, part in enumerate(parts) if part.isdecimal()), len(parts))
    return ".".join(parts[: number + 1])
