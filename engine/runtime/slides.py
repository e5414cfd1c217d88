"""Ranks that move under an answer: what was asked of it since its last forward pass, by its live name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.formats.errors import StudioError
from engine.messages import Generate, Slide
from engine.runtime.voices import Voice

__all__ = ["Slides", "Sliding"]


class Sliding:
    """One answer that can be slid: the newest rank of each adapter that it has not heard yet, and the
    newest ``generation``."""

    def __init__(self, voice: Voice, generation: int) -> None:
        self.generation = generation
        self._voice = voice
        self._ranks: dict[str, int] = {}

    def post(self, slide: Slide) -> None:
        """Remember ``slide`` unless a newer one is known. StudioError for an adapter or a rank that the
        answer has not."""
        self._voice.check_rank(slide.adapter, slide.rank)
        if slide.generation >= self.generation:
            self.generation = slide.generation
            self._ranks[slide.adapter] = slide.rank

    @property
    def waiting(self) -> bool:
        return bool(self._ranks)

    def obey(self) -> None:
        """Write into the gates what is asked of them."""
        for adapter, rank in self._ranks.items():
            self._voice.set_rank(adapter, rank)
        self._ranks.clear()


class Slides:
    """The answers of this runtime that can be slid."""

    def __init__(self) -> None:
        self._open: dict[str, Sliding] = {}

    @contextmanager
    def under(self, request: Generate, voice: Voice) -> Iterator[Sliding]:
        """Inside the block slides find the answer to ``request`` by its live name, if it has one.
        StudioError when another answer goes by that name."""
        sliding = Sliding(voice, request.generation)
        if not request.live:
            yield sliding
            return
        if request.live in self._open:
            raise StudioError(
                "busy", "Another answer of this name is still being said.", "Give each answer its own."
            )
        self._open[request.live] = sliding
        try:
            yield sliding
        finally:
            del self._open[request.live]

    def post(self, slide: Slide) -> None:
        """Hand ``slide`` to its answer. StudioError "missing" when that is over; else see ``Sliding``."""
        if slide.live not in self._open:
            raise StudioError("missing", "This answer is over.", "Ask again at the new rank.")
        self._open[slide.live].post(slide)
