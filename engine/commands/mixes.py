"""Mixes, several adapters under a trained router: what is there, who speaks, what comes and goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.commands import mix_results, mix_training
from engine.commands.play import route
from engine.commands.provenance import tell_provenance, tell_uses
from engine.commands.session import plain, session, table
from engine.messages import Done, DropExpert, ImportMix, ListMixes, MixCard, RemoveMix, Rename, RestoreMix

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Mixes: several adapters under a trained router.")
app.command("train")(mix_training.train)
app.command("extend")(mix_training.extend)
app.command("score")(mix_results.score)
app.command("export")(mix_results.export)
app.command("route")(route)


@app.command("import")
def import_mix(
    path: Annotated[Path, typer.Argument(help="A folder that `mix export` wrote, here or elsewhere.")],
    name: Annotated[
        str | None, typer.Option("--name", help="What to call it; default: the folder's name.")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="Its base, where that has another name here.")
    ] = None,
) -> None:
    """Copy a mix's folder into the library."""
    request = ImportMix(path=str(path.expanduser().absolute()), name=name, base=base)
    with session.engine() as engine:
        card: MixCard = engine.call(request)
    session.result(plain(card), f"{card.name} is in the library: {', '.join(card.experts)} on {card.base}.")


@app.command("list")
def list_mixes() -> None:
    """What has been trained."""
    with session.engine() as engine:
        cards: list[MixCard] = engine.call(ListMixes()).mixes
    rows = [
        (card.name, card.base, card.made, f"{card.router_parameters:,}", _experts(card)) for card in cards
    ]
    text = table(("name", "base", "made", "router", "experts"), rows) or "There is no mix yet."
    text = "\n".join([text, *(f"{card.name}: {card.warning}" for card in cards if card.warning)])
    session.result({"mixes": [plain(card) for card in cards]}, text)


def _experts(card: MixCard) -> str:
    return "files are missing" if card.missing else ", ".join(card.experts)


@app.command()
def drop(
    mix: str,
    expert: Annotated[str, typer.Option("--expert", help="Who leaves.")],
    out: Annotated[str, typer.Option("--out", help="What to call the new mix.")],
) -> None:
    """A new mix without one expert. Nothing is trained; the others share its part."""
    with session.engine() as engine:
        card: MixCard = engine.call(DropExpert(mix=mix, expert=expert, out=out), session.show_progress)
    session.result(plain(card), f"{card.name} is ready, with {', '.join(card.experts)}.")


@app.command()
def rename(name: str, to: str) -> None:
    """Give a mix another name."""
    with session.engine() as engine:
        engine.call(Rename(kind="mixes", name=name, to=to))
    session.result({"name": to, "before": name}, f"{name} is called {to} now.")


@app.command()
def uses(name: str) -> None:
    """What depends on a mix, and what would become of it."""
    tell_uses("mixes", name)


@app.command()
def provenance(name: str) -> None:
    """Where a mix comes from, and the command that makes it again."""
    tell_provenance("mixes", name)


@app.command()
def remove(name: str) -> None:
    """Move a mix to the trash of the studio's folder."""
    with session.engine() as engine:
        done: Done = engine.call(RemoveMix(name=name))
    session.result(
        {"name": name, "path": done.path}, f"{name} was removed; `mix restore {name}` brings it back."
    )


@app.command()
def restore(name: str) -> None:
    """Bring a removed mix back."""
    with session.engine() as engine:
        card: MixCard = engine.call(RestoreMix(name=name))
    session.result(plain(card), f"{card.name} is there again.")
