"""Mixes, several adapters under a trained router: train, look, see who speaks, remove and bring back."""

from __future__ import annotations

import typer

from engine.commands.jobs import train_mix
from engine.commands.play import route
from engine.commands.session import plain, session, table
from engine.messages import Done, ListMixes, MixCard, RemoveMix, RestoreMix

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Mixes: several adapters under a trained router.")
app.command("train")(train_mix)
app.command("route")(route)


@app.command("list")
def list_mixes() -> None:
    """What has been trained."""
    with session.engine() as engine:
        cards: list[MixCard] = engine.call(ListMixes()).mixes
    rows = [(card.name, card.base, f"{card.router_parameters:,}", _experts(card)) for card in cards]
    text = table(("name", "base", "router", "experts"), rows) or "There is no mix yet."
    session.result({"mixes": [plain(card) for card in cards]}, text)


def _experts(card: MixCard) -> str:
    return "files are missing" if card.missing else ", ".join(card.experts)


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
