"""Answers beside the live one: where each parts from it, and which of its tokens agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.presenters.answer import Answer

__all__ = ["Agreement", "agreements"]


@dataclass(frozen=True)
class Agreement:
    """``parts`` are the tokens where two answers part: of the live pane one for each other pane, of another
    pane its first that differs. ``agrees[i]``: token i is the live pane's, or that has not come so far."""

    parts: tuple[int, ...] = ()
    agrees: tuple[bool, ...] = ()

    @property
    def first(self) -> int:
        """The first differing token, -1 where there is none."""
        return min(self.parts, default=-1)


def agreements(answers: Mapping[str, Answer], live: str) -> dict[str, Agreement]:
    """How every answer goes beside that of the pane ``live``; nothing is said while there is none."""
    said = answers[live]
    if not said.tokens or said.error is not None:
        return {pane: Agreement() for pane in answers}
    found = {pane: _beside(answer, said) for pane, answer in answers.items() if pane != live}
    parts = {agreement.first for agreement in found.values()} - {-1}
    shorter = {
        len(answer.tokens)
        for pane, answer in answers.items()
        if pane != live and _is_whole(answer) and len(answer.tokens) < len(said.tokens)
        if all(found[pane].agrees)
    }
    found[live] = Agreement(tuple(sorted(parts | shorter)), (False,) * len(said.tokens))
    return found


def _beside(answer: Answer, live: Answer) -> Agreement:
    if answer.stale or not answer.tokens:
        return Agreement()
    known = len(live.tokens)
    is_open = not _is_whole(live)
    agrees = tuple(
        token.text == live.tokens[index].text if index < known else is_open
        for index, token in enumerate(answer.tokens)
    )
    return Agreement(() if all(agrees) else (agrees.index(False),), agrees)


def _is_whole(answer: Answer) -> bool:
    return answer.state == "done"
