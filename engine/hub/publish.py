"""An adapter put on the Hub: its repository made where there is none, and everything in one commit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import huggingface_hub as hf
from huggingface_hub import constants

from engine.formats.adapter_file import CONFIG, GATE, STUDIO, WEIGHTS
from engine.formats.errors import StudioError
from engine.hub.address import is_repo
from engine.hub.client import page_of
from engine.hub.errors import asking, explain
from engine.hub.session import api_with
from engine.hub.text import clean

__all__ = ["publish"]

README = "README.md"


def publish(
    folder: Path,
    repo: str,
    *,
    card: str,
    base: str,
    private: bool,
    owner: tuple[str, str],
    token: str,
    say: Callable[[str], None],
) -> str:
    """Put the adapter in ``folder`` on the Hub as ``repo``, with ``card`` as its README; returns the address
    of its page. ``base`` is the name of its base that others know. ``owner`` is (name, scope) of ``token``.

    StudioError: "sign-in" where the token or the account may not, "usage" for a name that cannot be, or a
    repository that is there and public when it should be private.
    """
    name, scope = owner
    if not is_repo(repo):
        raise StudioError("usage", f"“{clean(repo, 80)}” cannot be a repository's name.", "Use USER/NAME.")
    if scope == "read":
        raise StudioError(
            "sign-in",
            "The token that is kept may only read, and publishing writes.",
            f"Make one with write scope at {constants.ENDPOINT}/settings/tokens and sign in with it.",
        )
    repo = repo if "/" in repo else f"{name}/{repo}"
    api = api_with(token)
    operations = [
        hf.CommitOperationAdd(path_in_repo=file, path_or_fileobj=content)
        for file, content in _contents(folder, card, base).items()
    ]
    with asking(repo):
        _make(api, repo, name, private, say)
        say(f"Sending {len(operations)} files to {repo}.")
        _commit(api, repo, name, operations, f"Publish {folder.name} with Adapter Studio")
    return page_of(repo)


def _make(api: hf.HfApi, repo: str, name: str, private: bool, say: Callable[[str], None]) -> None:
    try:
        there = api.model_info(repo)
    except hf.errors.RepositoryNotFoundError:
        say(f"Making the {'private' if private else 'public'} repository {repo}.")
        try:
            api.create_repo(repo, private=private)
        except hf.errors.HfHubHTTPError as error:
            raise _not_yours(repo, name, error) from error
        return
    if private and not there.private:
        raise StudioError(
            "usage",
            f"{repo} is there already, and everybody can see it.",
            "Publish it as public, or choose another name.",
        )
    say(f"{repo} is there already: this becomes its newest commit.")


def _commit(
    api: hf.HfApi, repo: str, name: str, operations: list[hf.CommitOperationAdd], message: str
) -> None:
    try:
        api.create_commit(repo, operations, commit_message=message)
    except hf.errors.HfHubHTTPError as error:
        raise _not_yours(repo, name, error) from error
    except RuntimeError as error:  # how the client wraps what goes wrong with a large file
        cause = error.__cause__
        raise explain(cause if isinstance(cause, Exception) else error, repo) from error
    except ValueError as error:  # what the client says of a README whose head the Hub does not take
        raise StudioError(
            "usage",
            "The Hub does not take the head of this model card.",
            "Mend the lines between the two --- at its beginning.",
            clean(str(error), 1000),
        ) from error


def _not_yours(repo: str, name: str, error: hf.errors.HfHubHTTPError) -> Exception:
    """What a refusal means for whoever wants to publish; ``error`` itself where it is none."""
    if error.response.status_code == 409:
        return StudioError("usage", f"{repo} is taken.", "Choose another name.")
    if error.response.status_code not in (401, 403):
        return error
    owner, _, model = repo.partition("/")
    if owner == name:
        return StudioError(
            "sign-in",
            f"The token that is kept may not write to {repo}.",
            f"Make one with write scope at {constants.ENDPOINT}/settings/tokens and sign in with it.",
            clean(error.server_message, 300),
        )
    return StudioError(
        "sign-in",
        f"{repo} belongs to {owner}, where {name} may not write.",
        f"Publish it as {name}/{model}, or ask {owner} for the right to.",
        clean(error.server_message, 300),
    )


def _contents(folder: Path, card: str, base: str) -> dict[str, Path | bytes]:
    """{name on the Hub: file or bytes}; the config names the base as others know it, not by a folder here."""
    config = json.loads((folder / CONFIG).read_bytes())
    if base:
        config["base_model_name_or_path"] = base
    files: dict[str, Path | bytes] = {
        CONFIG: (json.dumps(config, indent=2) + "\n").encode(),
        WEIGHTS: folder / WEIGHTS,
    }
    files |= {name: folder / name for name in (STUDIO, GATE) if (folder / name).is_file()}
    return files | {README: card.encode()}
