"""Base models: list, make known or fetch, rename, take off the list and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.commands import hub
from engine.commands.library import Name
from engine.commands.provenance import tell_provenance, tell_uses
from engine.commands.session import plain, session, table
from engine.hub.address import parse_address
from engine.messages import AddBase, BaseCard, Bases, Done, ListBases, RemoveBase, Rename, RestoreBase

__all__ = ["bases"]

bases = typer.Typer(no_args_is_help=True, help="Base models.")


@bases.command("list")
def list_bases() -> None:
    """The base models that the studio knows."""
    with session.engine() as engine:
        found: Bases = engine.call(ListBases())
    rows = [(base.name, base.architecture, f"{base.parameters:,}", _where(base)) for base in found.bases]
    text = table(("name", "architecture", "parameters", "path"), rows) or "There is no base model yet."
    session.result({"bases": [plain(base) for base in found.bases]}, text)


def _where(base: BaseCard) -> str:
    return f"files are missing: {base.path}" if base.missing else base.path


@bases.command()
def add(
    path: Annotated[str, typer.Argument(help="A folder, or a repository of the Hub: user/model.")],
    name: Name = None,
    revision: Annotated[str, typer.Option(help="Of a repository: a branch, a tag or a commit.")] = "main",
) -> None:
    """Make a base model known where it lies. One of the Hub is downloaded into the Hugging Face cache."""
    folder = Path(path).expanduser()
    address = None if folder.exists() else parse_address(path)
    if address:
        named = address.revision if revision == "main" else revision
        hub.download(address.repo, named, name, base_model=True)
        return
    with session.engine() as engine:
        request = AddBase(path=str(folder.absolute()) if folder.exists() else path, name=name)
        card: BaseCard = engine.call(request)
    session.result(
        plain(card), f"{card.name} is known ({card.architecture}, {card.parameters:,} parameters)."
    )


@bases.command()
def rename(name: str, to: str) -> None:
    """Give a base model another name. Adapters, mixes and jobs find it still."""
    with session.engine() as engine:
        engine.call(Rename(kind="bases", name=name, to=to))
    session.result({"name": to, "before": name}, f"{name} is called {to} now.")


@bases.command()
def uses(name: str) -> None:
    """What depends on a base model, and what would become of it."""
    tell_uses("bases", name)


@bases.command()
def provenance(name: str) -> None:
    """Where a base model comes from."""
    tell_provenance("bases", name)


@bases.command()
def remove(name: str) -> None:
    """Take a base model off the list. Its files stay where they lie."""
    with session.engine() as engine:
        done: Done = engine.call(RemoveBase(name=name))
    session.result(
        {"name": name, "path": done.path},
        f"{name} is off the list; `bases restore {name}` brings it back. Its files stay in {done.path}.",
    )


@bases.command()
def restore(name: str) -> None:
    """Put a base model on the list again."""
    with session.engine() as engine:
        card: BaseCard = engine.call(RestoreBase(name=name))
    session.result(plain(card), f"{card.name} is there again.")
