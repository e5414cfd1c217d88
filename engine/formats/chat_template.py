"""Chat templates, which are programs by strangers: rendered in a jail, and killed when they take too much."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2.debug  # noqa: F401  jinja2 needs it at the first error; in a jail nothing can be imported
import msgspec
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine.formats import jail
from engine.formats.dataset import Message
from engine.formats.errors import DataError, StudioError

__all__ = ["in_jail", "render"]

SECONDS = 2.0
SECONDS_PER_CONVERSATION = 0.005
MEMORY = 512 << 20
HINT = "Use rows with prompt and completion."


def render(
    template: str, special: Mapping[str, str], conversations: Sequence[Sequence[Message]]
) -> list[tuple[str, str]]:
    """What is asked and what is answered, as ``template`` writes conversations that end with an answer.

    ``special`` holds the tokenizer's tokens by name ("bos_token"). Raises DataError when the template
    fails, takes more than 2 s (and 5 ms per conversation) or 512 MB, or writes a question differently once
    it is answered.
    """
    work = {
        "template": template,
        "special": dict(special),
        "conversations": [msgspec.to_builtins(turns) for turns in conversations],
    }
    seconds = SECONDS + SECONDS_PER_CONVERSATION * len(conversations)
    try:
        answer = jail.run(__name__, json.dumps(work).encode(), seconds=seconds, memory=MEMORY)
        rendered = msgspec.json.decode(answer, type=list[tuple[str, str]])
    except (StudioError, msgspec.DecodeError) as error:
        raise DataError(
            "The base's chat template could not be used for these conversations.",
            HINT,
            getattr(error, "detail", str(error)),
        ) from error
    pairs = []
    for asked, whole in rendered:
        if not whole.startswith(asked):
            raise DataError(
                "The base's chat template writes a question differently once it is answered.", HINT
            )
        pairs.append((asked, whole[len(asked) :]))
    return pairs


def in_jail(work: bytes) -> bytes:
    """The child's part: JSON of a template and conversations in, JSON of [asked, whole] texts out."""
    return json.dumps(_render_all(json.loads(work))).encode()


def _refuse(reason: str) -> None:
    raise ValueError(reason)


def _render_all(work: dict[str, Any]) -> list[tuple[str, str]]:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    environment.globals["raise_exception"] = _refuse
    template = environment.from_string(work["template"])

    def text(turns: list[dict[str, str]], opened: bool) -> str:
        return template.render(messages=turns, add_generation_prompt=opened, **work["special"])

    return [(text(turns[:-1], True), text(turns, False)) for turns in work["conversations"]]
