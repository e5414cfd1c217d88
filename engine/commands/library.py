"""Adapters: list, look into, bring in, check, describe, rename, remove, take elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.commands import hub
from engine.commands.provenance import tell_provenance, tell_uses
from engine.commands.session import plain, session, table
from engine.commands.voices import Cut
from engine.formats.sizes import as_size
from engine.hub.address import parse_address
from engine.messages import (
    AdapterCard,
    Body,
    CheckRevisions,
    DescribeAdapter,
    Done,
    ExportAdapter,
    ImportAdapter,
    InspectAdapter,
    Inspection,
    ListAdapters,
    RemoveAdapter,
    Rename,
    RestoreAdapter,
    Said,
    Verified,
    VerifyAdapters,
)

__all__ = ["Name", "adapters"]

adapters = typer.Typer(no_args_is_help=True, help="The adapters in the library.")

Name = Annotated[str | None, typer.Option("--name", help="What to call it; default: its own name.")]
Tags = Annotated[list[str] | None, typer.Option(help="May be repeated.")]


@adapters.command("list")
def list_adapters() -> None:
    """What is in the library."""
    with session.engine() as engine:
        cards: list[AdapterCard] = engine.call(ListAdapters()).adapters
    rows = [
        (card.name, card.base, card.kind, str(card.rank), as_size(card.bytes), card.source, _about(card))
        for card in cards
    ]
    text = table(("name", "base", "kind", "rank", "size", "from", ""), rows) or "The library is empty."
    session.result({"adapters": [plain(card) for card in cards]}, text)


def _about(card: AdapterCard) -> str:
    if card.missing:
        return "files are missing"
    marks = ["★"] * card.favourite + [f"#{tag}" for tag in card.tags] + ["newer revision"] * bool(card.newer)
    return " ".join([*marks, card.note or card.description])


@adapters.command()
def inspect(path: Path) -> None:
    """What a folder or file holds, without loading it."""
    with session.engine() as engine:
        seen: Inspection = engine.call(InspectAdapter(path=str(path.absolute())))
    text = f"{seen.verdict}: {seen.reason}"
    if seen.verdict == "ok":
        text += (
            f"\nFor {seen.base or 'a base it does not name'}; {seen.tensors} tensors, {seen.bytes:,} bytes."
        )
    session.result(plain(seen), text)


@adapters.command("import")
def import_adapter(
    path: Annotated[str, typer.Argument(help="A folder, a file, or a repository of the Hub: user/model.")],
    name: Name = None,
) -> None:
    """Copy an adapter into the library; other formats than PEFT's are converted. One of the Hub is
    downloaded."""
    place = Path(path).expanduser()
    address = None if place.exists() else parse_address(path)
    if address:
        hub.download(address.repo, address.revision, name)
        return
    with session.engine() as engine:
        request = ImportAdapter(path=str(place.absolute()), name=name)
        card: AdapterCard = engine.call(request, _note)
    base = card.base or "an unnamed base"
    came = f", converted from {card.converted}" if card.converted else ""
    session.result(plain(card), f"{card.name} is in the library (rank {card.rank}, for {base}{came}).")


def _note(body: Body) -> None:
    if isinstance(body, Said):
        session.note(body.text)


@adapters.command()
def verify(name: Annotated[str | None, typer.Argument()] = None) -> None:
    """Check files against the hashes taken when they came in, and look for NaN and for no effect at all."""
    with session.engine() as engine:
        seen: Verified = engine.call(VerifyAdapters(name=name))
    rows = [(one.name, "ok" if one.ok else "NOT OK", one.detail) for one in seen.adapters]
    session.result({"adapters": [plain(one) for one in seen.adapters]}, table(("name", "", ""), rows))
    if not all(one.ok for one in seen.adapters):
        raise typer.Exit(1)


@adapters.command()
def describe(
    name: str,
    tag: Tags = None,
    untag: Tags = None,
    note: Annotated[str | None, typer.Option(help="In place of the one that it has.")] = None,
    favourite: Annotated[bool | None, typer.Option("--favourite/--no-favourite")] = None,
) -> None:
    """Say something about an adapter of your own: tags, a note, that it is a favourite."""
    with session.engine() as engine:
        known = {card.name: card for card in engine.call(ListAdapters()).adapters}
        has = known[name].tags if name in known else []
        tags = [one for one in [*has, *(tag or [])] if one not in (untag or [])]
        request = DescribeAdapter(
            name=name, favourite=favourite, note=note, tags=tags if tag or untag else None
        )
        card: AdapterCard = engine.call(request)
    session.result(plain(card), f"{card.name}: {_about(card)}")


@adapters.command()
def rename(name: str, to: str) -> None:
    """Give an adapter another name. Mixes and jobs that it is part of are not disturbed."""
    with session.engine() as engine:
        engine.call(Rename(kind="adapters", name=name, to=to))
    session.result({"name": to, "before": name}, f"{name} is called {to} now.")


@adapters.command()
def uses(name: str) -> None:
    """What depends on an adapter, and what would become of it."""
    tell_uses("adapters", name)


@adapters.command()
def provenance(name: str) -> None:
    """Where an adapter comes from, and the command that makes or fetches it again."""
    tell_provenance("adapters", name)


@adapters.command()
def updates(
    name: Annotated[list[str] | None, typer.Argument(help="Default: all from the Hub.")] = None,
) -> None:
    """Ask the Hub for newer revisions of what came from there."""
    with session.hub_engine() as engine:
        cards: list[AdapterCard] = engine.call(CheckRevisions(names=name or [])).adapters
    rows = [(card.name, card.repo, card.commit[:12], card.newer[:12] or "the newest") for card in cards]
    text = table(("name", "repository", "here", "there"), rows) or "Nothing here came from the Hub."
    if any(card.newer for card in cards):
        text += "\nFetch one with: adapter-studio hub download REPO --replace"
    session.result({"adapters": [plain(card) for card in cards]}, text)


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
    rank: Annotated[int | None, typer.Option(help="Only what it plays at this rank.")] = None,
    order: Cut = None,
) -> None:
    """Write an adapter as an ordinary PEFT folder."""
    request = ExportAdapter(name=name, folder=str(folder.absolute()), rank=rank, order=order)
    with session.engine() as engine:
        done: Done = engine.call(request)
    session.result({"name": name, "path": done.path, "rank": rank}, f"Written to {done.path}.")
