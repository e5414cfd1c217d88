"""The Hub: search, look and fetch."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from msgspec.structs import replace

from engine.commands import account
from engine.commands.found import in_full, in_list, page_of, row_of
from engine.commands.session import session
from engine.commands.work import run_job
from engine.formats.adapter_folder import CONFIG
from engine.formats.errors import StudioError
from engine.formats.sizes import as_size
from engine.hub.address import parse_address
from engine.hub.listing import adapter_weights
from engine.messages import (
    AdapterCard,
    Body,
    Download,
    HubDetails,
    HubPage,
    HubVerdict,
    HubVerdicts,
    Job,
    JudgeHub,
    ListAdapters,
    ListJobs,
    ResumeJob,
    SearchHub,
    ShowHub,
)

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Find adapters on the Hub, fetch them, and publish your own.")

Repo = Annotated[str, typer.Argument(help="USER/MODEL, USER/MODEL@REVISION, or the address of a page.")]
Base = Annotated[str, typer.Option("--base", help="Judge for this base: one of the library, or user/model.")]
AsBase = Annotated[bool, typer.Option("--base-model", help="A base model, not an adapter.")]
Revision = Annotated[str, typer.Option("--revision", help="A branch, a tag or a commit.")]


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="Words, user/model, or the address of a page.")] = "",
    base: Base = "",
    task: Annotated[str, typer.Option(help="As the Hub calls it: text-generation ...")] = "",
    license: Annotated[str, typer.Option(help="As the Hub calls it: apache-2.0 ...")] = "",
    gated: Annotated[bool | None, typer.Option("--gated/--no-gated", help="Only or none of these.")] = None,
    sort: Annotated[
        Literal["trending", "downloads", "likes", "modified"],
        typer.Option("--sort", help="What comes first: the most of it, or the newest."),
    ] = "trending",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="So many at most.")] = 20,
    all: Annotated[bool, typer.Option("--all", help="What would be hidden too, with the reason.")] = False,
    base_model: AsBase = False,
) -> None:
    """Search adapters, and say of each whether it fits before anything is downloaded."""
    room: Literal["adapters", "bases"] = "bases" if base_model else "adapters"
    query = SearchHub(
        text=text,
        room=room,
        base=base,
        task=task,
        license=license,
        gated=gated,
        sort=sort,
        limit=limit,
        everything=all,
    )
    with session.hub_engine() as engine:
        page: HubPage = engine.call(query, session.show_progress)
        repos = [repo.repo for repo in page.repos]
        judged: dict[str, HubVerdict] = {}

        def show(body: Body) -> None:
            if isinstance(body, HubVerdict):
                judged[body.repo] = body
                session.progress(f"Looking into {len(judged)} of {len(repos)} ...")

        if repos:
            verdicts: HubVerdicts = engine.call(JudgeHub(repos=repos, base=base, room=room), show)
            judged |= {verdict.repo: verdict for verdict in verdicts.verdicts}
    rows = [row_of(repo, judged.get(repo.repo)) for repo in page.repos]
    values = {room: rows, "hidden": page.hidden, "next": page.next}
    session.result(values, in_list(rows, page, base_model))


@app.command()
def show(repo: Repo, revision: Revision = "main", base: Base = "", base_model: AsBase = False) -> None:
    """Everything about one repository, with its verdict. Whether it is an adapter, its files say."""
    request = ShowHub(repo=repo, revision=revision, base=base, room="bases" if base_model else "adapters")
    with session.hub_engine() as engine:
        seen: HubDetails = engine.call(request, session.show_progress)
        bases = base_model or (not base and _kind(seen) == "bases")
        if bases and not base_model:
            seen = engine.call(replace(request, room="bases"), session.show_progress)
    values = page_of(seen)
    session.result(values, in_full(values, bases))


@app.command()
def download(
    repo: Repo,
    revision: Revision = "main",
    name: Annotated[str | None, typer.Option("--name", help="What to call it in the library.")] = None,
    base_model: AsBase = False,
    anew: Annotated[bool, typer.Option("--replace", help="In place of what came from there.")] = False,
) -> None:
    """Fetch an adapter or a base model, verify it, and take it into the library.

    What it is, its files say. An interrupted download goes on where it ended.
    """
    address = parse_address(repo)
    if address and revision == "main":
        revision = address.revision
    with session.hub_engine() as engine:
        seen: HubDetails = engine.call(ShowHub(repo=repo, revision=revision), session.show_progress)
        room = "bases" if base_model else _room_of(seen)
        if room == "adapters" and not anew:
            _check_new(seen, engine.call(ListAdapters()).adapters)
    out = name or (seen.repo.have if anew and seen.repo.have else seen.repo.repo.rpartition("/")[2])
    job = _fetch(Download(repo=seen.repo.repo, out=out, room=room, revision=revision, replace=anew))
    result = {"name": job.name} | job.result | {"job": job.id}
    resumed = result.get("resumed_from") or 0
    before = f", {as_size(resumed)} were here already" if resumed else ""
    lines = [
        f"{result['name']} is in the library: {as_size(result.get('bytes', 0))} fetched{before}, verified, "
        f"at {result.get('revision', '')[:12]}.",
        *result.get("notes", []),
        result.get("path", ""),
    ]
    session.result(result, "\n".join(lines))


app.command("signin")(account.signin)
app.command("signout")(account.signout)
app.command("account")(account.account)
app.command("publish")(account.publish)


def _fetch(spec: Download) -> Job:
    """Download to the end. What was begun before, and was stopped or failed on the way, goes on."""
    with session.engine() as engine:
        jobs: list[Job] = engine.call(ListJobs()).jobs
        waiting = ("queued", "running", "paused", "held")
        begun = [job for job in jobs if job.spec == spec and (job.state in waiting or _has_some(job))]
        if begun and begun[-1].state not in ("queued", "running"):
            engine.call(ResumeJob(id=begun[-1].id))
    return run_job(spec, begun[-1].id if begun else "")


def _has_some(job: Job) -> bool:
    return job.state == "failed" and job.step > 0


def _check_new(seen: HubDetails, cards: list[AdapterCard]) -> None:
    """StudioError("usage") where this very commit is in the library, under whatever name."""
    repo, commit = seen.repo.repo, seen.commit
    for card in cards:
        if (card.repo, card.commit, card.source, card.missing) == (repo, commit, "hub", False):
            raise StudioError(
                "usage",
                f"{repo} is already here, as {card.name}, at this very commit ({commit[:12]}).",
                f"Use {card.name}, or rename it: adapter-studio adapters rename {card.name} NAME. To "
                f"fetch it anew: adapter-studio hub download {repo} --replace",
            )


def _kind(seen: HubDetails) -> Literal["adapters", "bases", ""]:
    """What a repository holds, by its files; "" for neither."""
    names = {file.name for file in seen.files}
    if CONFIG in names or (adapter_weights(names) and "config.json" not in names):
        return "adapters"
    return "bases" if "config.json" in names else ""


def _room_of(seen: HubDetails) -> Literal["adapters", "bases"]:
    if kind := _kind(seen):
        return kind
    raise StudioError(
        "adapter",
        f"{seen.repo.repo} holds neither an adapter nor a base model"
        + (f": {seen.repo.hidden}." if seen.repo.hidden else "."),
        f"Look at its files: adapter-studio hub show {seen.repo.repo}",
    )
