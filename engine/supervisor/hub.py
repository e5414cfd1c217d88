"""What is asked of the Hub: searches, details, who is signed in, publishing; each answered from a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from msgspec.structs import replace

from engine import messages
from engine.formats.errors import StudioError
from engine.hub.address import is_repo, parse_address
from engine.hub.client import Hub
from engine.hub.token import Tokens, checked
from engine.messages import Body
from engine.supervisor.library import Library
from engine.supervisor.live import Say
from engine.supervisor.requests import Desk
from engine.supervisor.threads import in_thread

__all__ = ["HubDesk"]

SECONDS = 45.0
"""For a call that asks the Hub a few questions, the pauses that it may ask for included."""

UPLOAD = 6 * 3600.0


class HubDesk:
    """Answers the requests of ``requests.HUB``. ``judging`` gives the verdict that belongs to the details,
    ``librarian`` what is known of where an adapter comes from."""

    def __init__(self, library: Library, hub: Hub, tokens: Tokens, judging: Desk, librarian: Desk) -> None:
        self._library = library
        self._hub = hub
        self._tokens = tokens
        self._judging = judging
        self._librarian = librarian

    async def perform(self, body: Any, say: Say) -> Body:
        """The answer, ``say`` its progress. StudioError when it cannot be given."""
        match body:
            case messages.SearchHub():
                return await self._search(body)
            case messages.ShowHub():
                return await self._show(body)
            case messages.AskAccount():
                return await in_thread(self._account, SECONDS)
            case messages.SignIn(token=token):
                return await (self._keep(token, say) if token else self._by_code(say))
            case messages.SignOut():
                await in_thread(self._tokens.forget, SECONDS)
                return await in_thread(self._account, SECONDS)
            case messages.PublishAdapter():
                return await self._publish(body, say)
        raise StudioError("protocol", f"A client may not ask for {type(body).__name__}.")

    # --- looking around ---

    async def _search(self, body: messages.SearchHub) -> messages.HubPage:
        request = replace(body, base=self._repo_of(body.base))
        page = await in_thread(lambda: self._hub.search(request), SECONDS)
        here = self._here(body.room)
        return replace(page, repos=[replace(repo, have=here.get(repo.repo, "")) for repo in page.repos])

    async def _show(self, body: messages.ShowHub) -> messages.HubDetails:
        address = parse_address(body.repo)
        repo, revision = (address.repo, address.revision) if address else (body.repo, "main")
        if not is_repo(repo):
            raise StudioError("usage", "That is not the name of a repository.", "One looks like user/model.")
        revision = body.revision if body.revision != "main" else revision
        details = await in_thread(lambda: self._hub.show(repo, revision, body.room), SECONDS)
        repo = details.repo.repo
        have = self._here(body.room).get(repo, "")
        return replace(
            details,
            repo=replace(details.repo, have=have),
            verdict=await self._verdict(f"{repo}@{details.commit}" if "/" in repo else repo, body),
        )

    async def _verdict(self, address: str, body: messages.ShowHub) -> messages.HubVerdict:
        request = messages.JudgeHub(repos=[address], base=body.base, room=body.room)
        try:
            found = await self._judging.perform(request, lambda progress: None)
        except StudioError as error:
            # The rest of the details is worth showing without it.
            return messages.HubVerdict(repo=body.repo, fit=messages.Fit(verdict="amber", reason=str(error)))
        assert isinstance(found, messages.HubVerdicts)
        return found.verdicts[0]

    def _repo_of(self, base: str) -> str:
        """The repository that a base of the library, or a person, means; "" is any."""
        for card in self._library.bases():
            if base and card.name == base:
                if not card.repo:
                    raise StudioError(
                        "base",
                        f"{base} did not come from the Hub, so nobody there can have named it.",
                        "Search by words, or for the repository that it was made of.",
                    )
                return card.repo
        address = parse_address(base)
        if base and not address and not is_repo(base):
            raise StudioError("usage", "That is not the name of a base.", "One looks like user/model.")
        return address.repo if address else base

    def _here(self, room: str) -> dict[str, str]:
        """{repository: what it is called in the library}"""
        cards = self._library.adapters() if room == "adapters" else self._library.bases()
        return {card.repo: card.name for card in cards if card.repo and not card.missing}

    # --- who one is ---

    def _account(self) -> messages.Account:
        return replace(self._hub.account(), kept=self._tokens.where())

    async def _by_code(self, say: Say) -> messages.Account:
        from engine.hub.login import begin, poll

        code = await in_thread(begin, SECONDS)
        say(messages.SignInCode(code=code.code, address=code.address, seconds=code.seconds))
        grant = await in_thread(lambda: poll(code), code.seconds + SECONDS)
        name, _ = await in_thread(lambda: self._hub.owner(grant.token), SECONDS)
        place = await in_thread(lambda: self._tokens.keep(grant), SECONDS)
        return messages.Account(endpoint=self._hub.endpoint, name=name, kept=place)

    async def _keep(self, text: str, say: Say) -> messages.Account:
        from engine.hub.login import Grant

        token = checked(text)
        name, scope = await in_thread(lambda: self._hub.owner(token), SECONDS)
        place = await in_thread(lambda: self._tokens.keep(Grant(token)), SECONDS)
        if scope not in ("", "read"):
            say(messages.Said(text=_too_much(scope)))
        return messages.Account(endpoint=self._hub.endpoint, name=name, kept=place)

    # --- giving something back ---

    async def _publish(self, body: messages.PublishAdapter, say: Say) -> messages.Done:
        from engine.hub.model_card import base_name, model_card
        from engine.hub.publish import publish

        card = self._library.adapter(body.name)
        base = next((base for base in self._library.bases() if base.name == card.base), None)
        text = body.card or model_card(card, await self._provenance(body.name), base, body.repo)
        if body.preview:
            say(messages.Said(text=text))
            return messages.Done()
        token = await in_thread(self._tokens.read, SECONDS)
        if token is None:
            raise StudioError(
                "sign-in", "Nobody is signed in to the Hub.", "Sign in with: adapter-studio hub signin"
            )
        owner = await in_thread(lambda: self._hub.owner(token), SECONDS)
        tell = _from_thread(say)
        address = await in_thread(
            lambda: publish(
                Path(card.path),
                body.repo,
                card=text,
                base=base_name(card, base),
                private=body.private,
                owner=owner,
                token=token,
                say=tell,
            ),
            UPLOAD,
        )
        return messages.Done(path=address)

    async def _provenance(self, name: str) -> messages.Provenance:
        request = messages.ReadProvenance(kind="adapters", name=name)
        found = await self._librarian.perform(request, lambda progress: None)
        assert isinstance(found, messages.Provenance)
        return found


def _from_thread(say: Say) -> Callable[[str], None]:
    loop = asyncio.get_running_loop()

    def tell(text: str) -> None:
        loop.call_soon_threadsafe(say, messages.Said(text=text))

    return tell


def _too_much(scope: str) -> str:
    rights = "may write too" if scope == "write" else "has rights of its own choice"
    return (
        f"This token {rights}. Publishing needs the right to write; to search and to download one with read "
        f"scope is enough ({constants.ENDPOINT}/settings/tokens)."
    )
