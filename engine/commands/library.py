"""Adapters and base models: list, look into, bring in, check, remove, take elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.commands.session import plain, session, table
from engine.messages import (
    AdapterCard,
    AddBase,
    BaseCard,
    Bases,
    Done,
    ExportAdapter,
    ImportAdapter,
    InspectAdapter,
    Inspection,
    ListAdapters,
    ListBases,
    RemoveAdapter,
    RestoreAdapter,
    Verified,
    VerifyAdapters,
)

__all__ = ["adapters", "bases"]

adapters = typer.Typer(no_args_is_help=True, help="The adapters in the library.")
bases = typer.Typer(no_args_is_help=True, help="Base models.")

Name = Annotated[str | None, typer.Option("--name", help="What to call it; default: the folder's name.")]


@adapters.command("list")
def list_adapters() -> None:
    """What is in the library."""
    with session.engine() as engine:
        cards: list[AdapterCard] = engine.call(ListAdapters()).adapters
    rows = [
        (card.name, card.base, card.kind, str(card.rank), f"{card.bytes / 1000:,.0f} kB", _state(card))
        for card in cards
    ]
    text = table(("name", "base", "kind", "rank", "size", ""), rows) or "The library is empty."
    session.result({"adapters": [plain(card) for card in cards]}, text)


def _state(card: AdapterCard) -> str:
    return "files are missing" if card.missing else card.description


@adapters.command()
def inspect(path: Path) -> None:
    """What a folder holds, without loading it."""
    with session.engine() as engine:
        seen: Inspection = engine.call(InspectAdapter(path=str(path.absolute())))
    text = f"{seen.verdict}: {seen.reason}"
    if seen.verdict == "ok":
        text += (
            f"\nFor {seen.base or 'a base it does not name'}; {seen.tensors} tensors, {seen.bytes:,} bytes."
        )
    session.result(plain(seen), text)


@adapters.command("import")
def import_adapter(path: Path, name: Name = None) -> None:
    """Copy a PEFT folder into the library."""
    with session.engine() as engine:
        card: AdapterCard = engine.call(ImportAdapter(path=str(path.absolute()), name=name))
    base = card.base or "an unnamed base"
    session.result(plain(card), f"{card.name} is in the library (rank {card.rank}, for {base}).")


@adapters.command()
def verify(name: Annotated[str | None, typer.Argument()] = None) -> None:
    """Check files against the hashes taken when they came in."""
    with session.engine() as engine:
        seen: Verified = engine.call(VerifyAdapters(name=name))
    rows = [(one.name, "ok" if one.ok else "CHANGED", one.detail) for one in seen.adapters]
    session.result({"adapters": [plain(one) for one in seen.adapters]}, table(("name", "", ""), rows))
    if not all(one.ok for one in seen.adapters):
        raise typer.Exit(1)


@adapters.command()
def remove(name: str) -> None:
    """Move an adapter to the trash of the studio's folder."""
    with session.engine() as engine:
        done: Done = engine.call(RemoveAdapter(name=name))
    session.result(
        {"name": name, "path": done.path}, f"{name} was removed; `adapters restore {name}` brings it back."
    )


@adapters.command()
def restore(name: str) -> None:
    """Bring a removed adapter back."""
    with session.engine() as engine:
        card: AdapterCard = engine.call(RestoreAdapter(name=name))
    session.result(plain(card), f"{card.name} is in the library again.")


@adapters.command()
def export(
    name: str,
    folder: Path,
    rank: Annotated[int | None, typer.Option(help="Only the best columns, ordered by SVD.")] = None,
) -> None:
    """Write an adapter as an ordinary PEFT folder."""
    with session.engine() as engine:
        done: Done = engine.call(ExportAdapter(name=name, folder=str(folder.absolute()), rank=rank))
    session.result({"name": name, "path": done.path, "rank": rank}, f"Written to {done.path}.")


@bases.command("list")
def list_bases() -> None:
    """The base models that the studio knows."""
    with session.engine() as engine:
        found: Bases = engine.call(ListBases())
    rows = [(base.name, base.architecture, f"{base.parameters:,}", base.path) for base in found.bases]
    text = table(("name", "architecture", "parameters", "path"), rows) or "There is no base model yet."
    session.result({"bases": [plain(base) for base in found.bases]}, text)


@bases.command()
def add(path: str, name: Name = None) -> None:
    """Make a base model known. It stays where it is."""
    folder = Path(path).expanduser()
    with session.engine() as engine:
        card: BaseCard = engine.call(
            AddBase(path=str(folder.absolute()) if folder.exists() else path, name=name)
        )
    session.result(
        plain(card), f"{card.name} is known ({card.architecture}, {card.parameters:,} parameters)."
    )
