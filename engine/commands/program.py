"""From arguments to an exit status: global options anywhere, errors as a sentence and a next step."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer
import typer.main

from engine.commands import (
    bases,
    compare,
    demo,
    disk,
    engine,
    hub,
    jobs,
    library,
    mixes,
    play,
    ranks,
    speech,
    studio,
    train,
)
from engine.commands.session import session
from engine.formats.errors import StudioError
from engine.supervisor.home import find_home

__all__ = ["run"]

CANCELLED = 130
EXIT = {"usage": 2, "refused": 3, "cancelled": CANCELLED}

# typer uses its own copy of click or the installed one; either way this is the parser's error.
UsageError = cast(type[Exception], typer.BadParameter.__base__)

app = typer.Typer(
    name="adapter-studio",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A studio for LoRA adapters. Without a command it opens the window.",
)
app.command("demo")(demo.demo)
app.command("doctor")(studio.doctor)
app.command("generate")(play.generate)
app.command("score")(play.score)
app.command("compare")(compare.compare)
app.command("disk")(disk.disk)
app.add_typer(engine.app, name="engine")
app.add_typer(library.adapters, name="adapters")
app.add_typer(bases.bases, name="bases")
app.add_typer(train.app, name="train")
app.add_typer(mixes.app, name="mix")
app.add_typer(ranks.app, name="rank")
app.add_typer(speech.app, name="speech")
app.add_typer(jobs.app, name="jobs")
app.add_typer(hub.app, name="hub")
app.add_typer(disk.trash, name="trash")


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="The studio's folder (or ADAPTER_STUDIO_HOME).")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Both options are also understood after the command; ``run`` has already taken them out."""
    if context.invoked_subcommand is None:
        studio.window()


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 usage, 3 refused, 130 cancelled."""
    try:
        rest = _take_global_options(list(sys.argv[1:] if arguments is None else arguments))
        status: Any = typer.main.get_command(app).main(
            rest, prog_name="adapter-studio", standalone_mode=False
        )
        if status == CANCELLED:  # the parser's own way to say that a key was pressed
            raise KeyboardInterrupt
        return status if isinstance(status, int) else 0
    except StudioError as error:
        return _fail(error)
    except UsageError as error:
        help_wanted = type(error).__name__ == "NoArgsIsHelpError"
        said: str = cast(Any, error).format_message()
        if help_wanted and not session.json:
            print(said, file=sys.stderr)
        sentence = (
            "A command is missing." if help_wanted else said if said.endswith((".", "?")) else f"{said}."
        )
        return _fail(StudioError("usage", sentence, "See adapter-studio --help."))
    except (KeyboardInterrupt, typer.Abort):
        return _fail(StudioError("cancelled", "Cancelled.", "Run it again when you like."))
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        return 1


def _take_global_options(arguments: list[str]) -> list[str]:
    """Set ``session`` from --json and --home wherever they stand, and return the other arguments."""
    # Known first, so that a mistake in what follows is already told as JSON.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    session.json = "--json" in arguments[:end]
    home, rest = None, []
    while arguments:
        argument = arguments.pop(0)
        if argument == "--":
            rest += [argument, *arguments]
            break
        if argument == "--home":
            if not arguments or arguments[0].startswith("-"):
                raise StudioError("usage", "--home needs a folder.", "See adapter-studio --help.")
            home = arguments.pop(0)
        elif argument.startswith("--home="):
            home = argument.removeprefix("--home=")
        elif argument != "--json":
            rest.append(argument)
    session.home = find_home(home)
    return rest


def _fail(error: StudioError) -> int:
    session.end_progress()
    if session.json:
        session.put({"error": {"code": error.code, "message": error.message, "hint": error.hint}})
    else:
        print(error.message, file=sys.stderr)
        if error.hint:
            print(error.hint, file=sys.stderr)
    return EXIT.get(error.code, 1)
