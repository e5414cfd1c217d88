"""Questions that go to the engine as one call, and what a running one may still become."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from engine.messages import Ask, Compare, Generate, Slide

__all__ = ["Round"]


@dataclass(eq=False)
class Round:
    """Questions that were sent as one ``call``: row i of its replies answers ``panes[i]``.

    A live one is a single question whose rank slides while it is answered. ``told`` is the generation that
    the engine was last told of, ``is_telling`` while it has not yet said that it heard. ``is_again``: a
    runtime died over these questions once.
    """

    questions: dict[str, Generate]
    call: str = ""
    told: int = 0
    is_telling: bool = False
    is_again: bool = False

    @property
    def panes(self) -> list[str]:
        return list(self.questions)

    @property
    def question(self) -> Generate:
        """The first of them."""
        return next(iter(self.questions.values()))

    @property
    def generation(self) -> int:
        """Of the newest rank that a hand has chosen; 0 where nothing slides."""
        return self.question.generation

    @property
    def request(self) -> Generate | Compare:
        first, *others = self.questions.values()
        if not others:
            return first
        voices = [
            Ask(parts=question.parts, mixing=question.mixing, record=question.record)
            for question in self.questions.values()
        ]
        return Compare(
            base=first.base, prompt=first.prompt, voices=voices, max_new_tokens=first.max_new_tokens
        )

    @property
    def slide(self) -> Slide:
        """How the engine is told of the newest rank."""
        asked = self.question
        part = asked.parts[0]
        return Slide(
            base=asked.base,
            live=asked.live,
            adapter=part.name,
            rank=part.rank or 0,
            generation=asked.generation,
        )

    def may_become(self, question: Generate) -> bool:
        """Whether the answer that is being said is that of ``question`` but for its rank."""
        return bool(self.question.live) and _but_rank(self.question) == _but_rank(question)


def _but_rank(question: Generate) -> Generate:
    parts = [replace(part, rank=None) for part in question.parts]
    return replace(question, parts=parts, live="", generation=0)
