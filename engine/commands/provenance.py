"""Where things of the library come from and what depends on them, told for every kind alike."""

from __future__ import annotations

from engine.commands.session import plain, session
from engine.messages import FindUses, LibraryKind, Provenance, ReadProvenance, Uses

__all__ = ["tell_provenance", "tell_uses"]


def tell_uses(kind: LibraryKind, name: str) -> None:
    """What depends on something, and what would become of it."""
    with session.engine() as engine:
        seen: Uses = engine.call(FindUses(kind=kind, name=name))
    session.result({"name": name} | plain(seen), seen.sentence)


def tell_provenance(kind: LibraryKind, name: str) -> None:
    """Everything that is known about where something comes from."""
    with session.engine() as engine:
        seen: Provenance = engine.call(ReadProvenance(kind=kind, name=name))
    width = max((len(what) for what, _ in seen.facts), default=0)
    lines = [f"{what.ljust(width)}  {value}" for what, value in seen.facts]
    lines += [f"{digest}  {file}" for file, digest in seen.files.items()]
    lines += [f"Again: {seen.command}"] if seen.command else []
    session.result(plain(seen), "\n".join(lines))
