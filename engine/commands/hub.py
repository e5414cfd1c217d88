"""The Hub: search, look and fetch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from engine.commands import account
from engine.commands.session import plain, session, table
from engine.commands.work import run_job
from engine.formats.errors import StudioError
from engine.formats.sizes import as_size
from engine.hub.address import parse_address
from engine.messages import (
    Body,
    Download,
    HubDetails,
    HubPage,
    HubRepo,
    HubVerdict,
    HubVerdicts,
    Job,
    JudgeHub,
    ListJobs,
    ResumeJob,
    SearchHub,
    ShowHub,
)

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Find adapters on the Hub, fetch them, and publish your own.")

Base = Annotated[str, typer.Option("--base", help="A base of the library, or its repository: user/model.")]
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
        Literal["trending", "downloads", "likes", "modified"], typer.Option("--sort")
    ] = "trending",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 20,
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
    with session.engine() as engine:
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
    rows = [_row(repo, judged.get(repo.repo)) for repo in page.repos]
    session.result({room: rows, "hidden": page.hidden, "next": page.next}, _as_table(rows, page))


@app.command()
def show(repo: str, revision: Revision = "main", base: Base = "", base_model: AsBase = False) -> None:
    """Everything about one repository, with its verdict."""
    request = ShowHub(repo=repo, revision=revision, base=base, room="bases" if base_model else "adapters")
    with session.engine() as engine:
        seen: HubDetails = engine.call(request, session.show_progress)
    values = _row(seen.repo, seen.verdict) | {"revision": seen.commit, "security": seen.security}
    values |= {"files": [plain(file) for file in seen.files], "address": seen.address}
    values |= {"revisions": [plain(one) for one in seen.revisions], "card": seen.card}
    session.result(values, _in_full(values))


@app.command()
def download(
    repo: str,
    revision: Revision = "main",
    name: Annotated[str | None, typer.Option("--name", help="What to call it in the library.")] = None,
    base_model: AsBase = False,
    replace: Annotated[bool, typer.Option("--replace", help="In place of what came from there.")] = False,
) -> None:
    """Fetch an adapter or a base model, verify it, and take it into the library.

    What it is, its files say. An interrupted download goes on where it ended.
    """
    address = parse_address(repo)
    if address and revision == "main":
        revision = address.revision
    with session.engine() as engine:
        seen: HubDetails = engine.call(ShowHub(repo=repo, revision=revision), session.show_progress)
    room = "bases" if base_model else _room_of(seen)
    out = name or (seen.repo.have if replace and seen.repo.have else seen.repo.repo.rpartition("/")[2])
    job = _fetch(Download(repo=seen.repo.repo, out=out, room=room, revision=revision, replace=replace))
    result = {"name": job.name} | job.result | {"job": job.id}
    resumed = result.get("resumed_from") or 0
    before = f", {as_size(resumed)} of it from an earlier try" if resumed else ""
    session.result(
        result,
        f"{result['name']} is in the library: {as_size(result.get('bytes', 0))} fetched{before}, verified, "
        f"at {result.get('revision', '')[:12]}.\n{result.get('path', '')}",
    )


app.command("signin")(account.signin)
app.command("signout")(account.signout)
app.command("account")(account.account)
app.command("publish")(account.publish)


def _row(repo: HubRepo, verdict: HubVerdict | None) -> dict[str, Any]:
    """What the contract promises of each repository, and what else a list says."""
    return plain(repo) | {
        "base": (verdict and verdict.base) or repo.base,
        "rank": (verdict and verdict.rank) or repo.rank,
        "size": (verdict and verdict.size) or repo.size,
        "verdict": verdict.fit.verdict if verdict else None,
        "reason": verdict.fit.reason if verdict else repo.hidden,
    }


def _as_table(rows: list[dict[str, Any]], page: HubPage) -> str:
    shown = [
        (
            row["repo"],
            row["base"],
            str(row["rank"] or ""),
            _size(row["size"]),
            f"{row['downloads']:,}",
            row["license"] + (" gated" if row["gated"] else ""),
            row["verdict"] or "hidden",
            row["reason"] if not row["hidden"] else f"{row['hidden']}. {row['reason']}",
        )
        for row in rows
    ]
    head = ("repository", "base", "rank", "size", "downloads", "licence", "", "")
    text = table(head, shown) or "Nothing was found."
    if page.hidden:
        text += f"\n{page.hidden} hidden, as they cannot be used here; --all shows them with the reason."
    if page.next:
        text += "\nThere is more: raise --limit, or search for words."
    return text


def _in_full(values: dict[str, Any]) -> str:
    lines = [
        values["repo"] + (f"  ({values['have']} in the library)" if values["have"] else ""),
        f"{values['verdict']}: {values['reason']}" if values["verdict"] else "",
        f"For {values['base'] or 'a base that it does not name'}, licence {values['license'] or 'unknown'}, "
        f"{values['downloads']:,} downloads, {values['likes']:,} likes.",
        f"Gated: ask for access at {values['address']}." if values["gated"] else "",
        values["security"],
        values["address"],
        "",
        table(
            ("file", "size", ""),
            [(file["name"], _size(file["size"]), file["note"]) for file in values["files"]],
        ),
        "",
        table(("revision", "commit"), [(one["name"], one["commit"]) for one in values["revisions"]]),
    ]
    return "\n".join(line for line in lines if line)


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


def _room_of(seen: HubDetails) -> Literal["adapters", "bases"]:
    names = {file.name for file in seen.files}
    if "adapter_config.json" in names:
        return "adapters"
    if "config.json" in names:
        return "bases"
    raise StudioError(
        "adapter",
        f"{seen.repo.repo} holds neither an adapter nor a base model"
        + (f": {seen.repo.hidden}." if seen.repo.hidden else "."),
        f"Look at its files: adapter-studio hub show {seen.repo.repo}",
    )


def _size(count: int | None) -> str:
    return as_size(count) if count else ""
