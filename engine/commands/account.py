"""Who one is on the Hub, and what one gives back to it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from engine.commands.session import plain, session
from engine.formats.errors import StudioError
from engine.messages import (
    Account,
    AskAccount,
    Body,
    Done,
    PublishAdapter,
    Said,
    SignIn,
    SignInCode,
    SignOut,
)

__all__ = ["account", "publish", "signin", "signout"]


def signin(
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read a token from standard input.")] = (
        False
    ),
) -> None:
    """Sign in by a code that is typed in a browser, or with a token from standard input."""
    token = ""
    if token_stdin:
        token = sys.stdin.readline().strip()
        if not token:
            raise StudioError(
                "usage", "There is no token on standard input.", "Pipe it in: ... | hub signin --token-stdin"
            )

    def tell(body: Body) -> None:
        match body:
            case SignInCode(code=code, address=address, seconds=seconds):
                session.note(f"Type the code {code} at {address} within {max(1, seconds // 60)} minutes.")
            case Said(text=text):
                session.note(text)

    with session.hub_engine() as engine:
        seen: Account = engine.call(SignIn(token=token), tell)
    _tell(seen)


def signout() -> None:
    """Forget the token that the studio keeps."""
    with session.hub_engine() as engine:
        seen: Account = engine.call(SignOut())
    _tell(seen)


def account() -> None:
    """Who is signed in, and whether the Hub can be reached."""
    with session.hub_engine() as engine:
        seen: Account = engine.call(AskAccount())
    _tell(seen)


def publish(
    name: Annotated[str, typer.Argument(help="An adapter of the library.")],
    repo: Annotated[str, typer.Argument(help="Where to: USER/NAME.")],
    public: Annotated[bool, typer.Option("--public", help="For everybody to see.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Only show the card; send nothing.")] = False,
) -> None:
    """Put an adapter on the Hub with a card made of what is known about it. Private unless --public."""
    said: list[str] = []

    def tell(body: Body) -> None:
        if isinstance(body, Said):
            said.append(body.text)
            if not preview:
                session.progress(body.text)

    with session.hub_engine() as engine:
        done: Done = engine.call(
            PublishAdapter(name=name, repo=repo, private=not public, preview=preview), tell
        )
    if preview:
        card = "\n".join(said)
        session.result({"name": name, "repo": repo, "card": card}, card)
        return
    who = "for everybody to see" if public else "private"
    session.result(
        {"name": name, "repo": repo, "private": not public, "address": done.path},
        f"{name} is on the Hub ({who}): {done.path}",
    )


def _tell(seen: Account) -> None:
    from engine.hub.token import FILE  # which loads the keyring's library

    file = session.home.root / FILE
    where = {
        "keyring": "; the token lies in the system's keyring",
        "file": f"; there is no keyring here, so the token lies in {file}, for you alone",
        "elsewhere": "; the token is that of `hf auth login` or of HF_TOKEN",
    }
    text = f"Signed in to {seen.endpoint} as {seen.name}{where.get(seen.kept, '')}." if seen.name else ""
    if not text and not seen.problem:
        text = f"Nobody is signed in; {seen.endpoint} answers."
    session.result(plain(seen), "\n".join(line for line in (text, seen.problem) if line))
