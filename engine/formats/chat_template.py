"""Chat templates, which are programs by strangers: rendered in a child that is killed when it takes too much.

Run as a module it is that child: a template and conversations in, texts out, as JSON, without torch or
network.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.formats.dataset import Message
from engine.formats.errors import DataError

__all__ = ["render"]

SECONDS = 2.0
SECONDS_PER_CONVERSATION = 0.005
MEMORY = 512 * 2**20
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
    pairs = []
    for asked, whole in _in_child(work, SECONDS + SECONDS_PER_CONVERSATION * len(conversations)):
        if not whole.startswith(asked):
            raise DataError(
                "The base's chat template writes a question differently once it is answered.", HINT
            )
        pairs.append((asked, whole[len(asked) :]))
    return pairs


def _in_child(work: dict[str, Any], seconds: float) -> list[tuple[str, str]]:
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", "engine.formats.chat_template"],
            input=json.dumps(work).encode(),
            capture_output=True,
            timeout=seconds,
            check=True,
        )
        return msgspec.json.decode(child.stdout, type=list[tuple[str, str]])
    except (subprocess.SubprocessError, msgspec.DecodeError) as error:
        stderr = getattr(error, "stderr", None) or b""
        raise DataError(
            "The base's chat template could not be used for these conversations.",
            HINT,
            f"{error}\n{stderr.decode(errors='replace')[-2000:]}",
        ) from error


def _limit_memory() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _refuse(reason: str) -> None:
    raise ValueError(reason)


def _render_all(work: dict[str, Any]) -> list[tuple[str, str]]:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    environment.globals["raise_exception"] = _refuse
    template = environment.from_string(work["template"])

    def text(turns: list[dict[str, str]], opened: bool) -> str:
        return template.render(messages=turns, add_generation_prompt=opened, **work["special"])

    return [(text(turns[:-1], True), text(turns, False)) for turns in work["conversations"]]


if __name__ == "__main__":
    _limit_memory()
    json.dump(_render_all(json.load(sys.stdin)), sys.stdout)
